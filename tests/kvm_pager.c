/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_pager.c - guest memory that comes while the guest runs: it is right in whatever order it
 * is wanted; and a pager that stops is an error, soon, and never a wrong byte.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/uffd.h"
#include "snapshot/pager.h"
#include "snapshot/restore.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"
#include "tests/helpers_refuse.h"

#define FIELD_PAGES 2048 /* of tests/guest/field.c */

static struct frozen f;
static struct clone c;

static void setup(void)
{
	struct uffd u;
	struct err err = { 0 };
	int ret = uffd_open(&u, UFFD_MISSING, &err);

	if (ret == -EPERM || ret == -ENOSYS)
		cr_skip_test("%s", err.text);
	uffd_close(&u);
	frozen_make(&f, guest_path("tests/field"));
}

static void teardown(void)
{
	frozen_free(&f);
}

TestSuite(pager, .init = setup, .fini = teardown, .timeout = 120);

/* A plan with these first @n runs of pages as working set; NULL: none, and nothing pushed. */
static void plan_with(const struct wset_run *runs, uint32_t n)
{
	struct err err = { 0 };

	plan_fini(&f.template.plan);
	f.image.wset = (struct wset){ .record_runs = 1,
				      .nruns = n,
				      .runs = (struct wset_run *)(uintptr_t)runs };
	cr_assert(eq(int, plan_init(&f.template.plan, &f.image, &err), 0), "%s", err.text);
	f.image.wset = (struct wset){ 0 };
	if (n == 0)
		f.template.plan.nhot = f.template.plan.nready = 0;
}

static void expect_ok(const char *event)
{
	machine_expect(&c.machine, event, "ok");
}

/* The field's pages in several orders. Reads, then writes, then what was written. */
static void look_at_everything(void)
{
	expect_ok("7 8 3");
	expect_ok("5 333 700");
	expect_ok("w 2047 -2 900");
	expect_ok("0 1 2048");
	expect_ok("w 1 1 2000");
	expect_ok("2047 -1 2048");
}

Test(pager, memory_is_right_in_whatever_order_it_is_wanted)
{
	clone_make(&c, &f, &tier_lazy);
	look_at_everything();
	clone_free(&c);
}

Test(pager, nothing_needs_to_be_pushed)
{
	struct pager_stats s;
	uint64_t nframes = f.image.frames.header.nframes;
	struct err err = { 0 };

	plan_with(NULL, 0);
	clone_make(&c, &f, &tier_lazy);
	expect_ok("100 1 1");
	s = pager_stats(c.machine.pager);
	cr_expect(eq(u64, s.pushed, 0));
	cr_expect(lt(u64, s.served, nframes / 4), "one page is not all of them");
	cr_expect(gt(u64, s.served, 0));
	cr_expect(le(u64, s.faults, s.served + s.zero_pages));
	expect_ok("0 1 2048");
	s = pager_stats(c.machine.pager);
	cr_expect(ge(u64, s.served, FIELD_PAGES / 16));
	cr_expect(ge(u64, s.zero_pages, FIELD_PAGES / 8));
	/* Faults bring 64 KiB, not a page each. */
	cr_expect(lt(u64, s.faults, s.served * 2), "%llu faults", (unsigned long long)s.faults);
	cr_expect(eq(int, pager_finish(c.machine.pager, &err), 0), "%s", err.text);
	s = pager_stats(c.machine.pager);
	cr_expect(eq(u64, s.served + s.pushed, nframes), "every frame once");
	look_at_everything();
	clone_free(&c);
}

Test(pager, a_finished_machine_has_nobody_to_wait_for)
{
	struct err err = { 0 };

	clone_make(&c, &f, &tier_lazy);
	cr_expect(eq(int, machine_finish(&c.machine, &err), 0), "%s", err.text);
	cr_expect(eq(ptr, c.machine.pager, NULL));
	cr_expect(eq(int, machine_finish(&c.machine, &err), 0), "twice");
	look_at_everything();
	clone_free(&c);
}

Test(pager, a_lazy_machine_without_working_set_finishes_by_itself)
{
	clone_make(&c, &f, &tier_lazy);
	expect_ok("0 1 10");
	for (int i = 0; i < 500 && pager_is_busy(c.machine.pager); i++)
		usleep(10000);
	cr_expect(eq(int, pager_is_busy(c.machine.pager), 0));
	look_at_everything();
	clone_free(&c);
}

