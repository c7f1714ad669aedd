/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/memory_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/image.h"
#include "tools/thaw/canvas.h"

/* Also the classes of pages, in the order of the legend. */
enum colour { PAPER, INK, ZERO, COLD, TOUCHED, DIRTIED, NCOLOURS };

/* Blue and orange are told apart by everybody. */
static const struct canvas_colour colours[NCOLOURS] = {
	[PAPER] = { 255, 255, 255 }, [INK] = { 34, 34, 34 },	   [ZERO] = { 232, 236, 240 },
	[COLD] = { 160, 168, 178 },  [TOUCHED] = { 31, 111, 235 }, [DIRTIED] = { 230, 85, 10 },
};

static const char *const class_names[NCOLOURS] = {
	[ZERO] = "zero",
	[COLD] = "cold: stored, not touched",
	[TOUCHED] = "touched by a start",
	[DIRTIED] = "written to by a start",
};

#define BLOCK_COLS  32u /* pages */
#define BLOCK_ROWS  16u
#define BLOCK_PAGES 512u
#define GAP	    1u /* pixels between blocks */

_Static_assert(BLOCK_COLS *BLOCK_ROWS *MEM_PAGE_SIZE == MEM_HUGE_SIZE, "a block is 2 MiB");

/* All ours: what is still readable. */
#define MARGIN	   8u
#define LABEL_COLS 7u /* letters of "65535M " */
#define WIDTH_GOAL 1100u
#define SCALE_MAX  8u
#define TEXT_SCALE 2u
#define LINE	   (CANVAS_LETTER_HEIGHT * TEXT_SCALE + 4)

struct map {
	const struct image *img;
	uint8_t *classes; /* enum colour of every page, region after region */
	uint64_t npages;
	uint64_t counts[NCOLOURS];
	uint32_t cols; /* blocks in a row */
	uint32_t rows;
	uint32_t scale;	    /* pixels of a page's side */
	uint32_t left, top; /* of the first block */
	struct canvas canvas;
};

static void mark(struct map *m, gpa_t gpa, uint64_t pages, enum colour class)
{
	memset(m->classes + mem_offset(&m->img->ram, gpa) / MEM_PAGE_SIZE, (int)class, pages);
}

static void mark_frames(struct map *m, const struct frames *f)
{
	for (uint64_t i = 0; i < f->header.nframes; i++)
		mark(m, f->table[i].gpa, f->table[i].pages, COLD);
}

static int classify(struct map *m, struct err *err)
{
	const struct image *img = m->img;
	const struct wset *w = &img->wset;

	m->classes = malloc(m->npages);
	if (!m->classes)
		return err_set(err, ENOMEM, "a map of %" PRIu64 " pages: out of memory",
			       m->npages);
	memset(m->classes, ZERO, m->npages);
	do {
		mark_frames(m, &img->frames);
		img = img->parent;
	} while (img);
	for (uint32_t i = 0; i < w->nruns; i++)
		mark(m, w->runs[i].gpa, w->runs[i].pages,
		     w->runs[i].flags & WSET_DIRTIED ? DIRTIED : TOUCHED);
	for (uint64_t i = 0; i < m->npages; i++)
		m->counts[m->classes[i]]++;
	return 0;
}

static uint32_t block_width(const struct map *m)
{
	return BLOCK_COLS * m->scale + GAP;
}

static uint32_t block_height(const struct map *m)
{
	return BLOCK_ROWS * m->scale + GAP;
}

/* About twice as wide as high, and a power of two, so that rows begin at round addresses. */
static void arrange(struct map *m)
{
	uint32_t nblocks = (uint32_t)(m->npages / BLOCK_PAGES);

	for (m->cols = 4; m->cols * m->cols < nblocks;)
		m->cols *= 2;
	m->rows = (nblocks + m->cols - 1) / m->cols;
	m->scale = WIDTH_GOAL / (m->cols * BLOCK_COLS);
	m->scale = MAX(1u, MIN(m->scale, SCALE_MAX));
	m->left = MARGIN + LABEL_COLS * CANVAS_LETTER_WIDTH * TEXT_SCALE;
	m->top = MARGIN + LINE;
	m->canvas = (struct canvas){
		.width = m->left + m->cols * block_width(m) + MARGIN,
		.height = m->top + m->rows * block_height(m) + 4 * LINE + 2 * MARGIN,
		.ncolours = NCOLOURS,
		.colours = colours,
	};
}

