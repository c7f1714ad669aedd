/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - starts of one image against what needs nothing but that image and this host, in
 * turn: the floor of a warm start, a machine made in the usual order, and, where the image has
 * memory.raw, a lazy private mapping of it from the page cache and from disk. They fill the table
 * "Peers", and the goals that any image can be asked about: 2, 3, 9 and 12.
 */
#pragma once

#include "tools/measure/goals.h"
#include "tools/measure/report.h"

struct peers_plan {
	const char *dir; /* of the image */
	const struct thaw_host *host;
	const struct thaw_image *image;
	const char *tier; /* only what is of this one: warm, map or ready; NULL: all */
	const void *event;
	size_t event_len;
	unsigned int timeout_ms; /* of each reply; 0: none */
	unsigned int rounds;	 /* samples of each */
	unsigned int budget_s;	 /* of each comparison; 0: none */
};

/* Errors: those of templates, starts and peers. What this host or image does not allow to be
 * measured is no error, and its row says why. */
int peers_measure(struct report *r, struct goals *g, const struct peers_plan *plan,
		  struct thaw_err *err);
