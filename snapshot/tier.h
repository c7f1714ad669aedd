/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tier.h - the ways in which guest memory gets into a shell. A tier is a row here and a
 * function in tier.c; restore() knows nothing else about it.
 */
#pragma once

#include <stdbool.h>

#include "engine/util.h"

struct err;
struct machine;
struct template;

struct tier {
	const char *name;
	const char *meaning;
	bool needs_fill; /* template_fill() comes before the first start */
	bool maps;	 /* guest memory is a private mapping of the template's */
	bool whole_only; /* reads frames one by one: what a layer leaves out is not among them */
	bool needs_raw;	 /* maps the image's memory.raw, which not every image has */
	bool rewinds;	 /* clones are made to be rewound and used again (rewind.h) */
	/* Part of making the shell, off the start path; NULL: nothing to do ahead. */
	int (*prepare)(struct machine *m, const struct template *t, struct err *err);
	/* Once for a template, before the first start; may take long; NULL: nothing to check. */
	int (*check)(const struct template *t, struct err *err);
	/* Is what clones have mapped still what was checked? One system call; NULL: nobody can
	 * change it. */
	int (*recheck)(const struct template *t, struct err *err);
	/* Put the template's memory behind @m's regions, in place. */
	int (*attach)(struct machine *m, const struct template *t, struct err *err);
	/* What this host lacks, so that the tier is less than it could be: a few words, or NULL. */
	const char *(*lacks)(void); /* NULL: nothing ever */
};

extern const struct tier
	tier_map; /* private mapping of the template, pages come when touched */
extern const struct tier tier_warm; /* the same, and rewound after each event */
extern const struct tier
	tier_ready; /* working set decoded into huge pages, the rest when touched */
extern const struct tier tier_raw;	 /* private mapping of the image's memory.raw */
extern const struct tier tier_lazy;	 /* starts at once, memory comes while it runs */
extern const struct tier tier_eager;	 /* everything decoded before the first instruction */
extern const struct tier *const tiers[]; /* NULL at the end */

/* A tier by name, or NULL. "auto" is no tier: tier_choose. */
const struct tier *tier_find(const char *name);

/* May clones of @t be of this tier? Errors: -EINVAL, with those that may. */
int tier_check(const struct tier *tier, const struct template *t, struct err *err) must_check;

/* tier_open - before the first start of @t: check what is not checked at each. Errors: -EINVAL
 * the image has not what the tier needs; -ERR_DAMAGED; -ESTALE. */
int tier_open(const struct tier *tier, const struct template *t, struct err *err) must_check;

/* tier_recheck - after a start or a reply: is what is mapped still right? Errors: -ESTALE. */
int tier_recheck(const struct tier *tier, const struct template *t, struct err *err) must_check;

/*
 * tier_choose - what `auto` means for this many starts of one template.
 * @why: gets the reason, a few words for the timeline.
 */
const struct tier *tier_choose(const struct template *t, unsigned int starts, const char **why);
