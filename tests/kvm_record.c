/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_record.c - a record run sees just the pages that a guest touches, in order, and which of
 * them it writes to. tests/guest/touch.c touches what it is told to.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/record.h"
#include "tests/helpers_kvm.h"

#define PAGES	64u /* of touch.c, like the stamp */
#define STAMP	0x7468617720706167ull
#define OWN_MAX 100u /* pages that kindling, libc and the stack may need for an event */

static struct frozen f;
static struct mem mem;	  /* the frozen machine's memory, mapped */
static gpa_t gpas[PAGES]; /* where touch.c's pages are */
static struct wset wset;
static struct err err;

static void find_pages(void)
{
	const struct mem_region *r = &mem.regions[0];
	unsigned int found = 0;

	for (uint64_t off = 0; off < r->size; off += MEM_PAGE_SIZE) {
		uint64_t at[2];

		memcpy(at, r->host + off, sizeof(at));
		if (at[0] != STAMP)
			continue;
		cr_assert(lt(u64, at[1], PAGES));
		gpas[at[1]] = r->gpa + off;
		found++;
	}
	cr_assert(eq(u32, found, PAGES));
}

static void setup(void)
{
	void *p;

	frozen_make(&f, guest_path("tests/touch"));
	mem = f.template.shape.mem;
	cr_assert(eq(u32, mem.nregions, 1));
	p = mmap(NULL, mem.regions[0].size, PROT_READ, MAP_SHARED, f.template.memory_fd, 0);
	cr_assert(ne(ptr, p, MAP_FAILED));
	mem.regions[0].host = p;
	find_pages();
}

static void teardown(void)
{
	wset_fini(&wset);
	munmap(mem.regions[0].host, mem.regions[0].size);
	frozen_free(&f);
}

TestSuite(record, .init = setup, .fini = teardown, .timeout = 120);

static int record_these(const char *const *events, unsigned int nevents, unsigned int runs,
			nsec_t timeout)
{
	struct record_source src = { .kvm = &f.kvm,
				     .shape = &f.template.shape,
				     .state = &f.template.state,
				     .mem = &mem };
	struct record_event list[4];
	struct record_plan plan = {
		.runs = runs, .nevents = nevents, .events = list, .timeout = timeout
	};

	for (unsigned int i = 0; i < nevents; i++)
		list[i] = (struct record_event){ events[i], strlen(events[i]) };
	wset_fini(&wset);
	return record(&src, &plan, &wset, &err);
}

static void record_ok(const char *const *events, unsigned int nevents, unsigned int runs)
{
	int ret = record_these(events, nevents, runs, slow() * 10 * NSEC_PER_SEC);

	cr_assert(eq(int, ret, 0), "%s", err.text);
	cr_assert(eq(u32, wset.record_runs, nevents * runs));
}

/* touch.c's number of the page at @gpa, or -1: another page. */
static int number_of(gpa_t gpa)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		if (gpas[i] == gpa)
			return (int)i;
	}
	return -1;
}

/* The pages of touch.c in the working set, as events are written: "r5x2 w9x2", where xN is in
 * how many runs a page was seen. Joined runs are taken apart. */
static const char *touched(void)
{
	static char text[PAGES * 8];
	size_t at = 0;
	unsigned int others = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < wset.nruns; i++) {
		const struct wset_run *r = &wset.runs[i];

		for (uint32_t k = 0; k < r->pages; k++) {
			int number = number_of(r->gpa + k * MEM_PAGE_SIZE);

			if (number < 0)
				others++;
			else
				at += (size_t)snprintf(text + at, sizeof(text) - at,
						       "%s%c%dx%u", at ? " " : "",
						       r->flags & WSET_DIRTIED ? 'w' : 'r',
						       number, r->seen);
		}
	}
	cr_expect(others > 0 && others < OWN_MAX, "%u pages of the guest's own", others);
	return text;
}

Test(record, pages_are_seen_in_the_order_of_their_first_touch)
{
	static const char *const events[] = { "r40 r3 w20 r4 r5 r3 w63 w40 r0 r20 w7" };

	record_ok(events, 1, 1);
	cr_expect(eq(str, (char *)touched(), "w40x1 r3x1 w20x1 r4x1 r5x1 w63x1 r0x1 w7x1"));
}

