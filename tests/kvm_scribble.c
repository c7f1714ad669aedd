/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_scribble.c - a guest that scribbles over all registers, ports and rings (tests/guest/kernels/scribble.c):
 * whatever it does, this process goes on, answers in time and does not grow; and its machine can be rewound.
 *
 * SCRIBBLE_SECONDS=N: for so long; default 5. SCRIBBLE_SEED=N: of the first event. Default 1.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/rewind.h"
#include "tests/helpers_kvm.h"

#define GROWTH_MAX  (16u << 20) /* ours: of resident memory, the machine's own and all */
#define EVENTS_EACH 5u		/* of a machine */

static struct frozen f;

static unsigned long number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

/* Bytes of this process that are resident: proc(5), statm. */
static uint64_t resident(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long size, pages = 0;

	cr_assert(statm != NULL);
	cr_assert(eq(int, fscanf(statm, "%lu %lu", &size, &pages), 2));
	fclose(statm);
	return (uint64_t)pages * MEM_PAGE_SIZE;
}

/* Does the machine live afterwards? */
static bool scribble(struct machine *m, uint64_t seed)
{
	struct invocation inv = { .event = &seed,
				  .len = sizeof(seed),
				  .deadline = clock_monotonic() + slow() * 20 * NSEC_PER_SEC };
	struct mailbox_reply reply = { 0 };
	struct err err = { 0 };
	int ret = machine_invoke(m, &inv, &reply, NULL, &err);

	/* It may end its machine, and nothing else. */
	cr_assert(ret == 0 || ret == -ERR_CRASHED, "seed %" PRIu64 ": %s", seed, err.text);
	return ret == 0;
}

/* One machine: events, and a rewind after each. Returns how many it survived. */
static unsigned int one_machine(uint64_t seed)
{
	static struct clone c;
	struct rewind rewind;
	struct err err = { 0 };
	unsigned int n = 0;

	clone_make(&c, &f, &tier_map);
	cr_assert(eq(int, rewind_open(&rewind, &c.machine, &f.template, &err), 0), "%s",
		  err.text);
	while (n < EVENTS_EACH && scribble(&c.machine, seed + n)) {
		cr_assert(eq(int, rewind_machine(&rewind, &c.machine, &err), 0), "%s",
			  err.text);
		n++;
	}
	rewind_close(&rewind);
	clone_free(&c);
	return n;
}

Test(scribble, harms_only_the_guest, .timeout = 7200)
{
	static struct booted b;
	uint64_t seed = number_of("SCRIBBLE_SEED", 1), before = 0, machines = 0, lived = 0;
	nsec_t began = clock_monotonic();
	nsec_t seconds = (nsec_t)number_of("SCRIBBLE_SECONDS", 5) * NSEC_PER_SEC;
	int nfds = 0;

	booted_kind(&kind_linux);
	booted_kernel(&b, "tests/scribble.elf", "");
	frozen_from(&f, &b.machine);
	booted_free(&b);
	for (; clock_monotonic() - began < seconds; machines++) {
		lived += one_machine(seed + machines * EVENTS_EACH);
		if (machines == 3) {
			before = resident();
			nfds = count_entries("/proc/self/fd");
		}
	}
	cr_log_info("%" PRIu64 " machines, %" PRIu64 " events survived", machines, lived);
	cr_expect(gt(u64, lived, machines)); /* else this tests nothing */
	if (machines > 3) {
		cr_expect(lt(u64, resident(), before + GROWTH_MAX));
		cr_expect(eq(int, count_entries("/proc/self/fd"), nfds));
	}
	frozen_free(&f);
}
