/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_rewind.c - machines that did their worst are what their template is after a rewind: by
 * comparison of all memory and state, and by what the guest itself finds (tests/guest/spoiler.c,
 * tests/guest/kernels/worst.c).
 *
 * REWINDS=N: repetitions of the long ones; else 200.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "engine/err.h"
#include "engine/findings.h"
#include "snapshot/rewind.h"
#include "tests/guest/kernels/obey.h"
#include "tests/guest/kernels/worst.h"
#include "tests/helpers_kvm.h"

/* A slot: a clone with what it takes to rewind it. */
struct slot {
	struct frozen f;
	struct clone c;
	struct rewind r;
};

static unsigned int repetitions(unsigned int default_n)
{
	const char *text = getenv("REWINDS");

	return text ? (unsigned int)strtoul(text, NULL, 10) : default_n;
}

static void slot_open(struct slot *s)
{
	struct err err = { 0 };

	clone_make(&s->c, &s->f, &tier_warm);
	cr_assert(eq(int, rewind_open(&s->r, &s->c.machine, &s->f.template, &err), 0), "%s",
		  err.text);
}

static void slot_of_program(struct slot *s, const char *name)
{
	frozen_make(&s->f, guest_path(name));
	slot_open(s);
}

static void frozen_of_kernel(struct frozen *f, const char *name)
{
	static struct booted b;

	booted_kernel(&b, name, "");
	frozen_from(f, &b.machine);
	booted_free(&b);
}

static void slot_of_kernel(struct slot *s, const char *name)
{
	frozen_of_kernel(&s->f, name);
	slot_open(s);
}

static void slot_close(struct slot *s)
{
	rewind_close(&s->r);
	clone_free(&s->c);
	frozen_free(&s->f);
}

static void rewind_checked(struct slot *s)
{
	struct err err = { 0 };

	worker_lock(&s->c.machine.vm.worker);
	cr_assert(eq(int, rewind_machine(&s->r, &s->c.machine, &err), 0), "%s", err.text);
	cr_assert(eq(int, rewind_verify(&s->r, &s->c.machine, &err), 0), "%s", err.text);
	worker_unlock(&s->c.machine.vm.worker);
}

static void rewind_plain(struct slot *s)
{
	struct err err = { 0 };

	worker_lock(&s->c.machine.vm.worker);
	cr_assert(eq(int, rewind_machine(&s->r, &s->c.machine, &err), 0), "%s", err.text);
	worker_unlock(&s->c.machine.vm.worker);
}

/* Hand over an event of bytes; the reply is copied to @reply. Returns its size. */
static size_t ask_bytes(struct slot *s, const void *event, size_t len, void *reply, size_t room)
{
	struct invocation inv = { .event = event,
				  .len = len,
				  .deadline = clock_monotonic() + slow() * 10 * NSEC_PER_SEC };
	struct mailbox_reply r = { 0 };
	struct err err = { 0 };

	cr_assert(eq(int, machine_invoke(&s->c.machine, &inv, &r, NULL, &err), 0), "%s",
		  err.text);
	memcpy(reply, r.data, MIN(r.len, room));
	return r.len;
}

/* AddressSanitizer keeps what was freed for a while. */
#if defined(__SANITIZE_ADDRESS__)
static const bool frees_late = true;
#else
static const bool frees_late = false;
#endif

static size_t resident_pages(void)
{
	size_t size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	cr_assert(ne(ptr, f, NULL));
	cr_assert(eq(int, fscanf(f, "%zu %zu", &size, &resident), 2));
	fclose(f);
	return resident;
}

/* ---- ring 0 ---- */

static void expect_seen(const struct worst_seen *seen, const struct worst_seen *first,
			const struct worst_event *before)
{
	const uint64_t *a = (const uint64_t *)seen, *b = (const uint64_t *)first;

	for (size_t i = 0; i < sizeof(*seen) / sizeof(*a); i++)
		cr_assert(eq(u64, a[i], b[i]),
			  "word %zu of struct worst_seen, after event 0x%x of seed %u", i,
			  before->what, before->seed);
}

/* What QEMU 7.2 dies of when a guest of its guest does it, by an assertion or SIGSEGV; or what
 * leaves its guest without AVX (XCR0). */
