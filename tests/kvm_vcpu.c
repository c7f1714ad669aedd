/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_vcpu.c - how a vCPU is stopped, and what ends it (tests/guest/kernels/obey.c). */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/vcpu_exit.h"
#include "tests/guest/kernels/obey.h"
#include "tests/helpers_kvm.h"

#define HOLE_GPA 0x30000000u /* beyond the RAM of test machines, mapped by the boot tables */
#define PIO_PORT 0xe9u

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

TestSuite(vcpu, .init = setup, .fini = teardown, .timeout = 60);

static nsec_t in_ms(uint64_t ms)
{
	return clock_monotonic() + ms * NSEC_PER_MSEC;
}

/* Give an order without running it. */
static void give(struct order o)
{
	cr_assert(eq(int, mailbox_put_event(m->mailbox, &o, sizeof(o), &err), 0), "%s",
		  err.text);
}

/* Obeyed at once, and the guest waits for the next order. */
static void obeyed(struct order o)
{
	give(o);
	cr_assert(eq(int, machine_wait(m, in_ms(10000), &err), 0), "%s", err.text);
}

static uint64_t told(struct order o)
{
	uint64_t value;

	obeyed(o);
	cr_assert(eq(sz, mailbox_reply(m->mailbox).len, sizeof(value)));
	memcpy(&value, mailbox_reply(m->mailbox).data, sizeof(value));
	return value;
}

/* A guest in a tight loop stops at its deadline: not before it, and soon after it. */
static void expect_timeout(uint64_t ms)
{
	nsec_t deadline = in_ms(ms);
	int ret = machine_run(m, deadline, &err);
	nsec_t late = clock_monotonic() - deadline;

	cr_expect(eq(int, ret, -ERR_TIMED_OUT), "%s", err.text);
	cr_expect(lt(u64, late, 1000 * NSEC_PER_MSEC), "off by %ld us", (long)late / 1000);
}

Test(vcpu, a_deadline_stops_a_tight_loop_again_and_again)
{
	give((struct order){ .what = ORDER_SPIN });
	expect_timeout(30);
	expect_timeout(5);
	expect_timeout(0);
	cr_expect(eq(str, err.text, "the guest did not answer in time"));
}

Test(vcpu, a_deadline_that_is_far_away_changes_nothing)
{
	for (int i = 0; i < 3; i++)
		cr_expect(
			eq(u64,
			   told((struct order){
				   .what = ORDER_READ, .addr = ABI_BOOT_INFO_GPA, .size = 8 }),
			   ABI_BOOT_MAGIC));
}

static void *run_elsewhere(void *arg)
{
	(void)arg;
	expect_timeout(30);
	return NULL;
}

/* The timer's signal must reach the thread that runs the vCPU now, and not the first one. */
Test(vcpu, a_deadline_holds_on_whichever_thread_the_vcpu_runs)
{
	pthread_t thread;

	give((struct order){ .what = ORDER_SPIN });
	expect_timeout(10);
	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, pthread_create(&thread, NULL, run_elsewhere, NULL), 0));
		pthread_join(thread, NULL);
	}
	expect_timeout(10);
}

/* A kick was seen, and by itself: the deadline far behind it had no part in that. */
static void expect_paused(const char *when, uint64_t number)
{
	nsec_t start = clock_monotonic();

	cr_assert(eq(int, machine_run(m, in_ms(5000), &err), -EINTR), "%s %lu: %s", when,
		  (unsigned long)number, err.text);
	cr_assert(lt(u64, clock_monotonic() - start, 2000 * NSEC_PER_MSEC), "%s %lu", when,
		  (unsigned long)number);
}

static void *kick_later(void *arg)
{
	usleep(*(useconds_t *)arg);
	vcpu_kick(&m->vm.vcpus[0]);
	return NULL;
}

Test(vcpu, a_kick_from_another_thread_stops_a_tight_loop)
{
	useconds_t delay = 20000;
	pthread_t thread;

	give((struct order){ .what = ORDER_SPIN });
	cr_assert(eq(int, pthread_create(&thread, NULL, kick_later, &delay), 0));
	cr_expect(eq(int, machine_run(m, 0, &err), -EINTR));
	cr_expect(eq(str, err.text, "paused"));
	pthread_join(thread, NULL);
	expect_timeout(5); /* one kick, one stop */
}

Test(vcpu, a_kick_before_the_run_is_not_lost)
{
	give((struct order){ .what = ORDER_SPIN });
	vcpu_kick(&m->vm.vcpus[0]);
	expect_paused("before the run", 1);
	expect_timeout(5);
	/* Nor when the last exit is completed in between, as saving does. */
	vcpu_kick(&m->vm.vcpus[0]);
	cr_expect(eq(int, vcpu_complete(&m->vm.vcpus[0], &err), 0), "%s", err.text);
	expect_paused("before vcpu_complete", 1);
}

