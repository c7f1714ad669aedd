/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/image.h"
#include "snapshot/image_writer.h"
#include "tests/helpers_image.h"
#include "tools/thaw/canvas.h"
#include "tools/thaw/memory_map.h"

static const struct canvas_colour colours[] = { { 255, 255, 255 }, { 1, 2, 3 }, { 9, 8, 7 } };
static struct err err;

static struct canvas canvas_of(uint32_t width, uint32_t height)
{
	struct canvas c = {
		.width = width, .height = height, .ncolours = 3, .colours = colours
	};

	cr_assert(eq(int, canvas_init(&c, &err), 0), "%s", err.text);
	return c;
}

static size_t count(const struct canvas *c, uint8_t colour)
{
	size_t n = 0;

	for (size_t i = 0; i < (size_t)c->width * c->height; i++)
		n += c->pixels[i] == colour;
	return n;
}

Test(canvas, fills_what_is_on_it)
{
	struct canvas c = canvas_of(10, 5);

	canvas_fill(&c, (struct canvas_box){ 8, 3, 100, 100 }, 1);
	cr_expect(eq(sz, count(&c, 1), 4));
	cr_expect(eq(u8, c.pixels[3 * 10 + 8], 1));
	canvas_fill(&c, (struct canvas_box){ 50, 1, 3, 3 }, 2);
	canvas_fill(&c, (struct canvas_box){ 1, 50, 3, 3 }, 2);
	canvas_fill(&c, (struct canvas_box){ 1, 1, 0, 3 }, 2);
	cr_expect(eq(sz, count(&c, 2), 0));
	canvas_fill(&c, (struct canvas_box){ 1, 0, 2, 1 }, 2);
	cr_expect(eq(int, memcmp(c.pixels, "\0\2\2\0", 4), 0));
	canvas_fini(&c);
}

Test(canvas, writes_letters_with_gaps_for_what_it_has_not)
{
	struct canvas c = canvas_of(40, 20);
	struct canvas_pen pen = { .x = 0, .y = 0, .scale = 2, .colour = 1 };
	size_t one;

	cr_expect(eq(u32, canvas_text(&c, pen, "I"), 12));
	one = count(&c, 1);
	cr_expect(eq(sz, one, 4 * (3 + 3 + 5))); /* dots of an I, four pixels each */
	pen.x = 12;
	cr_expect(eq(u32, canvas_text(&c, pen, "\xc3\x09i"), 48)); /* the last is cut off */
	cr_expect(eq(sz, count(&c, 1), one + 4 * 2)); /* two columns: its serifs' beginning */
	canvas_fini(&c);
}

Test(canvas, refuses_what_nobody_could_look_at)
{
	struct canvas c = { .width = UINT32_MAX, .height = UINT32_MAX };

	cr_assert(eq(int, canvas_init(&c, &err), -EFBIG));
	cr_assert(eq(str, err.text,
		     "a picture of 4294967295 x 4294967295 pixels, largest allowed is 67108864 "
		     "in all"));
}

/* ---- PNG ---- */

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The data of the chunk at *@at, whose type and CRC must be right; @at moves behind it. */
static const uint8_t *chunk(const uint8_t *file, size_t len, size_t *at, const char *type,
			    uint32_t *size)
{
	const uint8_t *p = file + *at;

	cr_assert(le(sz, *at + 12, len));
	*size = be32(p);
	cr_assert(le(sz, *at + 12 + *size, len));
	cr_assert(eq(int, memcmp(p + 4, type, 4), 0), "expected %s", type);
	cr_assert(eq(u32, be32(p + 8 + *size), crc32_gzip_refl(0, p + 4, 4 + *size)));
	*at += 12 + *size;
	return p + 8;
}

/* The pixels of a PNG as we write it, read by the rules of ISO 15948. */
static uint8_t *png_pixels(const uint8_t *file, size_t len, uint32_t *width, uint32_t *height)
{
	static struct inflate_state inflate;
	const uint8_t *header, *data;
	uint32_t size;
	size_t at = 8;
	uint8_t *rows;

	cr_assert(eq(int, memcmp(file, "\x89PNG\r\n\x1a\n", 8), 0));
	header = chunk(file, len, &at, "IHDR", &size);
	cr_assert(eq(u32, size, 13));
	cr_assert(eq(int, memcmp(header + 8, "\x08\x03\0\0\0", 5), 0));
	*width = be32(header);
	*height = be32(header + 4);
	chunk(file, len, &at, "PLTE", &size);
	cr_assert(eq(u32, size % 3, 0));
	data = chunk(file, len, &at, "IDAT", &size);
	rows = malloc((*width + 1) * *height + 1);
	isal_inflate_init(&inflate);
	inflate.crc_flag = ISAL_ZLIB;
	inflate.next_in = (uint8_t *)(uintptr_t)data;
	inflate.avail_in = size;
	inflate.next_out = rows;
	inflate.avail_out = (*width + 1) * *height + 1;
	cr_assert(eq(int, isal_inflate(&inflate), 0));
	cr_assert(eq(u32, inflate.total_out, (*width + 1) * *height));
	chunk(file, len, &at, "IEND", &size);
	cr_assert(eq(sz, at, len));
	for (uint32_t y = 0; y < *height; y++) {
		cr_assert(eq(u8, rows[y * (*width + 1)], 0));
		memmove(rows + (size_t)y * *width, rows + (size_t)y * (*width + 1) + 1, *width);
	}
	return rows;
}