#define TCG_CANNOT (uint32_t)(WORST_DEBUG | WORST_APIC | WORST_XCR0)

/* @n events of @all that may be done: each alone first, then all together, then any of them. */
static void do_worst(struct slot *s, unsigned int n, uint32_t all)
{
	static struct worst_seen first, seen;
	struct worst_event e = { 0 };
	size_t resident = 0;

	booted_ram(16u << 20);
	slot_of_kernel(s, "tests/worst.elf");
	srandom(1);
	for (unsigned int i = 0; i < n; i++) {
		struct worst_event before = e;

		e.what = all & (i < WORST_KINDS	   ? 1u << i
				: i == WORST_KINDS ? WORST_ALL
						   : (uint32_t)random());
		e.seed = (uint32_t)random();
		cr_assert(
			eq(sz, ask_bytes(s, &e, sizeof(e), &seen, sizeof(seen)), sizeof(seen)));
		if (i == 0)
			first = seen;
		expect_seen(&seen, &first, &before);
		rewind_checked(s);
		if (i == n / 2)
			resident = resident_pages();
	}
	cr_expect(eq(u64, first.look, 0xaaaa));
	/* In the second half nothing is added any more; pages of libc's may come and go. */
	if (n >= 100 && !frees_late)
		cr_expect(lt(sz, resident_pages(), resident + 64));
}

Test(rewind, a_kernel_that_does_its_worst, .timeout = 600)
{
	static struct slot s;
	unsigned int n = repetitions(200);

	do_worst(&s, n, host_is_tcg() ? WORST_ALL & ~TCG_CANNOT : WORST_ALL);
	cr_expect(gt(u64, s.r.stats.flushes, n / 8));
	slot_close(&s);
}

Test(rewind, a_kernel_that_sets_breakpoints_its_priority_and_xcr0, .timeout = 60)
{
	static struct slot s;

	if (host_is_tcg())
		cr_skip_test("QEMU fails at debug registers, CR8 and XCR0 of a nested guest");
	do_worst(&s, 40, TCG_CANNOT);
	slot_close(&s);
}

static void forget_msr(struct vcpu_msrs *msrs, uint32_t index)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < msrs->n; i++) {
		if (msrs->entries[i].index != index)
			msrs->entries[kept++] = msrs->entries[i];
	}
	cr_assert(eq(u32, kept, msrs->n - 1));
	msrs->n = kept;
}

/* An image of a KVM that did not have one yet. */
Test(rewind, msrs_that_the_image_does_not_hold_cannot_be_written, .timeout = 60)
{
	static struct slot s;
	static struct worst_seen first, seen;
	struct worst_event e = { .what = WORST_MSRS, .seed = 0x1200 };

	booted_ram(16u << 20);
	frozen_of_kernel(&s.f, "tests/worst.elf");
	forget_msr(&s.f.template.state.vcpus[0].msrs, 0xc0000083); /* IA32_CSTAR */
	slot_open(&s);
	ask_bytes(&s, &e, sizeof(e), &first, sizeof(first));
	rewind_plain(&s);
	ask_bytes(&s, &e, sizeof(e), &seen, sizeof(seen));
	expect_seen(&seen, &first, &e);
	slot_close(&s);
}

static uint64_t look(struct slot *s, const char *event)
{
	uint64_t seen = 0;

	cr_assert(eq(sz, ask_bytes(s, event, 1, &seen, sizeof(seen)), sizeof(seen)));
	return seen;
}

/* In ring 3, so that without the flush the entry that was changed back would stay in use. */
Test(rewind, changed_page_tables_are_noticed, .timeout = 60)
{
	static struct slot s;

	booted_ram(16u << 20);
	slot_of_kernel(&s, "tests/remap.elf");
	cr_expect(eq(u64, look(&s, "r"), 0xbbbb));
	rewind_checked(&s);
	cr_expect(eq(u64, s.r.stats.flushes, 1));
	cr_expect(eq(u64, look(&s, "l"), 0xaaaa));
	rewind_checked(&s);
	cr_expect(eq(u64, s.r.stats.flushes, 1), "only when tables had changed");
	slot_close(&s);
}

/* KVM marks the entry for the guest, in the exit that the doorbell makes anyway: no count of its
 * own tells. */
