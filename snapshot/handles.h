/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handles.h - what is behind the handles of thaw.h, for the files that implement it. Hosts,
 * images and templates are counted: by the caller, and by everything that was made from them.
 */
#pragma once

#include <pthread.h>

#include "engine/err.h"
#include "engine/kvm.h"
#include "snapshot/image.h"
#include "snapshot/template.h"
#include "snapshot/thaw.h"
#include "snapshot/tier.h"

struct thaw_host {
	unsigned int uses; /* first; atomic */
	struct kvm kvm;
	pthread_mutex_t lock;	      /* of the list; never taken by a start */
	struct thaw_template *filled; /* those with memory in a memfd, or soon: sharing.h */
};

struct thaw_image {
	unsigned int uses; /* first; atomic */
	struct image image;
	struct disk_choices choices; /* of its drives */
};

struct thaw_template {
	unsigned int uses; /* first; atomic */
	struct thaw_host *host;
	struct thaw_image *image;
	struct template template;
	const struct tier *tier;
	char why[160];
	struct thaw_template *next; /* in the host's list; under its lock */
	pthread_mutex_t filling;    /* held until the memory is there, or is not to be had */
};

/* The same struct by its two names. */
static inline struct err *handle_err(struct thaw_err *err)
{
	return (struct err *)(void *)err;
}

struct phases;
struct rewind_stats;

void handle_stamps(const struct phases *phases, struct thaw_stamps *stamps);
void handle_rewinds(const struct rewind_stats *s, struct thaw_rewinds *rewinds);

/* A zeroed handle, or NULL and a sentence. */
void *handle_make(size_t size, struct thaw_err *err);

/* One more use of a host, an image or a template. That is no change that whoever has it const
 * could see. */
static inline void *handle_hold(const void *handle)
{
	void *held = (void *)(uintptr_t)handle;

	__atomic_fetch_add((unsigned int *)held, 1, __ATOMIC_RELAXED);
	return held;
}

/* The same for one that may be on its way out: false if it is. */
static inline bool handle_hold_live(unsigned int *uses)
{
	unsigned int n = __atomic_load_n(uses, __ATOMIC_RELAXED);

	while (n > 0 && !__atomic_compare_exchange_n(uses, &n, n + 1, true, __ATOMIC_RELAXED,
						     __ATOMIC_RELAXED))
		;
	return n > 0;
}

/* True for the last one, which takes the thing apart. */
static inline bool handle_drop(unsigned int *uses)
{
	return __atomic_sub_fetch(uses, 1, __ATOMIC_ACQ_REL) == 0;
}