Test(record, an_event_that_touches_nothing_leaves_only_the_guests_own)
{
	static const char *const events[] = { "" };

	record_ok(events, 1, 3);
	cr_expect(eq(str, (char *)touched(), ""));
	cr_expect(gt(u64, wset_count(&wset).dirtied, 0)); /* its stack, at least */
}

Test(record, every_page_can_be_touched)
{
	char event[PAGES * 5] = "", expected[PAGES * 8] = "";
	const char *const events[] = { event };

	for (unsigned int i = 0; i < PAGES; i++) {
		unsigned int number = i * 37 % PAGES;
		char what = i % 3 == 0 ? 'w' : 'r';

		sprintf(event + strlen(event), "%c%u ", what, number);
		sprintf(expected + strlen(expected), "%s%c%ux1", i ? " " : "", what, number);
	}
	record_ok(events, 1, 1);
	cr_expect(eq(str, (char *)touched(), expected));
}

Test(record, several_events_and_runs_are_one_working_set)
{
	static const char *const events[] = { "r1 r2 r9", "r30 w2 r1", "r1 r2 w9 w8" };

	record_ok(events, 3, 2);
	cr_expect(eq(str, (char *)touched(), "r1x6 w2x6 w9x4 r30x2 w8x2"));
	cr_expect(lt(u64, wset_count(&wset).always, wset_count(&wset).touched));
}

/* The start that was recorded is the one that happens: all its writes are known. */
Test(record, a_clone_writes_to_no_other_page)
{
	static const char *const events[] = { "r1 w2 r3 w60" };
	const struct mem_region *r = &mem.regions[0];
	static struct clone c;
	char *reply;

	record_ok(events, 1, 3);
	clone_make(&c, &f, &tier_map);
	reply = machine_ask(&c.machine, events[0]);
	cr_assert(eq(str, reply, "touched 4"));
	free(reply);
	for (uint64_t off = 0; off < r->size; off += MEM_PAGE_SIZE) {
		bool known = false;

		if (memcmp(r->host + off, c.machine.vm.mem.regions[0].host + off,
			   MEM_PAGE_SIZE) == 0)
			continue;
		for (uint32_t i = 0; i < wset.nruns; i++)
			known = known ||
				(wset.runs[i].flags & WSET_DIRTIED && off >= wset.runs[i].gpa &&
				 off - wset.runs[i].gpa < wset_run_size(&wset.runs[i]));
		cr_expect(known, "page at guest address 0x%llx", (unsigned long long)off);
	}
	clone_free(&c);
}

Test(record, a_guest_without_an_answer_is_an_error_and_leaves_nothing)
{
	static const char *const die[] = { "r1", "die" }, *const spin[] = { "spin" };
	int fds, tasks;

	cr_assert(eq(int, record_these(die, 2, 2, slow() * 10 * NSEC_PER_SEC), -ERR_CRASHED));
	cr_expect(eq(str, err.text,
		     "record run 2 of 4: the program exited with status 1, expected it to read "
		     "events from fd 3"));
	cr_expect(eq(ptr, wset.runs, NULL));
	fds = count_entries("/proc/self/fd");
	tasks = count_entries("/proc/self/task");
	cr_assert(eq(int, record_these(spin, 1, 1, slow() * NSEC_PER_SEC / 4), -ERR_TIMED_OUT));
	cr_expect(eq(str, err.text, "record run 1 of 1: the guest did not answer in time"));
	cr_expect(eq(u32, wset.nruns, 0));
	record_ok(die, 1, 2);
	cr_expect(eq(int, count_entries("/proc/self/fd"), fds));
	cr_expect(eq(int, count_entries("/proc/self/task"), tasks));
}

/* The thread that places pages gives up: the guest must not wait for it. */
Test(record, a_page_that_cannot_be_had_is_an_error_and_no_hang)
{
	static const char *const events[] = { "r1 w2" };
	uint64_t off = gpas[2] - mem.regions[0].gpa;

	munmap(mem.regions[0].host + off, MEM_PAGE_SIZE);
	cr_assert(eq(int, record_these(events, 1, 1, slow() * 10 * NSEC_PER_SEC), -EFAULT));
	cr_expect(
		eq(str, err.text, "record run 1 of 1: UFFDIO_COPY of 4096 bytes: Bad address"));
	cr_expect(eq(u32, wset.nruns, 0));
}