Test(rewind, a_bit_that_kvm_sets_in_a_page_table_is_noticed, .timeout = 60)
{
	static struct slot s;

	booted_ram(16u << 20);
	slot_of_kernel(&s, "tests/remap.elf");
	for (int i = 0; i < 20; i++) {
		cr_expect(eq(u64, look(&s, i % 5 == 4 ? "a" : "l"), 0xaaaa));
		rewind_checked(&s);
	}
	slot_close(&s);
}

/* ---- programs ---- */

/* Every fifth event is left half read by a program that dies. */
Test(rewind, a_program_that_spoils_what_it_can, .timeout = 600)
{
	static struct slot s;
	static char first[256], text[256], event[4096];
	unsigned int n = repetitions(200);

	booted_ram(32u << 20);
	slot_of_program(&s, "tests/spoiler");
	srandom(2);
	for (unsigned int i = 0; i < n; i++) {
		struct invocation inv = { .event = event, .len = sizeof(event) };
		struct mailbox_reply r;
		struct err err = { 0 };
		bool dies = i % 5 == 4;

		memset(event, ' ', sizeof(event));
		snprintf(event, sizeof(event), "%s%ld", dies ? "die" : "   ",
			 random() % 4000000);
		cr_assert(eq(int, machine_invoke(&s.c.machine, &inv, &r, NULL, &err),
			     dies ? -ERR_CRASHED : 0),
			  "%s", err.text);
		if (!dies) {
			memcpy(text, r.data, sizeof(text) - 1);
			*strchrnul(text, '\n') = '\0';
		}
		if (i == 0)
			strcpy(first, text);
		cr_assert(eq(str, text, first), "after %u rewinds", i);
		rewind_checked(&s);
		cr_assert(le(sz, s.r.nowned, REWIND_PAGES_MAX + REWIND_WINDOW_MAX));
	}
	slot_close(&s);
}

Test(rewind, every_copy_is_its_own, .timeout = 60)
{
	static struct slot s;
	static char replies[8][160];

	slot_of_program(&s, "tests/barrier");
	for (int i = 0; i < 8; i++) {
		memset(replies[i], 0, sizeof(replies[i]));
		ask_bytes(&s, "go", 2, replies[i], sizeof(replies[i]) - 1);
		cr_expect(eq(int, strncmp(replies[i], "ok random=", 10), 0), "%s", replies[i]);
		for (int k = 0; k < i; k++)
			cr_expect(ne(int, strncmp(replies[i], replies[k], 26), 0));
		rewind_checked(&s);
	}
	slot_close(&s);
}

Test(rewind, hooks_run_after_each, .timeout = 60)
{
	static struct slot s;
	char reply[256];

	slot_of_program(&s, "tests/hooks");
	for (int i = 0; i < 3; i++) {
		memset(reply, 0, sizeof(reply));
		ask_bytes(&s, "x", 1, reply, sizeof(reply) - 1);
		cr_expect(eq(int, strncmp(reply, "before 2 1after 1 2 ", 20), 0), "%s", reply);
		rewind_checked(&s);
	}
	slot_close(&s);
}

/* The short way, no more pages than were changed, and no search where KVM's counts tell that there
 * is nothing to find. */
Test(rewind, little_is_done_for_little, .timeout = 60)
{
	static struct slot s;
	struct findings findings;
	struct err err = { 0 };
	char reply[64];

	slot_of_program(&s, "echo");
	for (int i = 0; i < 200; i++) {
		cr_assert(eq(sz, ask_bytes(&s, "hello", 5, reply, sizeof(reply)), 5));
		rewind_plain(&s);
	}
	cr_expect(eq(u64, s.r.stats.rewinds, 200));
	cr_expect(eq(u64, s.r.stats.full_loads, s.f.kvm.sync_regs ? 0 : 200));
	cr_expect(eq(u64, s.r.stats.flushes, 0));
	cr_expect(lt(u64, s.r.stats.pages_copied, 200 * 8));
	cr_assert(eq(int, findings_get(&s.f.kvm, &findings, &err), 0), "%s", err.text);
	cr_expect(le(u64, s.r.stats.searches, findings.counts.size ? 100 : 200));
	slot_close(&s);
}

