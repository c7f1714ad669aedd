/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml.h - writes ACPI machine language (ACPI 6.3, 20.2): as much as a DSDT of ours needs.
 *
 * Blocks are opened and closed; a block's length is put in when it is closed. A buffer that is
 * too small takes no more bytes, and is asked about once, at the end (aml_fits). Names are one
 * segment of exactly four characters, except where a path is asked for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t room, len; /* bytes; @len counts those that did not fit, too */
};

static inline bool aml_fits(const struct aml *a)
{
	return a->len <= a->room;
}

/* Where a block began: what closes it needs it. */
struct aml_block {
	size_t at;
};

/* Integers: as data, or as an operand. */
void aml_integer(struct aml *a, uint64_t value);

/* Name (name, value). */
void aml_name_integer(struct aml *a, const char *name, uint64_t value);
void aml_name_string(struct aml *a, const char *name, const char *text);
/* @id: "PNP0501": three letters and four hexadecimal digits. */
void aml_name_eisaid(struct aml *a, const char *name, const char *id);
/* A package of integers, n < 256. */
void aml_name_package(struct aml *a, const char *name, const uint64_t *values, uint8_t n);

struct aml_block aml_scope(struct aml *a, const char *path); /* "\\_SB_" */
struct aml_block aml_device(struct aml *a, const char *name);
struct aml_block aml_method(struct aml *a, const char *name, uint8_t nargs); /* serialized */
void aml_end(struct aml *a, struct aml_block block);

/* A region of guest memory, and one field of 32 bits at its start that is read as one word. */
void aml_region(struct aml *a, const char *name, uint32_t gpa, uint32_t size);
void aml_word_field(struct aml *a, const char *region, const char *field);

/* Local0 = name. */
void aml_read_local0(struct aml *a, const char *name);
/* If (Local0 & mask) { Notify (device, value) } */
void aml_notify_if_local0(struct aml *a, uint32_t mask, const char *device, uint8_t value);

/* Name (_CRS, ResourceTemplate () { ... }), and what may stand in it (ACPI 6.3, 6.4). */
struct aml_block aml_resources(struct aml *a);
void aml_resource_memory(struct aml *a, uint32_t gpa, uint32_t size);
void aml_resource_ports(struct aml *a, uint16_t port, uint8_t n);
/* Edge, active high, exclusive. */
void aml_resource_interrupt(struct aml *a, uint32_t gsi);
void aml_resources_end(struct aml *a, struct aml_block block);
