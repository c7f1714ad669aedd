/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/aml.h"

#include <string.h>

/* ACPI 6.3, 20.3: one byte of code each; those that start with 0x5b have two. */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_EXTENDED = 0x5b,
	OP_LOCAL0 = 0x60,
	OP_STORE = 0x70,
	OP_AND = 0x7b,
	OP_NOTIFY = 0x86,
	OP_IF = 0xa0,
	OP_REGION = 0x80, /* extended */
	OP_FIELD = 0x81,
	OP_DEVICE = 0x82,
};

#define NAME_SIZE	  4u
#define METHOD_SERIALIZED 0x08u /* 20.2.5.2, MethodFlags */
#define SYSTEM_MEMORY	  0x00u /* 20.2.5.2, RegionSpace */
/* FieldFlags: access by 32 bits, no lock, other bits are written as zeros. */
#define FIELD_DWORD 0x43u

static void byte(struct aml *a, uint8_t value)
{
	if (a->len < a->room)
		a->buf[a->len] = value;
	a->len++;
}

static void bytes(struct aml *a, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len-- > 0)
		byte(a, *p++);
}

static void little_endian(struct aml *a, uint64_t value, unsigned int size)
{
	for (; size > 0; size--, value >>= 8)
		byte(a, (uint8_t)value);
}

static void extended(struct aml *a, uint8_t code)
{
	byte(a, OP_EXTENDED);
	byte(a, code);
}

static void segment(struct aml *a, const char *name)
{
	bytes(a, name, NAME_SIZE);
}

/* ---- blocks ---- */

/* The form of PkgLength (20.2.4) that takes 3 bytes: always that, so that a block's content need
 * not move when its length is known. Up to 1 MiB, which is more than there is room for. */
#define LENGTH_SIZE 3u

static struct aml_block open_block(struct aml *a)
{
	struct aml_block block = { .at = a->len };

	little_endian(a, 0, LENGTH_SIZE);
	return block;
}

void aml_end(struct aml *a, struct aml_block block)
{
	size_t len = a->len - block.at;
	uint8_t *p = a->buf + block.at;

	if (!aml_fits(a))
		return;
	p[0] = (uint8_t)(0x80 | (len & 0xf)); /* two more bytes follow */
	p[1] = (uint8_t)(len >> 4);
	p[2] = (uint8_t)(len >> 12);
}

struct aml_block aml_scope(struct aml *a, const char *path)
{
	struct aml_block block;

	byte(a, OP_SCOPE);
	block = open_block(a);
	bytes(a, path, strlen(path));
	return block;
}

struct aml_block aml_device(struct aml *a, const char *name)
{
	struct aml_block block;

	extended(a, OP_DEVICE);
	block = open_block(a);
	segment(a, name);
	return block;
}

struct aml_block aml_method(struct aml *a, const char *name, uint8_t nargs)
{
	struct aml_block block;

	byte(a, OP_METHOD);
	block = open_block(a);
	segment(a, name);
	byte(a, nargs | METHOD_SERIALIZED);
	return block;
}

/* ---- data ---- */

void aml_integer(struct aml *a, uint64_t value)
{
	if (value <= 1) {
		byte(a, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		byte(a, OP_BYTE);
		little_endian(a, value, 1);
	} else if (value <= UINT16_MAX) {
		byte(a, OP_WORD);
		little_endian(a, value, 2);
	} else if (value <= UINT32_MAX) {
		byte(a, OP_DWORD);
		little_endian(a, value, 4);
	} else {
		byte(a, OP_QWORD);
		little_endian(a, value, 8);
	}
}

static void declare(struct aml *a, const char *name)
{
	byte(a, OP_NAME);
	segment(a, name);
}

void aml_name_integer(struct aml *a, const char *name, uint64_t value)
{
	declare(a, name);
	aml_integer(a, value);
}

void aml_name_string(struct aml *a, const char *name, const char *text)
{
	declare(a, name);
	byte(a, OP_STRING);
	bytes(a, text, strlen(text) + 1);
}

static uint32_t digit(char c)
{
	return c <= '9' ? (uint32_t)(c - '0') : (uint32_t)(c - 'A' + 10);
}

/* Letters of 5 bits, digits of 4, the most significant byte first (19.6.36). */
void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
	uint32_t value = 0;

	for (int i = 0; i < 3; i++)
		value = value << 5 | (uint32_t)(id[i] - '@');
	for (int i = 3; i < 7; i++)
		value = value << 4 | digit(id[i]);
	declare(a, name);
	byte(a, OP_DWORD);
	little_endian(a, __builtin_bswap32(value), 4);
}