/* A machine that nobody thought of rewinding before it ran, as those of a pool. */
static void slot_late(struct slot *s, const void *event, size_t len)
{
	uint8_t reply[sizeof(struct worst_seen)];
	struct err err = { 0 };

	clone_make(&s->c, &s->f, &tier_map);
	ask_bytes(s, event, len, reply, sizeof(reply));
	cr_assert(eq(int, rewind_open(&s->r, &s->c.machine, &s->f.template, &err), 0), "%s",
		  err.text);
	rewind_checked(s);
}

Test(rewind, nothing_more_is_done_for_a_machine_that_ran_before, .timeout = 60)
{
	static struct slot s;

	frozen_make(&s.f, guest_path("echo"));
	slot_late(&s, "hello", 5);
	cr_expect(eq(u64, s.r.stats.full_loads, s.f.kvm.sync_regs ? 0 : 1));
	cr_expect(eq(u64, s.r.stats.flushes, 0));
	slot_close(&s);
}

Test(rewind, what_it_did_before_to_an_entry_of_its_tables_is_noticed, .timeout = 60)
{
	static struct slot s;

	booted_ram(16u << 20);
	frozen_of_kernel(&s.f, "tests/remap.elf");
	slot_late(&s, "r", 1);
	cr_expect(eq(u64, s.r.stats.flushes, 1));
	cr_expect(eq(u64, look(&s, "l"), 0xaaaa));
	slot_close(&s);
}

Test(rewind, that_it_went_over_to_other_tables_before_is_noticed, .timeout = 60)
{
	static const struct worst_event e = { .what = WORST_TABLES, .seed = 1 };
	static struct slot s;

	booted_ram(16u << 20);
	frozen_of_kernel(&s.f, "tests/worst.elf");
	slot_late(&s, &e, sizeof(e));
	cr_expect(eq(u64, s.r.stats.full_loads, 1));
	/* Elsewhere the vCPU's flush, which every rewind makes, is enough. */
	cr_expect(eq(u64, s.r.stats.flushes, s.r.flush_way == FLUSH_BY_SLOT ? 1 : 0));
	slot_close(&s);
}

/* ---- the window ---- */

/* Pages that echo does not touch, and the last one of all. */
static const size_t strays[] = { ABI_WINDOW_LOG + MEM_PAGE_SIZE,
				 ABI_WINDOW_EVENT + 700 * MEM_PAGE_SIZE,
				 ABI_WINDOW_REPLY + 9 * MEM_PAGE_SIZE + 5,
				 ABI_WINDOW_SIZE - 1 };

static void expect_cleared(struct slot *s, uint8_t *window)
{
	for (size_t i = 0; i < ARRAY_SIZE(strays); i++)
		window[strays[i]] = 0xee;
	/* Swapped out where there is swap; and no page table of the machine's process has them. */
	madvise(window, ABI_WINDOW_SIZE, MADV_PAGEOUT);
	madvise(s->c.machine.mailbox->window, ABI_WINDOW_SIZE, MADV_DONTNEED);
	rewind_checked(s);
	for (size_t i = 0; i < ARRAY_SIZE(strays); i++)
		cr_expect(eq(u8, window[strays[i]], 0), "at offset 0x%zx", strays[i]);
}

Test(rewind, whoever_wrote_to_the_window_it_is_cleared, .timeout = 60)
{
	static struct slot s;
	uint8_t *other;
	char reply[8];

	slot_of_program(&s, "echo");
	other = mmap(NULL, ABI_WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s.c.mailbox_fd,
		     0);
	cr_assert(ne(ptr, other, MAP_FAILED));
	for (int i = 0; i < 3; i++) {
		expect_cleared(&s, other);
		expect_cleared(&s, s.c.machine.mailbox->window);
		cr_expect(eq(sz, ask_bytes(&s, "still here", 10, reply, sizeof(reply)), 10));
	}
	munmap(other, ABI_WINDOW_SIZE);
	slot_close(&s);
}