static struct canvas_pen pen_at(uint32_t x, uint32_t y)
{
	return (struct canvas_pen){ .x = x, .y = y, .scale = TEXT_SCALE, .colour = INK };
}

/* The guest address of the page with this index. */
static gpa_t page_gpa(const struct map *m, uint64_t page)
{
	const struct mem_region *r = m->img->ram.regions;
	uint64_t off = page * MEM_PAGE_SIZE;

	while (off >= r->size) {
		off -= r->size;
		r++;
	}
	return r->gpa + off;
}

/* Rows that are lower than a line of text have a label now and then. */
static void draw_row_label(struct map *m, uint64_t page, uint32_t row)
{
	uint32_t every = (LINE + block_height(m) - 1) / block_height(m);
	struct canvas_pen pen = pen_at(0, m->top + row * block_height(m));
	char text[32];

	snprintf(text, sizeof(text), "%6lluM", (unsigned long long)(page_gpa(m, page) >> 20));
	if (row % every == 0)
		canvas_text(&m->canvas, pen, text);
}

static void draw_pages(struct map *m)
{
	for (uint64_t page = 0; page < m->npages; page++) {
		uint32_t block = (uint32_t)(page / BLOCK_PAGES);
		uint32_t inside = (uint32_t)(page % BLOCK_PAGES);
		struct canvas_box box = {
			.x = m->left + block % m->cols * block_width(m) +
			     inside % BLOCK_COLS * m->scale,
			.y = m->top + block / m->cols * block_height(m) +
			     inside / BLOCK_COLS * m->scale,
			.width = m->scale,
			.height = m->scale,
		};

		canvas_fill(&m->canvas, box, m->classes[page]);
		if (inside == 0 && block % m->cols == 0)
			draw_row_label(m, page, block / m->cols);
	}
}

static void draw_title(struct map *m)
{
	char text[160];

	snprintf(text, sizeof(text), "%.60s: %llu MiB, a square is a page, a block 2 MiB",
		 m->img->manifest.guest_program,
		 (unsigned long long)(mem_size(&m->img->ram) >> 20));
	canvas_text(&m->canvas, pen_at(m->left, MARGIN), text);
}

static void draw_legend(struct map *m)
{
	uint32_t side = (CANVAS_LETTER_HEIGHT - 2) * TEXT_SCALE;
	uint32_t y = m->top + m->rows * block_height(m) + MARGIN;

	for (enum colour c = ZERO; c < NCOLOURS; c++, y += LINE) {
		char text[80];

		canvas_fill(&m->canvas, (struct canvas_box){ m->left, y, side, side },
			    (uint8_t)c);
		snprintf(text, sizeof(text), "%s: %llu pages", class_names[c],
			 (unsigned long long)m->counts[c]);
		canvas_text(&m->canvas, pen_at(m->left + 2 * side, y), text);
	}
}

static int draw(struct map *m, struct err *err)
{
	int ret = canvas_init(&m->canvas, err);

	if (ret < 0)
		return ret;
	draw_title(m);
	draw_pages(m);
	draw_legend(m);
	return 0;
}

static int write_file(const struct canvas *c, const char *path, struct err *err)
{
	FILE *to = fopen(path, "we");
	int ret;

	if (!to)
		return err_sys(err, "%s", path);
	ret = canvas_write_png(c, to, err);
	if (fclose(to) != 0 && ret == 0)
		ret = err_sys(err, "write");
	return ret < 0 ? err_wrap(err, ret, "%s", path) : 0;
}

int memory_map_write(const struct image *img, const char *path, struct err *err)
{
	struct map m = { .img = img, .npages = mem_size(&img->ram) / MEM_PAGE_SIZE };
	int ret;

	if (mem_size(&img->ram) > MEMORY_MAP_MAX_RAM)
		return err_set(err, EFBIG,
			       "the machine has %" PRIu64 " MiB, largest that is drawn is %llu",
			       mem_size(&img->ram) >> 20, MEMORY_MAP_MAX_RAM >> 20);
	ret = classify(&m, err);
	if (ret == 0) {
		arrange(&m);
		ret = draw(&m, err);
	}
	if (ret == 0)
		ret = write_file(&m.canvas, path, err);
	canvas_fini(&m.canvas);
	free(m.classes);
	return ret;
}