/* The pages of one frame. */
static struct wset_run run_at(uint64_t frame)
{
	const struct frames_entry *e = &f.image.frames.table[frame];

	return (struct wset_run){ .gpa = e->gpa, .pages = e->pages, .seen = 1 };
}

Test(pager, ready_decodes_the_working_set_and_serves_the_rest)
{
	uint64_t n = f.image.frames.header.nframes;
	const struct plan *p = &f.template.plan;
	struct wset_run runs[74];
	struct pager_stats s;
	uint32_t count = 0;

	/* Three of four frames of a few blocks, a frame each of two others. */
	for (uint64_t i = n / 2; count < 72; i += 1 + (i % 4 == 3))
		runs[count++] = run_at(i);
	runs[count++] = run_at(n / 3);
	runs[count++] = run_at(n - 1);
	plan_with(runs, count);
	cr_assert(eq(u64, p->nhot, count));
	cr_assert(lt(u64, p->nhot, p->nready), "a dense block has other frames");
	cr_assert(lt(u64, p->nready, n));
	clone_make(&c, &f, &tier_ready);
	cr_assert(ne(ptr, c.machine.pager, NULL));
	s = pager_stats(c.machine.pager);
	cr_expect(eq(u64, s.pushed, 0));
	look_at_everything();
	s = pager_stats(c.machine.pager);
	cr_expect(gt(u64, s.served, 0));
	cr_expect(le(u64, s.served, n - p->nready));
	clone_free(&c);
	clone_make(&c, &f, &tier_lazy);
	look_at_everything();
	clone_free(&c);
}

Test(pager, where_userfaultfd_is_refused_ready_decodes_all_and_lazy_says_why)
{
	const struct wset_run run = run_at(f.image.frames.header.nframes / 2);
	struct err err = { 0 };
	const char *why;

	plan_with(&run, 1);
	refuse_userfaultfd();
	clone_make(&c, &f, &tier_ready);
	cr_expect(eq(ptr, c.machine.pager, NULL));
	cr_expect(ne(ptr, (void *)tier_ready.lacks(), NULL));
	look_at_everything();
	cr_expect(eq(int, restore(&c.machine, &f.template, &tier_lazy, NULL, &err), -EPERM));
	cr_expect(ne(ptr, strstr(err.text, "vm.unprivileged_userfaultfd=1"), NULL), "%s",
		  err.text);
	clone_free(&c);
	template_close(&f.template);
	cr_assert(eq(int, template_open(&f.template, &f.image, &f.kvm, &err), 0), "%s",
		  err.text);
	cr_expect(eq(ptr, (void *)tier_choose(&f.template, 1, &why), (void *)&tier_eager));
}

Test(pager, auto_picks_by_what_is_known_of_the_image)
{
	const struct wset_run run = run_at(f.image.frames.header.nframes / 2);
	struct err err = { 0 };
	const char *why;

	template_close(&f.template);
	cr_assert(eq(int, template_open(&f.template, &f.image, &f.kvm, &err), 0), "%s",
		  err.text);
	cr_expect(eq(ptr, (void *)tier_choose(&f.template, 1, &why), (void *)&tier_lazy));
	cr_expect(eq(ptr, (void *)tier_choose(&f.template, 2, &why), (void *)&tier_map));
	plan_with(&run, 1);
	cr_expect(eq(ptr, (void *)tier_choose(&f.template, 1, &why), (void *)&tier_ready));
}

/* ---- a pager that stops ---- */

/* The error of an event that needs all of the field, and of the one after it. */
static int ask_all(struct err *err)
{
	static const char event[] = "0 1 2048";
	struct invocation inv = { .event = event,
				  .len = strlen(event),
				  .deadline = clock_monotonic() + 20 * NSEC_PER_SEC };
	struct mailbox_reply reply;
	int ret = machine_invoke(&c.machine, &inv, &reply, NULL, err);

	if (ret == 0)
		cr_expect(eq(int, reply.len == 2 && memcmp(reply.data, "ok", 2) == 0, 1),
			  "a wrong byte was seen: %.*s", (int)reply.len, reply.data);
	return ret;
}

/* Restore and ask; whichever of the two fails says why. */
static int start_and_ask(const struct tier *tier, struct err *err)
{
	int ret;

	c.mailbox_fd = mailbox_memfd(err);
	ret = machine_create(&c.machine, &f.kvm, &f.template.shape, c.mailbox_fd, err);
	cr_assert(eq(int, ret, 0), "%s", err->text);
	ret = restore(&c.machine, &f.template, tier, NULL, err);
	return ret < 0 ? ret : ask_all(err);
}

