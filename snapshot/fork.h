/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork.h - a machine that goes on running, as a layer on the image that it was restored from:
 * its state and the pages that differ from its template's.
 *
 * In two steps, because only the first one needs the machine to stand still: fork_begin copies
 * state and changed pages away, on the machine's thread; fork_write compares, compresses and
 * writes, on any thread, while the machine runs on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/mem.h"
#include "engine/util.h"
#include "snapshot/machine_state.h"
#include "snapshot/manifest.h"

struct err;
struct frames_page;
struct kvm;
struct machine;
struct pages;
struct template;

/* Guest pages that follow each other. */
struct fork_run {
	gpa_t gpa;
	uint64_t npages;
};

struct fork_stats {
	nsec_t pause_ns;       /* the machine stood still */
	uint64_t pages_copied; /* meanwhile */
	uint64_t pages_stored; /* they were different */
	uint64_t size;	       /* bytes of the layer's files but the manifest */
};

struct fork {
	const struct kvm *kvm;
	const struct template *template; /* not owned: outlives the fork */
	struct machine_state state;
	struct fork_run *runs; /* what @copies holds, in rising order */
	size_t nruns, cap;
	struct frames_page *different; /* among the copies; found when the layer is written */
	struct mem copies; /* one region: the pages of @runs, one behind the other */
	int disk_files[MANIFEST_MAX_DRIVES]; /* what it wrote to drives: disk_files_take */
	bool has_disks;			     /* the above were taken */
	struct fork_stats stats;
};

/*
 * fork_begin - copy what makes @m this machine. It waits for an event, and goes on waiting.
 * @t: what tier_map or tier_warm restored @m from.
 * Errors: -EBUSY @m does not wait for an event; -EINVAL @t's memory is not mapped; -E2BIG too
 * many layers already; -ENOMEM; what KVM says. @f is safe to close in every case.
 * Cost: about 150 us and 0.5 us for each page that @m has changed, however much RAM it has.
 */
int fork_begin(struct fork *f, struct machine *m, const struct template *t,
	       struct err *err) must_check;

/* May a machine of @t be forked? Errors: as fork_begin, of @t. */
int fork_check(const struct template *t, struct err *err) must_check;

/*
 * fork_look - the part of fork_begin that copies no memory: takes down @m's state, and which pages
 * it has changed. They are for the caller to copy, before @m runs. He holds the worker's lock meanwhile.
 * @pages: of this process. Errors: as fork_begin, of @m.
 */
int fork_look(struct fork *f, struct machine *m, const struct pages *pages,
	      struct err *err) must_check;

/* Room for .stats.pages_copied copies. Errors: -ENOMEM. */
int fork_map_copies(struct fork *f, struct err *err) must_check;

/* Would a layer with this state fit the host that it comes from? Errors: -ERR_UNFIT; -ENOMEM. */
int fork_fits(const struct fork *f, struct err *err) must_check;

/*
 * fork_write - write the layer to the directory @dir, atomically; once more where wanted: each
 * is an image of its own. @sync: wait until it is on the disk.
 * Errors: -EEXIST @dir is something else; -ENOMEM; the file system's.
 */
int fork_write(struct fork *f, const char *dir, bool sync, struct err *err) must_check;

void fork_close(struct fork *f);
