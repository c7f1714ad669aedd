/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vmclock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "devices/board.h"
#include "engine/err.h"
#include "engine/vm.h"

_Static_assert(offsetof(struct vmclock_page, flags) == 24 &&
		       offsetof(struct vmclock_page, counter_value) == 40 &&
		       offsetof(struct vmclock_page, time_sec) == 72 &&
		       sizeof(struct vmclock_page) == 112,
	       "the page is laid out as linux/vmclock-abi.h says");

static const struct state_field vmclock_fields[] = {
	STATE_FIELD(struct vmclock_state, gpa),
};

static int vmclock_init(struct device *dev, const void *config, struct err *err)
{
	struct vmclock *c = container_of(dev, struct vmclock, dev);

	(void)config;
	(void)err;
	c->s.gpa = BOARD_VMCLOCK_GPA;
	return 0;
}

static int vmclock_load(struct device *dev, struct err *err)
{
	const struct vmclock *c = container_of(dev, struct vmclock, dev);

	if (c->s.gpa != BOARD_VMCLOCK_GPA)
		return err_set(err, EINVAL, "it is at 0x%" PRIx64 ", expected 0x%x", c->s.gpa,
			       BOARD_VMCLOCK_GPA);
	return 0;
}

const struct device_type vmclock_type = {
	.name = "vmclock",
	.size = sizeof(struct vmclock),
	.state_off = offsetof(struct vmclock, s),
	.state = STATE_DESC("dev.vmclock", 1, struct vmclock_state, vmclock_fields),
	.init = vmclock_init,
	.load = vmclock_load,
};

/* As many digits as 64 bits hold: between 2^63 and 2^64, for a rate is no power of two. */
static void set_period(struct vmclock_page *p, uint32_t tsc_khz)
{
	uint64_t hz = tsc_khz * 1000ull;

	p->period_shift = (uint8_t)(63 - __builtin_clzll(hz));
	p->period = (uint64_t)(((unsigned __int128)1 << (64 + p->period_shift)) / hz);
}

/* UTC when the TSC was @now, which is a little while ago. */
static void set_time(struct vmclock_page *p, struct vcpu_tsc_now now)
{
	nsec_t since = clock_monotonic() - now.host_ns;
	nsec_t utc = clock_realtime() - since;

	p->counter_value = now.guest;
	p->time_sec = utc / NSEC_PER_SEC;
	p->time_frac =
		(uint64_t)(((unsigned __int128)(utc % NSEC_PER_SEC) << 64) / NSEC_PER_SEC);
}

/* Readers of the old page see an odd sequence before anything else changes, and an even one, that
 * is another, after all did. The guest's number counts, whatever it is: only its readers use it. */
static void publish(struct vmclock_page *page, struct vmclock_page *fresh)
{
	uint32_t writing = __atomic_load_n(&page->sequence, __ATOMIC_RELAXED) | 1;

	__atomic_store_n(&page->sequence, writing, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	fresh->sequence = writing;
	memcpy(page, fresh, sizeof(*page));
	__atomic_store_n(&page->sequence, writing + 1, __ATOMIC_RELEASE);
}

int vmclock_write(const struct vm *vm, struct vcpu_tsc_now now, uint32_t tsc_khz,
		  struct err *err)
{
	struct vmclock_page *page, fresh = {
		.magic = VMCLOCK_MAGIC,
		.size = MEM_PAGE_SIZE,
		.version = VMCLOCK_VERSION,
		.counter = VMCLOCK_X86_TSC,
		.time_type = VMCLOCK_UTC,
		.flags = VMCLOCK_HAS_GENERATION | VMCLOCK_HAS_NOTIFICATION,
		.status = VMCLOCK_FREERUNNING,
	};
	uint64_t random[2]; /* numbers that do not come again, in no sibling either */

	if (!vm_device(vm, &vmclock_type))
		return 0;
	page = mem_at(&vm->mem, BOARD_VMCLOCK_GPA, MEM_PAGE_SIZE);
	if (!page)
		return err_set(err, EFAULT, "no RAM at 0x%x for the clock page",
			       BOARD_VMCLOCK_GPA);
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_set(err, EIO, "no %zu bytes of randomness to be had",
			       sizeof(random));
	fresh.disruption = random[0];
	fresh.generation = random[1];
	set_period(&fresh, tsc_khz);
	set_time(&fresh, now);
	publish(page, &fresh);
	return 0;
}