static void damage(uint64_t frame)
{
	int fd = open(scratch_path(f.dir, "memory.lz4"), O_RDWR);
	off_t at = (off_t)f.image.frames.table[frame].offset;
	uint8_t byte;

	cr_assert(eq(sz, pread(fd, &byte, 1, at), 1));
	byte ^= 0x40;
	cr_assert(eq(sz, pwrite(fd, &byte, 1, at), 1));
	close(fd);
}

/* A frame in the middle of the field. */
static uint64_t middle_frame(void)
{
	return f.image.frames.header.nframes / 2;
}

static void expect_damage(const char *what)
{
	struct err err = { 0 }, again = { 0 };
	nsec_t from = clock_monotonic();

	cr_expect(eq(int, start_and_ask(&tier_lazy, &err), -ERR_DAMAGED), "%s", err.text);
	cr_expect(ne(ptr, strstr(err.text, "/memory.lz4: "), NULL), "%s", err.text);
	cr_expect(ne(ptr, strstr(err.text, what), NULL), "%s", err.text);
	cr_expect(lt(u64, clock_monotonic() - from, 10 * NSEC_PER_SEC), "no hang");
	/* The machine is lost for good, and says the same again. */
	cr_expect(eq(int, machine_wait(&c.machine, 0, &again), -ERR_DAMAGED));
	cr_expect(eq(str, again.text, err.text));
	cr_expect(eq(int, machine_finish(&c.machine, &again), -ERR_DAMAGED));
	clone_free(&c);
}

Test(pager, a_damaged_frame_stops_the_machine)
{
	damage(middle_frame());
	expect_damage("crc32c");
}

Test(pager, a_damaged_frame_that_is_waited_for_stops_the_machine)
{
	plan_with(NULL, 0);
	damage(middle_frame());
	expect_damage("crc32c");
}

Test(pager, a_file_that_was_cut_stops_the_machine)
{
	plan_with(NULL, 0);
	cr_assert(eq(int,
		     truncate(scratch_path(f.dir, "memory.lz4"),
			      (off_t)f.image.frames.table[middle_frame()].offset),
		     0));
	expect_damage("ends at offset");
}

static int maps(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	int n = 0, ch;

	while ((ch = fgetc(file)) != EOF)
		n += ch == '\n';
	fclose(file);
	return n;
}

/* One life of a machine whose pager ends after @frames. Returns what came of it. */
static int life_with_fault(const struct tier *tier, uint64_t frames, struct err *err)
{
	int ret;

	pager_fault_point = frames;
	ret = start_and_ask(tier, err);
	clone_free(&c);
	pager_fault_point = 0;
	return ret;
}

Test(pager, wherever_it_ends_the_machine_stops_with_an_error_and_nothing_leaks)
{
	uint64_t n = f.image.frames.header.nframes;
	struct err err = { 0 };
	int fds, threads, mappings, failed = 0;

	life_with_fault(&tier_lazy, 1, &err);
	fds = count_entries("/proc/self/fd");
	threads = count_entries("/proc/self/task");
	mappings = maps();
	for (unsigned int i = 0; i < 100 / slow() + 1; i++) {
		struct err why = { 0 };
		int ret;

		plan_with(NULL, 0);
		if (i % 2)
			f.template.plan.nhot = n;
		ret = life_with_fault(&tier_lazy, 1 + (uint64_t)rand() % (n / 2), &why);
		failed += ret < 0;
		cr_expect(eq(int, ret == 0 || ret == -EIO, 1), "%d: %s", ret, why.text);
		if (ret < 0)
			cr_expect(ne(ptr, strstr(why.text, "fault point"), NULL), "%s",
				  why.text);
	}
	cr_expect(gt(int, failed, 0));
	cr_expect(eq(int, count_entries("/proc/self/fd"), fds));
	cr_expect(eq(int, count_entries("/proc/self/task"), threads));
	cr_expect(le(int, maps(), mappings + 4)); /* of malloc and thread stacks */
}

Test(pager, a_machine_may_go_while_its_memory_comes)
{
	clone_make(&c, &f, &tier_lazy);
	clone_free(&c); /* right away, whatever is in flight */
	plan_with(NULL, 0);
	clone_make(&c, &f, &tier_lazy);
	clone_free(&c);
}
