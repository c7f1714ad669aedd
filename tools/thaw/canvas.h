/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canvas.h - a small picture of few colours: rectangles, capital letters, and a PNG file of it
 * (ISO 15948: 8 bits a pixel, with a palette).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/util.h"

struct err;

#define CANVAS_MAX_PIXELS (64u << 20) /* ours: what is still looked at */

struct canvas_colour {
	uint8_t red, green, blue;
};

struct canvas {
	uint32_t width, height; /* pixels */
	uint32_t ncolours;
	const struct canvas_colour *colours; /* not owned; the first is the background */
	uint8_t *pixels;		     /* owned; row by row, each an index of colours */
};

/* Letters, with the space that follows each, and lines of text, at scale 1. */
#define CANVAS_LETTER_WIDTH  6u
#define CANVAS_LETTER_HEIGHT 9u

/* colours, ncolours, width and height are set. Errors: -EFBIG; -ENOMEM. */
int canvas_init(struct canvas *c, struct err *err) must_check;
void canvas_fini(struct canvas *c);

struct canvas_box {
	uint32_t x, y, width, height;
};
/* Paint what of @box is on the canvas. */
void canvas_fill(struct canvas *c, struct canvas_box box, uint8_t colour);

/*
 * canvas_text - write with the upper left corner at (x, y). Small letters are written as capitals,
 * what is no letter, digit or one of ". , : - /" as a gap. Returns the x after the text.
 */
struct canvas_pen {
	uint32_t x, y;
	uint32_t scale; /* pixels of a dot */
	uint8_t colour;
};
uint32_t canvas_text(struct canvas *c, struct canvas_pen pen, const char *text);

/* canvas_write_png - the whole file to @to. Errors: -ENOMEM; what fwrite says. */
int canvas_write_png(const struct canvas *c, FILE *to, struct err *err) must_check;