void aml_name_package(struct aml *a, const char *name, const uint64_t *values, uint8_t n)
{
	struct aml_block block;

	declare(a, name);
	byte(a, OP_PACKAGE);
	block = open_block(a);
	byte(a, n);
	for (uint8_t i = 0; i < n; i++)
		aml_integer(a, values[i]);
	aml_end(a, block);
}

/* ---- memory, and what is done with it ---- */

void aml_region(struct aml *a, const char *name, uint32_t gpa, uint32_t size)
{
	extended(a, OP_REGION);
	segment(a, name);
	byte(a, SYSTEM_MEMORY);
	aml_integer(a, gpa);
	aml_integer(a, size);
}

void aml_word_field(struct aml *a, const char *region, const char *field)
{
	struct aml_block block;

	extended(a, OP_FIELD);
	block = open_block(a);
	segment(a, region);
	byte(a, FIELD_DWORD);
	segment(a, field);
	byte(a, 32); /* bits: a PkgLength of one byte */
	aml_end(a, block);
}

void aml_read_local0(struct aml *a, const char *name)
{
	byte(a, OP_STORE);
	segment(a, name);
	byte(a, OP_LOCAL0);
}

void aml_notify_if_local0(struct aml *a, uint32_t mask, const char *device, uint8_t value)
{
	struct aml_block block;

	byte(a, OP_IF);
	block = open_block(a);
	byte(a, OP_AND);
	byte(a, OP_LOCAL0);
	aml_integer(a, mask);
	byte(a, OP_ZERO); /* the result is put nowhere */
	byte(a, OP_NOTIFY);
	segment(a, device);
	aml_integer(a, value);
	aml_end(a, block);
}

/* ---- resources ---- */

/* The buffer's size, always in two bytes: behind the block's length. */
#define BUFFER_SIZE_AT	(LENGTH_SIZE + 1)
#define BUFFER_BYTES_AT (BUFFER_SIZE_AT + 2)

struct aml_block aml_resources(struct aml *a)
{
	struct aml_block block;

	declare(a, "_CRS");
	byte(a, OP_BUFFER);
	block = open_block(a);
	byte(a, OP_WORD);
	little_endian(a, 0, 2);
	return block;
}

void aml_resources_end(struct aml *a, struct aml_block block)
{
	size_t size;

	byte(a, 0x79); /* end tag, 6.4.2.9; a checksum of 0 is not looked at */
	byte(a, 0);
	size = a->len - block.at - BUFFER_BYTES_AT;
	if (aml_fits(a)) {
		a->buf[block.at + BUFFER_SIZE_AT] = (uint8_t)size;
		a->buf[block.at + BUFFER_SIZE_AT + 1] = (uint8_t)(size >> 8);
	}
	aml_end(a, block);
}

void aml_resource_memory(struct aml *a, uint32_t gpa, uint32_t size)
{
	byte(a, 0x86); /* 6.4.3.4 */
	little_endian(a, 9, 2);
	byte(a, 1); /* may be written */
	little_endian(a, gpa, 4);
	little_endian(a, size, 4);
}

void aml_resource_ports(struct aml *a, uint16_t port, uint8_t n)
{
	byte(a, 0x47); /* 6.4.2.5 */
	byte(a, 1);    /* all 16 bits of the address count */
	little_endian(a, port, 2);
	little_endian(a, port, 2);
	byte(a, 1); /* alignment */
	byte(a, n);
}

void aml_resource_interrupt(struct aml *a, uint32_t gsi)
{
	byte(a, 0x89); /* 6.4.3.6 */
	little_endian(a, 6, 2);
	byte(a, 0x03); /* consumer, edge */
	byte(a, 1);    /* how many follow */
	little_endian(a, gsi, 4);
}
