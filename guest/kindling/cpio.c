/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/cpio.h"

#include "guest/kindling/text.h"

#define CPIO_MAGIC  6u	 /* "070701", or "070702" with a checksum that is not looked at */
#define CPIO_DIGITS 8ul	 /* of each field */
#define CPIO_HEADER 110u /* the magic and 13 fields */

enum cpio_field {
	CPIO_INO,
	CPIO_MODE,
	CPIO_NLINK = 4,
	CPIO_MTIME,
	CPIO_FILESIZE,
	CPIO_NAMESIZE = 11,
	CPIO_NFIELDS = 13,
};

#define cpio_refuse(why, ...) (text_print(why, CPIO_WHY_SIZE, __VA_ARGS__), -1)

/* Returns 0, or -1 if there is something else than a hexadecimal digit. */
static int cpio_number(const uint8_t *digits, uint32_t *n)
{
	*n = 0;
	for (unsigned int i = 0; i < CPIO_DIGITS; i++) {
		uint8_t c = digits[i];
		uint8_t lower = c | 0x20;

		if (c >= '0' && c <= '9')
			*n = *n << 4 | (c - '0' + 0u);
		else if (lower >= 'a' && lower <= 'f')
			*n = *n << 4 | (lower - 'a' + 10u);
		else
			return -1;
	}
	return 0;
}

static uint64_t cpio_align(uint64_t off)
{
	return (off + 3) & ~3ull;
}

static int cpio_header(const struct cpio_walk *w, uint32_t *field, char *why)
{
	static const uint8_t magic[] = { '0', '7', '0', '7', '0' };
	const uint8_t *h = w->bytes + w->off;

	if (w->size - w->off < CPIO_HEADER)
		return cpio_refuse(why, "archive ends in the header at byte %lu of %lu", w->off,
				   w->size);
	for (unsigned int i = 0; i < CPIO_MAGIC; i++)
		if (i < CPIO_MAGIC - 1 ? h[i] != magic[i] : h[i] != '1' && h[i] != '2')
			return cpio_refuse(why, "no newc header (070701) at byte %lu of %lu",
					   w->off, w->size);
	for (unsigned int i = 0; i < CPIO_NFIELDS; i++)
		if (cpio_number(h + CPIO_MAGIC + i * CPIO_DIGITS, &field[i]))
			return cpio_refuse(why, "field %u of the header at byte %lu is not hex",
					   i, w->off);
	return 0;
}

/* Read the entry at w->off and move behind it. */
static int cpio_entry_at(struct cpio_walk *w, struct cpio_entry *entry, char *why)
{
	uint32_t field[CPIO_NFIELDS];
	uint64_t name = w->off + CPIO_HEADER, data;
	uint32_t name_size;

	if (cpio_header(w, field, why))
		return -1;
	name_size = field[CPIO_NAMESIZE];
	if (name_size == 0 || name_size > CPIO_NAME_MAX)
		return cpio_refuse(why, "name at byte %lu has %u bytes, allowed are 1 to %u",
				   name, name_size, CPIO_NAME_MAX);
	if (name_size > w->size - name || w->bytes[name + name_size - 1] != '\0')
		return cpio_refuse(why, "name at byte %lu does not end after %u bytes", name,
				   name_size);
	data = cpio_align(name + name_size);
	if (data > w->size || field[CPIO_FILESIZE] > w->size - data)
		return cpio_refuse(why, "contents at byte %lu (%u bytes) end after the archive",
				   data, field[CPIO_FILESIZE]);
	*entry = (struct cpio_entry){
		.name = (const char *)w->bytes + name,
		.name_len = name_size - 1,
		.data = (uint32_t)data,
		.size = field[CPIO_FILESIZE],
		.mode = field[CPIO_MODE],
		.mtime = field[CPIO_MTIME],
		.ino = field[CPIO_INO],
		.nlink = field[CPIO_NLINK],
	};
	w->off = cpio_align(data + entry->size);
	return 0;
}

static int cpio_is_trailer(const struct cpio_entry *entry)
{
	static const char trailer[] = "TRAILER!!!";

	for (unsigned int i = 0; i < sizeof(trailer); i++)
		if (entry->name[i] != trailer[i])
			return 0;
	return 1;
}

int cpio_next(struct cpio_walk *w, struct cpio_entry *entry, char *why)
{
	for (;;) {
		while (w->off < w->size && w->bytes[w->off] == '\0')
			w->off++;
		if (w->off >= w->size)
			return 0;
		if (cpio_entry_at(w, entry, why))
			return -1;
		if (!cpio_is_trailer(entry))
			return 1;
	}
}