/* Over the moments before, during and after the entry into KVM_RUN. */
Test(vcpu, a_kick_at_any_moment_is_not_lost)
{
	pthread_t thread;

	give((struct order){ .what = ORDER_SPIN });
	for (useconds_t delay = 0; delay < 300; delay++) {
		cr_assert(eq(int, pthread_create(&thread, NULL, kick_later, &delay), 0));
		expect_paused("microseconds", delay);
		pthread_join(thread, NULL);
	}
}

static void *signal_then_kick(void *arg)
{
	for (int i = 0; i < 5; i++) {
		usleep(3000);
		pthread_kill(*(pthread_t *)arg, VCPU_SIGNAL);
	}
	vcpu_kick(&m->vm.vcpus[0]);
	return NULL;
}

/* A signal alone is no reason to stop: a timer's may come late, after its run has ended. */
Test(vcpu, signals_without_a_kick_do_not_stop_it)
{
	pthread_t self = pthread_self(), thread;

	give((struct order){ .what = ORDER_SPIN });
	cr_assert(eq(int, pthread_create(&thread, NULL, signal_then_kick, &self), 0));
	cr_expect(eq(int, machine_run(m, 0, &err), -EINTR), "%s", err.text);
	cr_expect(gt(u64, m->vm.vcpus[0].stats.interrupted, 1));
	pthread_join(thread, NULL);
}

Test(vcpu, a_triple_fault_is_a_crash)
{
	give((struct order){ .what = ORDER_FAULT });
	cr_expect(eq(int, machine_wait(m, in_ms(10000), &err), -ERR_CRASHED), "%s", err.text);
	cr_expect(eq(str, err.text, "the guest shut down (triple fault)"));
}

Test(vcpu, a_hole_reads_as_ones_swallows_writes_and_the_guest_goes_on)
{
	static const struct {
		uint32_t size;
		uint64_t ones;
	} cases[] = { { 1, 0xff }, { 2, 0xffff }, { 4, 0xffffffff }, { 8, UINT64_MAX } };

	for (int i = 0; i < 4; i++) {
		uint64_t misses = m->vm.mmio.misses;
		struct order o = { .what = ORDER_READ,
				   .addr = HOLE_GPA,
				   .size = cases[i].size };

		cr_expect(eq(u64, told(o), cases[i].ones), "%u bytes", cases[i].size);
		o.what = ORDER_WRITE;
		obeyed(o);
		cr_expect(eq(u64, m->vm.mmio.misses - misses, 2));
	}
}

/* Over a page's end: KVM makes two accesses of it. */
Test(vcpu, an_access_over_the_end_of_ram_is_half_memory_and_half_ones)
{
	uint64_t end = m->vm.mem.regions[0].size;
	struct order o = {
		.what = ORDER_WRITE, .addr = end - 4, .size = 4, .value = 0x12345678
	};

	obeyed(o);
	o = (struct order){ .what = ORDER_READ, .addr = end - 4, .size = 8 };
	cr_expect(eq(u64, told(o), UINT64_C(0xffffffff12345678)));
}

struct port {
	char text[16];
	size_t n;
};

static int port_access(void *dev, const struct bus_access *access)
{
	struct port *p = dev;

	if (access->is_write && access->len == 1 && p->n < sizeof(p->text) - 1)
		p->text[p->n++] = (char)access->data[0];
	return 0;
}

Test(vcpu, a_string_to_a_port_arrives_byte_by_byte_in_order)
{
	struct port port = { 0 };
	struct bus_range range = { PIO_PORT, 1, port_access, &port };

	cr_assert(eq(int, bus_add(&m->vm.pio, &range, &err), 0));
	obeyed((struct order){ .what = ORDER_OUT, .addr = PIO_PORT, .size = 10 });
	cr_expect(eq(str, port.text, "0123456789"));
	obeyed((struct order){ .what = ORDER_OUT, .addr = PIO_PORT, .size = 0 });
	cr_expect(eq(sz, port.n, 10));
	cr_expect(gt(u64, m->vm.vcpus[0].stats.pio, 0));
}

Test(vcpu, a_port_that_nobody_has_swallows_a_string)
{
	obeyed((struct order){ .what = ORDER_OUT, .addr = 0x1234, .size = 10 });
	cr_expect(eq(u64, m->vm.pio.misses, 10));
}

/* A device that stops the vCPU at a read, with the answer in its hands. */
static int stopping_read(void *dev, const struct bus_access *access)
{
	(void)dev;
	memset(access->data, 0x5a, access->len);
	return BUS_STOP;
}

