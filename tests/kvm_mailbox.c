/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_mailbox.c - the mailbox under a guest that lies (tests/guest/kernels/obey.c). */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/kind.h"
#include "tests/guest/kernels/obey.h"
#include "tests/helpers_kvm.h"

static struct booted b;
static struct machine *const m = &b.machine;
static struct err err;

static void setup(void)
{
	booted_kernel(&b, "tests/obey.elf", "");
}

static void teardown(void)
{
	if (b.machine.mailbox)
		booted_free(&b);
}

TestSuite(mailbox, .init = setup, .fini = teardown, .timeout = 60);

static struct mailbox_reply order_of(struct machine *machine, struct order o)
{
	struct invocation inv = { .event = &o,
				  .len = sizeof(o),
				  .deadline = clock_monotonic() + 10 * NSEC_PER_SEC };
	struct mailbox_reply reply = { 0 };

	cr_assert(eq(int, machine_invoke(machine, &inv, &reply, NULL, &err), 0), "%s",
		  err.text);
	return reply;
}

static struct mailbox_reply order(struct order o)
{
	return order_of(m, o);
}

/* Lengths, and what a host with @room bytes makes of them. */
struct lie {
	uint64_t told, room;
	bool counted;
};

Test(mailbox, a_reply_that_is_too_long_is_cut_and_counted)
{
	static const struct lie lies[] = {
		{ 0, 0, false },
		{ ABI_REPLY_MAX, ABI_REPLY_MAX, false },
		{ ABI_REPLY_MAX + 1, ABI_REPLY_MAX, true },
		{ UINT64_C(1) << 32, ABI_REPLY_MAX, true },
		{ UINT64_C(1) << 63, ABI_REPLY_MAX, true },
		{ UINT64_MAX, ABI_REPLY_MAX, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint64_t before = m->mailbox->violations;
		struct mailbox_reply r =
			order((struct order){ .what = ORDER_REPLY, .value = lies[i].told });

		cr_expect(eq(sz, r.len, lies[i].room));
		cr_expect(eq(u64, m->mailbox->violations - before, lies[i].counted));
		cr_expect(
			eq(int, memcmp(r.data, m->mailbox->window + ABI_WINDOW_REPLY, 16), 0));
	}
}

struct heard {
	size_t len;
	uint32_t stream;
	int calls;
};

static void on_log(void *arg, uint32_t stream, const void *data, size_t len)
{
	struct heard *h = arg;

	h->calls++;
	h->stream = stream;
	h->len = len;
	cr_assert(eq(ptr, (void *)data, m->mailbox->window + ABI_WINDOW_LOG));
}

Test(mailbox, a_log_that_is_too_long_is_cut_and_counted)
{
	static const struct lie lies[] = {
		{ 0, 0, false },
		{ 5, 5, false },
		{ ABI_WINDOW_LOG_SIZE, ABI_WINDOW_LOG_SIZE, false },
		{ ABI_WINDOW_LOG_SIZE + 1, ABI_WINDOW_LOG_SIZE, true },
		{ UINT64_C(1) << 63, ABI_WINDOW_LOG_SIZE, true },
		{ UINT64_MAX, ABI_WINDOW_LOG_SIZE, true },
	};
	struct heard heard = { 0 };

	m->mailbox->ops = (struct mailbox_ops){ .log = on_log, .arg = &heard };
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint64_t violations = m->mailbox->violations, bytes = m->mailbox->log_bytes;

		order((struct order){
			.what = ORDER_LOG, .value = lies[i].told, .addr = 77 + i });
		cr_expect(eq(int, heard.calls, (int)i + 1));
		cr_expect(eq(sz, heard.len, lies[i].room));
		cr_expect(eq(u32, heard.stream, 77 + i));
		cr_expect(eq(u64, m->mailbox->violations - violations, lies[i].counted));
		cr_expect(eq(u64, m->mailbox->log_bytes - bytes, lies[i].room));
	}
	m->mailbox->ops = (struct mailbox_ops){ 0 }; /* nobody listens: that is fine too */
	order((struct order){ .what = ORDER_LOG, .value = 5 });
	cr_expect(eq(int, heard.calls, (int)ARRAY_SIZE(lies)));
}

