/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_bench.c - do the benchmark's instruments measure what they say? */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/dirtied.h"
#include "bench/park.h"
#include "bench/pooled.h"
#include "tests/helpers_nest.h"
#include "tools/measure/bare.h"
#include "tools/measure/count.h"
#include "tools/measure/memory.h"
#include "tools/measure/usual.h"
#include "tools/thaw/cmd.h"

Test(bench, the_bare_round_trip_stops_at_the_doorbell_every_time, .timeout = 60)
{
	static struct bare bare;
	struct thaw_err err = { 0 };
	static struct kvm kvm;
	double us = 0;

	cr_assert(eq(int, kvm_open(&kvm, NULL), 0));
	cr_assert(eq(int, bare_open(&bare, &kvm, &err), 0), "%s", err.text);
	for (int i = 0; i < 100; i++) {
		cr_assert(eq(int, bare_sample(&bare, &us, &err), 0), "%s", err.text);
		cr_assert(gt(dbl, us, 0));
	}
	cr_expect(eq(u64, bare.machine.mailbox->violations, 0));
	bare_close(&bare);
	kvm_close(&kvm);
}

/* Where ring 0 is emulated, KVM counts what we say that there is; elsewhere, nothing. */
Test(bench, the_bare_loop_of_ring_0_has_as_many_instructions_as_it_says, .timeout = 60)
{
	static struct bare bare;
	static struct kvm kvm;
	uint64_t before, n, least = UINT64_MAX;
	struct thaw_err err = { 0 };
	double us = 0;

	cr_assert(eq(int, kvm_open(&kvm, NULL), 0));
	cr_assert(eq(int, bare_open_ring0(&bare, &kvm, &err), 0), "%s", err.text);
	cr_assert(eq(int, bare_sample(&bare, &us, &err), 0), "%s", err.text);
	for (int i = 0; i < 20; i++) {
		before = vcpu_counts_emulated(&kvm, bare.machine.vm.vcpus[0].fd);
		cr_assert(eq(int, bare_sample(&bare, &us, &err), 0), "%s", err.text);
		n = vcpu_counts_emulated(&kvm, bare.machine.vm.vcpus[0].fd) - before;
		least = MIN(least, n); /* others are interrupted, and do one of them again */
	}
	cr_expect(eq(u64, least,
		     kvm.quirks & QUIRK_SLOW_RING0 ? BARE_RING0_INSTRUCTIONS + 1 : 0));
	bare_close(&bare);
	kvm_close(&kvm);
}

Test(bench, a_machine_made_in_the_usual_order_answers, .timeout = 120)
{
	static struct frozen f;
	static struct usual u;
	struct thaw_err err = { 0 };
	double us = 0;

	frozen_make(&f, guest_path("echo"));
	cr_assert(eq(int, usual_open(&u, &f.kvm, f.dir, &err), 0), "%s", err.text);
	u.event = "ping";
	u.event_len = 4;
	u.echoes = true;
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, usual_sample(&u, &us, &err), 0), "%s", err.text);
	cr_expect(gt(dbl, us, 0));
	usual_close(&u);
	frozen_free(&f);
}

Test(bench, parked_clones_answer_again_and_their_memory_is_looked_at, .timeout = 120)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct park p = { 0 };
	struct dirtied d;
	uint64_t private = 0;
	nsec_t wall = 0;

	nest_begin(&n, "echo");
	cr_assert(eq(int, park_open(&p, n.zygote, n.template, 5, &err), 0), "%s", err.text);
	cr_assert(eq(int, park_ask(&p, 0, 5, 1, &wall, &err), 0), "%s", err.text);
	cr_expect(gt(u64, wall, 0));
	cr_assert(eq(int, park_ask(&p, 3, 4, 2, &wall, &err), 0), "%s", err.text);
	cr_assert(
		eq(int, dirtied_measure(&d, &n.f.kvm, n.f.dir, "event 1 of clone 1", &err), 0),
		"%s", err.text);
	cr_expect(gt(u64, d.changed, 0));
	cr_expect(ge(u64, d.written, d.changed));
	if (memory_private(park_pid(&p, 3), "memfd:thaw-template", &private) == 0)
		cr_expect(ge(u64, private, d.changed));
	park_close(&p);
	nest_free(&n);
}