/* A state saved with the read pending would hold its address and not its answer. */
Test(vcpu, a_pending_read_is_completed_before_the_state_is_saved)
{
	struct bus_range range = { HOLE_GPA, 8, stopping_read, NULL };
	static struct frozen f;
	static struct clone c;

	cr_assert(eq(int, bus_add(&m->vm.mmio, &range, &err), 0));
	give((struct order){ .what = ORDER_READ, .addr = HOLE_GPA, .size = 8 });
	cr_assert(eq(int, vcpu_run(&m->vm.vcpus[0], in_ms(10000), &err), VCPU_STOP_DEVICE));
	frozen_from(&f, m);
	clone_make(&c, &f, &tier_map);
	/* The clone has no such device: it would read ones. */
	cr_assert(eq(int, machine_wait(&c.machine, in_ms(10000), &err), 0), "%s", err.text);
	cr_expect(eq(sz, mailbox_reply(c.machine.mailbox).len, 8));
	cr_expect(eq(int, memcmp(mailbox_reply(c.machine.mailbox).data, "ZZZZZZZZ", 8), 0));
	clone_free(&c);
	frozen_free(&f);
}

/* What KVM tells when its emulator gives up; the vCPU's registers are real, the exit is not. */
Test(vcpu, an_instruction_that_kvm_cannot_emulate_is_shown)
{
	struct kvm_run *run = m->vm.vcpus[0].run;
	char want[200];
	struct kvm_regs regs;

	cr_assert(eq(int, ioctl(m->vm.vcpus[0].fd, KVM_GET_REGS, &regs), 0));
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->internal.ndata = 3;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = 3;
	memcpy(run->emulation_failure.insn_bytes, "\xc5\xf8\x58\x90\x90\x90\x90\x90", 8);
	cr_expect(eq(int, vcpu_exit(&m->vm.vcpus[0], &err), -ERR_CRASHED));
	snprintf(
		want, sizeof(want),
		"KVM cannot emulate the instruction at RIP 0x%llx, ring 0, 64-bit mode; bytes: "
		"c5 f8 58; Linux avoids it with noxsave on its command line",
		regs.rip);
	cr_expect(eq(str, err.text, want));

	run->emulation_failure.insn_size = 255; /* no instruction is that long */
	cr_expect(eq(int, vcpu_exit(&m->vm.vcpus[0], &err), -ERR_CRASHED));
	cr_expect(eq(sz, strcspn(strstr(err.text, "bytes: "), ";"), 7 + 15 * 3 - 1), "%s",
		  err.text);

	run->internal.ndata = 0; /* an older KVM: it tells no bytes */
	cr_expect(eq(int, vcpu_exit(&m->vm.vcpus[0], &err), -ERR_CRASHED));
	cr_expect(eq(str, strstr(err.text, "bytes: "), "bytes: unknown"));

	run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	cr_expect(eq(int, vcpu_exit(&m->vm.vcpus[0], &err), -ERR_CRASHED));
	snprintf(want, sizeof(want), "KVM internal error 3 at RIP 0x%llx, ring 0", regs.rip);
	cr_expect(eq(str, err.text, want));
}

/* Blocked signals are inherited through exec: whoever started us may have had a reason. */
Test(vcpu, the_deadline_gets_through_a_mask_that_blocks_its_signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, VCPU_SIGNAL);
	cr_assert(eq(int, pthread_sigmask(SIG_BLOCK, &set, NULL), 0));
	m->vm.vcpus[0].tid = 0; /* as before the first run */
	give((struct order){ .what = ORDER_SPIN });
	cr_expect(eq(int, machine_wait(m, in_ms(50), &err), -ERR_TIMED_OUT));
}

Test(vcpu, the_timer_is_disarmed_whatever_came_of_the_run)
{
	struct timespec nap = { .tv_nsec = 150000000 };

	give((struct order){ .what = ORDER_FAULT });
	cr_expect(eq(int, machine_wait(m, in_ms(50), &err), -ERR_CRASHED));
	cr_expect(eq(int, nanosleep(&nap, NULL), 0)); /* else EINTR at the deadline */
}

static void slow_log(void *arg, uint32_t stream, const void *data, size_t len)
{
	struct timespec long_nap = { .tv_sec = 20 };

	(void)arg;
	(void)stream;
	(void)data;
	(void)len;
	nanosleep(&long_nap, NULL); /* a reader that does not read */
}

Test(vcpu, the_deadline_interrupts_a_device_that_waits)
{
	nsec_t began = clock_monotonic();

	m->mailbox->ops.log = slow_log;
	give((struct order){ .what = ORDER_LOG, .value = 1 });
	cr_expect(eq(int, machine_wait(m, in_ms(50), &err), -ERR_TIMED_OUT));
	cr_expect(lt(u64, clock_monotonic() - began, 10 * NSEC_PER_SEC));
}
