/* SPDX-License-Identifier: Apache-2.0 */
/* svg.h - charts as inline SVG. Colours are CSS classes of html.c: c0, c1, ... */
#pragma once

#include <stdio.h>

#include "tools/measure/report.h"

#define SVG_COLOURS 10u

/* What an XML or HTML reader sees as exactly this text. NULL is nothing. */
void svg_text(const char *text, FILE *to);

/* A chart without anything to show gives a sentence instead. */
void svg_chart(const struct chart *c, FILE *to);