Test(mailbox, unknown_doorbells_are_counted_and_do_not_stop_the_guest)
{
	static const struct {
		const char *why;
		uint32_t off, size;
	} cases[] = {
		{ "behind the last one", ABI_DOORBELL_SLEEP + 4, 4 },
		{ "far behind", 0x800, 4 },
		{ "last of the page", 0xffc, 4 },
		{ "between two", 0x02, 2 },
		{ "unaligned", 0x01, 4 },
		{ "a byte", 0x03, 1 },
		{ "8 bytes", 0x18, 8 },
		{ "NEXT, 8 bytes wide", ABI_DOORBELL_NEXT, 8 },
		{ "CRASH, 1 byte wide", ABI_DOORBELL_CRASH, 1 },
		{ "EXIT, 2 bytes wide", ABI_DOORBELL_EXIT, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before = m->mailbox->violations;

		order((struct order){ .what = ORDER_WRITE,
				      .addr = ABI_MAILBOX_REGS_GPA + cases[i].off,
				      .size = cases[i].size });
		cr_expect(eq(u64, m->mailbox->violations - before, 1), "%s", cases[i].why);
	}
}

Test(mailbox, doorbells_read_as_ones)
{
	struct mailbox_reply r = order(
		(struct order){ .what = ORDER_READ, .addr = ABI_MAILBOX_REGS_GPA, .size = 4 });

	cr_assert(eq(sz, r.len, 8));
	cr_expect(eq(int, memcmp(r.data, "\xff\xff\xff\xff\0\0\0", 8), 0));
}

/* The guest may scribble over what the host wrote; the host never believes it. */
Test(mailbox, what_the_guest_writes_over_the_hosts_half_changes_nothing)
{
	uint64_t number = m->mailbox->s.event_number;

	for (uint32_t off = 0; off < 2048; off += 8)
		order((struct order){ .what = ORDER_WRITE,
				      .addr = ABI_MAILBOX_WINDOW_GPA + off,
				      .size = 8,
				      .value = UINT64_MAX });
	cr_expect(eq(u64, m->mailbox->s.event_number - number, 2048 / 8));
	cr_expect(eq(sz, order((struct order){ .what = ORDER_REPLY, .value = 3 }).len, 3));
}

Test(mailbox, the_longest_event_arrives_and_one_byte_more_is_refused)
{
	static uint8_t event[ABI_EVENT_MAX + 1];
	struct order o = { .what = ORDER_READ,
			   .addr = ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_EVENT + ABI_EVENT_MAX -
				   8,
			   .size = 8 };
	struct invocation inv = { event, ABI_EVENT_MAX, clock_monotonic() + 10 * NSEC_PER_SEC };
	struct mailbox_reply reply;
	uint64_t number;

	memcpy(event, &o, sizeof(o));
	memcpy(event + ABI_EVENT_MAX - 8, "the end.", 8);
	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, 8));
	cr_expect(eq(int, memcmp(reply.data, "the end.", 8), 0));

	number = m->mailbox->s.event_number;
	inv.len++;
	cr_expect(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), -EMSGSIZE));
	cr_expect(eq(str, err.text, "event has 6291457 bytes, at most 6291456 fit"));
	cr_expect(eq(u64, m->mailbox->s.event_number, number));
	/* The guest still waits, and never heard of it. */
	cr_expect(eq(sz, order((struct order){ .what = ORDER_REPLY, .value = 3 }).len, 3));
}

static struct abi_mailbox tell(struct machine *machine)
{
	struct abi_mailbox told;
	struct mailbox_reply r = order_of(machine, (struct order){ .what = ORDER_TELL });

	cr_assert(eq(sz, r.len, sizeof(told)));
	memcpy(&told, r.data, sizeof(told));
	return told;
}

static void expect_fresh(const struct abi_mailbox *a, const struct abi_mailbox *b2)
{
	static const uint8_t zeros[ABI_ENTROPY_SIZE];

	cr_expect(ne(u64, a->generation, b2->generation));
	cr_expect(ne(u64, b2->generation, 0));
	cr_expect(ne(int, memcmp(a->entropy, b2->entropy, ABI_ENTROPY_SIZE), 0));
	/* Both halves of it: none was left as it was. */
	cr_expect(ne(int, memcmp(a->entropy, b2->entropy, 32), 0));
	cr_expect(ne(int, memcmp(a->entropy + 32, b2->entropy + 32, 32), 0));
	cr_expect(ne(int, memcmp(b2->entropy, zeros, sizeof(zeros)), 0));
}

Test(mailbox, every_restore_is_another_generation_with_other_entropy)
{
	static struct frozen f;
	static struct clone c[2];
	static struct abi_mailbox first, told[2];

	first = tell(m);
	cr_expect(eq(u64, first.magic, ABI_MAILBOX_MAGIC));
	cr_expect(eq(u32, first.version, ABI_MAILBOX_VERSION));
	frozen_from(&f, m);
	for (int i = 0; i < 2; i++) {
		clone_make(&c[i], &f, &tier_map);
		told[i] = tell(&c[i].machine);
		cr_expect(eq(u64, told[i].magic, ABI_MAILBOX_MAGIC));
		/* Events are counted over the life of the machine, not of the clone. */
		cr_expect(eq(u64, told[i].event_number, first.event_number + 1));
		expect_fresh(&first, &told[i]);
	}
	expect_fresh(&told[0], &told[1]);
	for (int i = 0; i < 2; i++)
		clone_free(&c[i]);
	frozen_free(&f);
}

