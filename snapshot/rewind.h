/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewind.h - a machine that ran back to the exact state of its template, in place: the pages
 * that it changed are found, compared and copied back into the same physical pages, so that no
 * mapping changes and the next start meets no fault; then registers, devices and mailbox.
 * Done at release, off the start path.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/flush.h"
#include "engine/pages.h"
#include "engine/util.h"

struct err;
struct machine;
struct phases;
struct template;

/* Ours: rewinds for which a page was never different before it is given back, once. */
#define REWIND_EQUAL_MAX 100u
/* Ours: pages that a machine keeps as its own copies, 16 MiB. What a start changes beyond them
 * is given back instead of copied, and costs the next one a fault. */
#define REWIND_PAGES_MAX 4096u
/* Ours: the same for pages of the mailbox's window, 1 MiB. */
#define REWIND_WINDOW_MAX 256u

struct rewind_stats {
	uint64_t rewinds;
	uint64_t searches; /* of RAM for copies of pages */
	uint64_t pages_compared;
	uint64_t pages_copied; /* of RAM, because they were different */
	uint64_t pages_given_back;
	uint64_t flushes;    /* page tables had changed, or may have */
	uint64_t full_loads; /* all of the vCPU's state had to be loaded */
};

/* One page of RAM of which this process has a copy of its own, or one that the window holds. */
struct rewind_page {
	uint8_t *host;
	const uint8_t *origin; /* the template's; NULL: zeros */
	uint32_t page;	       /* number in its area */
	uint16_t area;
	uint16_t equal; /* rewinds in a row at which it was not different */
};

/* A stretch of the machine's address space: a region of RAM, or the mailbox's window. */
struct rewind_area {
	uint8_t *host;
	const uint8_t *origin; /* NULL: zeros */
	uint64_t npages;
	uint64_t *owned;  /* bitmap: pages in the list below */
	uint64_t *tables; /* bitmap: pages that the template uses as page tables; NULL: none */
	uint64_t *given;  /* bitmap: pages that were given back for being equal: that it has
			     them again means that starts write to them, so they stay */
	uint32_t nowned;
};

#define REWIND_MAX_AREAS 5u /* MEM_MAX_REGIONS and the window */

struct rewind {
	const struct template *template;
	uint8_t *memory; /* the template's, mapped read-only */
	struct pages pages;
	enum flush_way flush_way;
	bool flush_vcpus;    /* at each rewind */
	bool tables_changed; /* seen by the rewind under way */
	int window_fd;	     /* the mailbox's; not owned */
	bool is_alone;	     /* no other process has the window */
	long faults;	     /* of this thread, at the last rewind */
	pid_t thread;
	uint64_t turns; /* of the machine's worker, at the last rewind */
	uint32_t nareas;
	struct rewind_area areas[REWIND_MAX_AREAS];
	struct rewind_page *owned;
	size_t nowned, cap;
	uint64_t *found; /* scratch bitmap, as long as that of the longest region of RAM */
	struct rewind_stats stats;
};

/*
 * rewind_open - get ready to rewind @m, which tier_map or tier_warm restored from @t, whether or
 * not it has run since.
 * Both outlive @r; the process that calls is the one that rewinds, and no other one writes to the
 * machine's window.
 * Errors: -EINVAL @t's memory cannot be mapped, or the state is that of another tier; -ENOMEM;
 * what findings_get and pages_open say. @r is safe to close then.
 */
int rewind_open(struct rewind *r, struct machine *m, const struct template *t,
		struct err *err) must_check;

/*
 * rewind_open_with - the same in a process that may open nothing any more, and whose caller writes to
 * the window, too. @pages: opened by it before; is taken over, also after an error.
 */
int rewind_open_with(struct rewind *r, struct machine *m, const struct template *t,
		     struct pages pages, struct err *err) must_check;
void rewind_close(struct rewind *r);

/*
 * rewind_machine - bring @m back: it waits for its first event again, with a new generation,
 * fresh entropy and a clock that goes on from the freeze.
 * Whatever the last run came to: a reply, a crash of the program, a deadline. The caller holds the worker's
 * lock: when he gives it back, devices go on, with what was left to them.
 * Errors: what KVM and the kernel say. @m can only be destroyed then.
 */
int rewind_machine(struct rewind *r, struct machine *m, struct err *err) must_check;

/*
 * rewind_verify - right after rewind_machine, with the lock not given back: is everything what it was? Reads
 * all memory and all state. Exempt is what has to differ: TSC and its deadline, the APIC's current count, the
 * clocks that KVM gives, generation, entropy and clock of the mailbox.
 * Errors: -EILSEQ, naming the first difference.
 */
int rewind_verify(struct rewind *r, struct machine *m, struct err *err) must_check;