/* All of it, again and again: what is kept of it stays within its bound, in memory too. */
Test(rewind, a_window_that_was_filled_is_given_back, .timeout = 60)
{
	static struct slot s;
	struct stat st;

	slot_of_program(&s, "echo");
	for (int i = 0; i < 3; i++) {
		memset(s.c.machine.mailbox->window, 0xee, ABI_WINDOW_SIZE);
		rewind_checked(&s);
		cr_expect(le(u32, s.r.areas[s.r.nareas - 1].nowned, REWIND_WINDOW_MAX));
		cr_assert(eq(int, fstat(s.c.mailbox_fd, &st), 0));
		/* The first page comes again with a new generation. */
		cr_expect(le(i64, st.st_blocks * 512 / MEM_PAGE_SIZE, REWIND_WINDOW_MAX + 1));
	}
	slot_close(&s);
}

/* ---- machines that did not answer ---- */

static int order(struct slot *s, uint32_t what, nsec_t patience)
{
	struct order o = { .what = what };
	struct invocation inv = { .event = &o,
				  .len = sizeof(o),
				  .deadline = clock_monotonic() + patience };
	struct mailbox_reply r;
	struct err err = { 0 };

	return machine_invoke(&s->c.machine, &inv, &r, NULL, &err);
}

Test(rewind, after_a_deadline_and_after_a_triple_fault, .timeout = 60)
{
	static struct slot s;

	slot_of_kernel(&s, "tests/obey.elf");
	for (int i = 0; i < 3; i++) {
		cr_expect(eq(int, order(&s, ORDER_SPIN, 20 * NSEC_PER_MSEC), -ERR_TIMED_OUT));
		rewind_checked(&s);
		cr_expect(eq(int, order(&s, ORDER_REPLY, slow() * NSEC_PER_SEC), 0));
		rewind_checked(&s);
		cr_expect(eq(int, order(&s, ORDER_FAULT, slow() * NSEC_PER_SEC), -ERR_CRASHED));
		rewind_checked(&s);
		cr_expect(eq(int, order(&s, ORDER_TELL, slow() * NSEC_PER_SEC), 0));
		rewind_checked(&s);
	}
	slot_close(&s);
}

Test(rewind, after_a_crash_of_the_program, .timeout = 60)
{
	static struct slot s;
	struct invocation inv = { .event = "crash", .len = 5 };
	struct mailbox_reply r;
	struct err err = { 0 };
	char reply[64];

	slot_of_program(&s, "tests/moody");
	for (int i = 0; i < 3; i++) {
		cr_expect(eq(int, machine_invoke(&s.c.machine, &inv, &r, NULL, &err),
			     -ERR_CRASHED));
		rewind_checked(&s);
		ask_bytes(&s, "hello", 5, reply, sizeof(reply));
		rewind_checked(&s);
	}
	slot_close(&s);
}

Test(rewind, a_machine_of_another_tier_is_refused, .timeout = 60)
{
	static struct slot s;
	struct err err = { 0 };
	struct template unfilled;

	frozen_make(&s.f, guest_path("echo"));
	clone_make(&s.c, &s.f, &tier_eager);
	unfilled = s.f.template;
	unfilled.memory_fd = -1;
	cr_expect(eq(int, rewind_open(&s.r, &s.c.machine, &unfilled, &err), -EINVAL));
	slot_close(&s);
}

/* The check that checks: one byte of memory, one register. */
Test(rewind, verify_sees_what_is_wrong, .timeout = 60)
{
	static struct slot s;
	struct err err = { 0 };
	uint8_t *byte;

	slot_of_program(&s, "echo");
	rewind_checked(&s);
	byte = mem_at(&s.c.machine.vm.mem, 0x300123, 1);
	*byte ^= 1;
	cr_expect(eq(int, rewind_verify(&s.r, &s.c.machine, &err), -EILSEQ));
	cr_expect(ne(ptr, strstr(err.text, "0x300000"), NULL), "%s", err.text);
	rewind_checked(&s);
	s.c.machine.mailbox->window[ABI_WINDOW_REPLY + 5] = 1;
	cr_expect(eq(int, rewind_verify(&s.r, &s.c.machine, &err), -EILSEQ));
	rewind_checked(&s);
	s.f.template.state.vcpus[0].regs.r12 ^= 4;
	cr_expect(eq(int, rewind_verify(&s.r, &s.c.machine, &err), -EILSEQ));
	cr_expect(ne(ptr, strstr(err.text, "vcpu.regs"), NULL), "%s", err.text);
	slot_close(&s);
}
