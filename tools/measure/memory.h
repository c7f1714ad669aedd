/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h - what memory costs: a process's share of it, and the host's as a whole. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Of one process, bytes: smaps_rollup. */
struct memory_use {
	uint64_t uss; /* private: free without it */
	uint64_t pss; /* private, and its share of what it has with others */
};
/* Returns 0 or -errno. */
int memory_of(pid_t pid, struct memory_use *use);

/* Private bytes of a process in its mappings of what has @name in its own, as a memfd. Returns 0
 * or -errno. */
int memory_private(pid_t pid, const char *name, uint64_t *bytes);

/*
 * Of the host, bytes: /proc/meminfo, once what processes that ended had is free (ten seconds are
 * waited for that at most). @used is the sum of what the kernel says it has given out but for the
 * page cache: anonymous and shared memory, slabs, page tables of both stages, vmalloc with the
 * stacks, per-CPU memory. MemAvailable says the same from the other end, but where the host
 * takes free pages back it moves by itself, by hundreds of MiB.
 */
struct memory_host {
	uint64_t used, available, slab, page_tables, kernel_stack, vmalloc;
};
void memory_of_host(struct memory_host *m);