Test(mailbox, clocks_of_a_clone_go_on_and_none_goes_back)
{
	static struct frozen f;
	static struct clone c;
	static struct abi_mailbox before, after;

	before = tell(m);
	frozen_from(&f, m);
	clone_make(&c, &f, &tier_map);
	after = tell(&c.machine);
	cr_expect(gt(u64, after.clock.mono_ns, before.clock.mono_ns));
	cr_expect(gt(u64, after.clock.real_ns, before.clock.real_ns));
	cr_expect(eq(u32, after.clock.mult, before.clock.mult));
	cr_expect(le(u32, after.clock.shift, 32));
	clone_free(&c);
	frozen_free(&f);
}

/* The write that rang NEXT is a pending exit. A state saved without completing it would ring
 * again after the restore, and the first event would be answered before it was read. */
Test(mailbox, the_exit_at_next_is_completed_before_the_state_is_saved)
{
	struct order o = { .what = ORDER_READ, .addr = ABI_BOOT_INFO_GPA, .size = 8 };
	const uint64_t magic = ABI_BOOT_MAGIC;

	for (const struct tier *const *t = frozen_tiers(); *t; t++) {
		static struct frozen f;
		static struct clone c;
		struct mailbox_reply r;

		frozen_from(&f, m);
		clone_make(&c, &f, *t);
		r = order_of(&c.machine, o);
		cr_assert(eq(sz, r.len, 8), "tier %s", (*t)->name);
		cr_expect(eq(int, memcmp(r.data, &magic, 8), 0), "tier %s", (*t)->name);
		clone_free(&c);
		frozen_free(&f);
		/* And the machine that was saved goes on as if nothing had been. */
		r = order(o);
		cr_assert(eq(sz, r.len, 8));
		cr_expect(eq(int, memcmp(r.data, &magic, 8), 0));
	}
}

Test(mailbox, nobody_can_take_the_windows_memory_away)
{
	int fd = mailbox_memfd(&err);

	cr_assert(ge(int, fd, 0), "%s", err.text);
	cr_expect(eq(int, fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	cr_expect(eq(int, ftruncate(fd, 4096), -1));
	cr_expect(eq(int, errno, EPERM));
	cr_expect(eq(int, ftruncate(fd, ABI_WINDOW_SIZE + 4096), -1));
	cr_expect(eq(int, fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC));
	cr_expect(eq(i64, lseek(fd, 0, SEEK_END), ABI_WINDOW_SIZE));
	close(fd);
}

Test(mailbox, what_is_no_memory_cannot_be_a_window)
{
	static struct machine other;
	struct shape shape;

	kind_shape(&kind_kindling, &b.kvm, &b.kvm.cpuid, MEM_HUGE_SIZE, 0, &shape);
	cr_expect(eq(int, machine_create(&other, &b.kvm, &shape, -1, &err), -EIO));
	cr_expect(eq(str, err.text, "device mailbox: map the window: Bad file descriptor"));
}

Test(mailbox, a_guest_that_does_not_wait_gets_no_event)
{
	struct order spin = { .what = ORDER_SPIN };
	struct invocation inv = { .event = &spin,
				  .len = sizeof(spin),
				  .deadline = clock_monotonic() + 50 * NSEC_PER_MSEC };
	struct mailbox_reply reply;

	cr_expect(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), -ERR_TIMED_OUT));
	cr_expect(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), -EBUSY));
	cr_expect(eq(str, err.text, "the guest does not wait for an event"));
}

/* What the guest computes from CLOCK at any moment before the save is not later than what the
 * save keeps, also when the guest's TSC ticks at another rate than the host's clock. */
Test(mailbox, the_saved_clock_is_the_guests_own)
{
	struct vcpu_tsc_now now;
	uint64_t seen;

	cr_assert(eq(int, vcpu_tsc_read(m->vm.vcpus[0].fd, &now, &err), 0), "%s", err.text);
	/* Half the rate that it has: twice the time. */
	cr_assert(eq(int, mailbox_renew(m->mailbox, now, b.kvm.tsc_khz / 2, &err), 0));
	usleep(50000);
	cr_assert(eq(int, vcpu_tsc_read(m->vm.vcpus[0].fd, &now, &err), 0));
	seen = m->mailbox->base_mono_ns +
	       clock_scale_ns(m->mailbox->scale, now.guest - m->mailbox->base.guest);
	cr_assert(eq(int, mailbox_type.save(&m->mailbox->dev, &err), 0), "%s", err.text);
	cr_expect(ge(u64, m->mailbox->s.mono_ns, seen));
	cr_expect(
		ge(u64, m->mailbox->s.mono_ns - m->mailbox->base_mono_ns, 90 * NSEC_PER_MSEC));
}