/* A clone that answers wrongly must be seen: tiny does not echo. */
Test(bench, a_wrong_reply_is_an_error_and_no_sample, .timeout = 120)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct park p = { 0 };
	struct pooled pooled;
	nsec_t wall = 0;
	double us;

	nest_begin(&n, "tiny");
	cr_assert(eq(int, park_open(&p, n.zygote, n.template, 1, &err), 0), "%s", err.text);
	cr_expect(eq(int, park_ask(&p, 0, 1, 1, &wall, &err), -EIO));
	cr_expect(ne(ptr, strstr(err.text, "clone 0 answered"), NULL), "%s", err.text);
	park_close(&p);
	cr_assert(eq(int, pooled_open(&pooled, n.zygote, n.template, "ping", "ping", &err), 0),
		  "%s", err.text);
	cr_expect(eq(int, pooled_sample(&pooled, &us, &err), -EIO));
	pooled_close(&pooled);
	nest_free(&n);
}

Test(bench, a_pool_is_filled_when_no_shell_waits, .timeout = 120)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct pooled pooled;
	double us = 0;

	nest_begin(&n, "echo");
	cr_assert(eq(int, pooled_open(&pooled, n.zygote, n.template, "ping", "ping", &err), 0),
		  "%s", err.text);
	for (int i = 0; i < 40; i++) {
		cr_assert(eq(int, pooled_sample(&pooled, &us, &err), 0), "%s", err.text);
		cr_expect(gt(dbl, us, 0));
	}
	pooled_close(&pooled);
	nest_free(&n);
}

/* ---- counts ---- */

static uint8_t *pages;

/* Without a look at a sanitizer's shadow, which has pages of its own. */
__attribute__((no_sanitize_address)) static int seven_calls_three_pages(void *arg,
									struct thaw_err *err)
{
	(void)arg;
	(void)err;
	for (int i = 0; i < 7; i++)
		syscall(SYS_getuid);
	for (int i = 0; i < 3; i++, pages += 4096)
		*pages = 1;
	return 0;
}

/* Once beforehand: code has had its faults then. */
static int prepare(void *arg, struct thaw_err *err)
{
	pages = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	return pages == MAP_FAILED ? -ENOMEM : seven_calls_three_pages(arg, err);
}

static int do_nothing(void *arg, struct thaw_err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static int failing(void *arg, struct thaw_err *err)
{
	(void)arg;
	return err_set(cmd_err(err), EIO, "it broke");
}

static int dying(void *arg, struct thaw_err *err)
{
	(void)arg;
	(void)err;
	_exit(3);
}

Test(bench, system_calls_and_page_faults_are_counted_exactly, .timeout = 60)
{
	const struct counted what = { prepare, seven_calls_three_pages, NULL };
	const struct counted nothing = { prepare, do_nothing, NULL };
	struct thaw_err err = { 0 };
	struct counts c, none; /* faults without a run are the sanitizer's */

	cr_assert(eq(int, count_run(&none, &nothing, &err), 0), "%s", err.text);
	cr_assert(eq(int, count_run(&c, &what, &err), 0), "%s", err.text);
	cr_expect(eq(uint, c.calls, 7));
	cr_expect(eq(uint, c.faults - none.faults, 3));
	cr_expect(eq(uint, none.calls, 0));
}

Test(bench, what_goes_wrong_while_counting_is_told, .timeout = 60)
{
	const struct counted fails = { prepare, failing, NULL };
	const struct counted dies = { prepare, dying, NULL };
	struct thaw_err err = { 0 };
	struct counts c;

	cr_expect(eq(int, count_run(&c, &fails, &err), -EIO));
	cr_expect(eq(str, err.text, "it broke"));
	cr_expect(eq(int, count_run(&c, &dies, &err), -EIO));
	cr_expect(ne(ptr, strstr(err.text, "died"), NULL), "%s", err.text);
}
