/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thaw/canvas.h"

/* ISO 15948, 11.2.2: image header */
struct png_header {
	uint32_t width, height; /* big-endian */
	uint8_t depth, colour_type, compression, filter, interlace;
} __attribute__((packed));

#define COLOUR_PALETTE 3 /* ISO 15948, table 11.1 */

/* 5.3: length, type, data, and a CRC of the latter two. */
static int put_chunk(FILE *to, const char *type, const void *data, uint32_t len,
		     struct err *err)
{
	uint32_t crc = crc32_gzip_refl(0, (const uint8_t *)type, 4);
	uint32_t len_be = htobe32(len), crc_be;

	if (len > 0)
		crc = crc32_gzip_refl(crc, data, len);
	crc_be = htobe32(crc);
	if (fwrite(&len_be, 4, 1, to) != 1 || fwrite(type, 4, 1, to) != 1 ||
	    (len > 0 && fwrite(data, len, 1, to) != 1) || fwrite(&crc_be, 4, 1, to) != 1)
		return err_sys(err, "write %s", type);
	return 0;
}

/* 9.2: each row begins with its filter; 0 is none. */
static uint8_t *filtered_rows(const struct canvas *c, size_t *size)
{
	size_t row_size = (size_t)c->width + 1;
	uint8_t *rows;

	*size = row_size * c->height;
	rows = malloc(*size);
	if (!rows)
		return NULL;
	for (uint32_t y = 0; y < c->height; y++) {
		rows[y * row_size] = 0;
		memcpy(rows + y * row_size + 1, c->pixels + (size_t)y * c->width, c->width);
	}
	return rows;
}

/* What the compressor works with; too large for the stack. */
struct deflate {
	struct isal_zstream stream;
	uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

/* 10: one zlib stream. @room: bytes at @out. @len: what it has. */
static int deflate_rows(struct deflate *d, uint8_t *rows, size_t size, uint8_t *out,
			size_t room, uint32_t *len)
{
	int ret;

	isal_deflate_stateless_init(&d->stream);
	d->stream.level = 1;
	d->stream.level_buf = d->level;
	d->stream.level_buf_size = sizeof(d->level);
	d->stream.gzip_flag = IGZIP_ZLIB;
	d->stream.end_of_stream = 1;
	d->stream.next_in = rows;
	d->stream.avail_in = (uint32_t)size;
	d->stream.next_out = out;
	d->stream.avail_out = (uint32_t)room;
	ret = isal_deflate_stateless(&d->stream);
	*len = d->stream.total_out;
	return ret;
}

static int put_pixels(const struct canvas *c, FILE *to, struct err *err)
{
	size_t size;
	uint8_t *rows = filtered_rows(c, &size);
	struct deflate *d = malloc(sizeof(*d));
	size_t room = size + size / 1000 + 4096; /* stored blocks, the worst, and the frame */
	uint8_t *out = malloc(room);
	uint32_t len = 0;
	int ret;

	if (!rows || !d || !out)
		ret = err_set(err, ENOMEM, "%zu bytes of pixels: out of memory", size);
	else if (deflate_rows(d, rows, size, out, room, &len) != COMP_OK)
		ret = err_set(err, EIO, "%zu bytes of pixels do not compress", size);
	else
		ret = put_chunk(to, "IDAT", out, len, err);
	free(rows);
	free(d);
	free(out);
	return ret;
}

int canvas_write_png(const struct canvas *c, FILE *to, struct err *err)
{
	static const uint8_t signature[8] = "\x89PNG\r\n\x1a\n"; /* 5.2 */
	struct png_header header = { .width = htobe32(c->width),
				     .height = htobe32(c->height),
				     .depth = 8,
				     .colour_type = COLOUR_PALETTE };
	int ret;

	if (fwrite(signature, sizeof(signature), 1, to) != 1)
		return err_sys(err, "write a PNG signature");
	ret = put_chunk(to, "IHDR", &header, sizeof(header), err);
	if (ret == 0)
		ret = put_chunk(to, "PLTE", c->colours,
				c->ncolours * (uint32_t)sizeof(*c->colours), err);
	if (ret == 0)
		ret = put_pixels(c, to, err);
	return ret < 0 ? ret : put_chunk(to, "IEND", NULL, 0, err);
}