/* Bytes that do not compress, and rows of one colour, of several sizes. */
Test(canvas, a_png_has_its_pixels)
{
	for (uint32_t size = 1; size < 700; size += 233) {
		struct canvas c = canvas_of(size, size + 1);
		uint32_t width, height, state = 7;
		char *file = NULL;
		size_t len;
		FILE *to = open_memstream(&file, &len);
		uint8_t *pixels;

		for (size_t i = 0; i < (size_t)size * size; i++) {
			state = state * 1664525 + 1013904223;
			c.pixels[i] = (uint8_t)(state >> 24);
		}
		cr_assert(eq(int, canvas_write_png(&c, to, &err), 0), "%s", err.text);
		fclose(to);
		pixels = png_pixels((uint8_t *)file, len, &width, &height);
		cr_assert(eq(u32, width, size));
		cr_assert(eq(u32, height, size + 1));
		cr_assert(eq(int, memcmp(pixels, c.pixels, (size_t)size * (size + 1)), 0));
		free(pixels);
		free(file);
		canvas_fini(&c);
	}
}

Test(canvas, a_full_disk_is_an_error)
{
	struct canvas c = canvas_of(300, 300);
	FILE *to = fopen("/dev/full", "we");

	setvbuf(to, NULL, _IONBF, 0);
	cr_expect(eq(int, canvas_write_png(&c, to, &err), -ENOSPC));
	fclose(to);
	canvas_fini(&c);
}

/* ---- the map of an image ---- */

static struct mem mem;
static struct image img;
static char dir[256];

static void map_setup(void)
{
	static struct wset_run runs[] = { { 0x10000, 4, 1, 0 },
					  { 0x9ff000, 1, 1, WSET_DIRTIED },
					  { 0x80000, 2, 1, WSET_DIRTIED } }; /* of zeros */
	struct wset wset = { .record_runs = 1, .nruns = 3, .runs = runs };
	struct manifest manifest;
	struct state_writer state;
	struct image_content c = {
		.manifest = &manifest, .state = &state, .mem = &mem, .wset = &wset
	};

	scratch_make(dir);
	sample_mem(&mem);
	sample_manifest(&manifest);
	sample_state(&state);
	cr_assert(eq(int, image_write(scratch_path(dir, "image"), &c, &err), 0), "%s",
		  err.text);
	state_writer_fini(&state);
	manifest_fini(&manifest);
	cr_assert(eq(int, image_open(&img, scratch_path(dir, "image"), &err), 0), "%s",
		  err.text);
}

static void map_teardown(void)
{
	image_close(&img);
	mem_unmap(&mem);
	scratch_remove(dir);
}

TestSuite(memory_map, .init = map_setup, .fini = map_teardown);

/* Two blocks side by side, squares of 8 pixels: the places of some pages are known. */
Test(memory_map, every_page_has_its_colour)
{
	const char *path = scratch_path(dir, "map.png");
	uint32_t width, height, left;
	uint8_t *file, *pixels;
	size_t len, n[6] = { 0 };

	cr_assert(eq(int, memory_map_write(&img, path, &err), 0), "%s", err.text);
	file = bytes_read(path, &len);
	pixels = png_pixels(file, len, &width, &height);
	for (size_t i = 0; i < (size_t)width * height; i++) {
		cr_assert(lt(u8, pixels[i], 6));
		n[pixels[i]]++;
	}
	/* pages, and a square of the legend for each colour */
	cr_expect(eq(sz, n[3], 64 * (SAMPLE_PAGES - 5) + 14 * 14));
	cr_expect(eq(sz, n[4], 64 * 4 + 14 * 14));
	cr_expect(eq(sz, n[5], 64 * 3 + 14 * 14));
	cr_expect(eq(sz, n[2], 64 * (1024 - SAMPLE_PAGES - 2) + 14 * 14));
	/* the first page is cold, the sixteenth touched, the last of all written to */
	for (left = 0; pixels[31 * width + left] != 3; left++)
		cr_assert(lt(u32, left, width));
	cr_expect(eq(u8, pixels[31 * width + left + 16 * 8], 4));
	cr_expect(eq(u8, pixels[(31 + 15 * 8) * width + left + 257 + 31 * 8 + 1], 5));
	free(file);
	free(pixels);
}

Test(memory_map, too_much_memory_is_refused)
{
	img.ram = (struct mem){ .nregions = 1, .regions = { { .size = 65ull << 30 } } };
	cr_assert(eq(int, memory_map_write(&img, scratch_path(dir, "map.png"), &err), -EFBIG));
	cr_assert(
		eq(str, err.text, "the machine has 66560 MiB, largest that is drawn is 65536"));
}

Test(memory_map, a_file_that_cannot_be_written_is_named)
{
	char expected[300];

	snprintf(expected, sizeof(expected), "%s/none/map.png: No such file or directory", dir);
	cr_assert(eq(int, memory_map_write(&img, scratch_path(dir, "none/map.png"), &err),
		     -ENOENT));
	cr_assert(eq(str, err.text, expected));
}
