/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vcpu_counts.h"

#include <limits.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/flush.h"
#include "engine/trial.h"

/* Source: Linux, Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD; names: kvm_vcpu_stats_desc. */
static const char *const names[NCOUNTS] = {
	[COUNT_EXITS] = "exits",	   [COUNT_EMULATED] = "insn_emulation",
	[COUNT_HYPERCALLS] = "hypercalls", [COUNT_EVENTS] = "req_event",
	[COUNT_FAULTS] = "pf_taken",
};

#define SPAN_MAX  2048u	      /* bytes between the first and the last count; ours: now 500 */
#define TRIES	  8u	      /* an interrupt of the host makes an exit, too */
#define DESCS_MAX (64u << 10) /* bytes of all descriptions; ours: now there are 10 KiB */

/* ---- where they are ---- */

/* Note where the one that @d describes is, if it is one of ours. */
static void take_desc(uint32_t at[NCOUNTS], const struct kvm_stats_header *h,
		      const struct kvm_stats_desc *d)
{
	for (unsigned int i = 0; i < NCOUNTS; i++) {
		if (d->size == 1 && strncmp(d->name, names[i], h->name_size) == 0)
			at[i] = h->data_offset + d->offset;
	}
}

/* @at: of each count in the file; 0: it has none. */
static void read_descs(int fd, uint32_t at[NCOUNTS])
{
	struct kvm_stats_header h;
	size_t step, size;
	auto_free uint8_t *descs = NULL;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.name_size > NAME_MAX)
		return;
	step = sizeof(struct kvm_stats_desc) + h.name_size;
	size = h.num_desc * step;
	descs = size <= DESCS_MAX ? malloc(size + 1) : NULL;
	if (!descs || pread(fd, descs, size, h.desc_offset) != (ssize_t)size)
		return;
	for (size_t off = 0; off < size; off += step)
		take_desc(at, &h, (const void *)(descs + off));
}

static struct vcpu_counts_layout find_layout(int vcpu)
{
	int fd = ioctl(vcpu, KVM_GET_STATS_FD, 0);
	struct vcpu_counts_layout l = { .first = UINT32_MAX }, none = { 0 };
	uint32_t last = 0;

	if (fd < 0)
		return none;
	read_descs(fd, l.at);
	close(fd);
	for (unsigned int i = 0; i < NCOUNTS; i++) {
		l.first = MIN(l.first, l.at[i]);
		last = MAX(last, l.at[i]);
	}
	l.size = last - l.first + (uint32_t)sizeof(uint64_t);
	for (unsigned int i = 0; i < NCOUNTS; i++)
		l.at[i] -= l.first;
	return l.first != 0 && l.size <= SPAN_MAX ? l : none;
}

/* ---- looking at them ---- */

/* One system call for all of them. */
static bool read_counts(const struct vcpu_counts *c, uint64_t now[NCOUNTS])
{
	uint8_t buf[SPAN_MAX];

	if (pread(c->fd, buf, c->layout.size, c->layout.first) != (ssize_t)c->layout.size)
		return false;
	for (unsigned int i = 0; i < NCOUNTS; i++)
		memcpy(&now[i], buf + c->layout.at[i], sizeof(now[i]));
	return true;
}

void vcpu_counts_open(struct vcpu_counts *c, const struct vcpu_counts_layout *layout, int vcpu)
{
	*c = (struct vcpu_counts){ .layout = *layout };
	if (layout->size == 0)
		return;
	c->fd = ioctl(vcpu, KVM_GET_STATS_FD, 0);
	if (c->fd <= 0)
		vcpu_counts_close(c);
}

void vcpu_counts_close(struct vcpu_counts *c)
{
	if (c->fd > 0)
		close(c->fd);
	*c = (struct vcpu_counts){ 0 };
}

struct vcpu_since vcpu_counts_look(struct vcpu_counts *c, const struct kvm *kvm)
{
	uint64_t now[NCOUNTS], n[NCOUNTS];
	struct vcpu_since since = { 0 };

	if (c->fd <= 0 || !read_counts(c, now))
		return since;
	for (unsigned int i = 0; i < NCOUNTS; i++)
		n[i] = now[i] - c->was[i];
	memcpy(c->was, now, sizeof(now));
	if (!(kvm->quirks & QUIRK_SLOW_RING0)) {
		bool one = n[COUNT_EXITS] == 1;

		return (struct vcpu_since){ .quiet = one, .faultless = one, .same_cr3 = one };
	}
	since.same_cr3 = n[COUNT_EMULATED] == 1 && n[COUNT_HYPERCALLS] == 0;
	since.quiet = since.same_cr3 && n[COUNT_EVENTS] == 1;  /* of what was set */
	since.faultless = since.quiet && n[COUNT_FAULTS] == 1; /* at the device's page */
	return since;
}

uint64_t vcpu_counts_emulated(const struct kvm *kvm, int vcpu)
{
	uint64_t now[NCOUNTS] = { 0 };
	struct vcpu_counts_layout layout;
	struct vcpu_counts c;

	if (!(kvm->quirks & QUIRK_SLOW_RING0))
		return 0;
	layout = find_layout(vcpu);
	vcpu_counts_open(&c, &layout, vcpu);
	if (c.fd > 0 && !read_counts(&c, now))
		now[COUNT_EMULATED] = 0;
	vcpu_counts_close(&c);
	return now[COUNT_EMULATED];
}

/* ---- the trial ---- */

/* How often a round of @program was quiet. What KVM refuses to do for a guest was not done. */
static unsigned int count_quiet(struct trial *t, struct vcpu_counts *c,
				enum trial_program program)
{
	unsigned int quiet = 0;
	struct err err;

	for (unsigned int i = 0; i <= TRIES; i++) {
		if (trial_enter(t, program, &err) < 0 || trial_run(t, &err) < 0)
			return 0;
		/* In the first round its page is new. */
		quiet += vcpu_counts_look(c, t->vm.kvm).quiet && i > 0;
	}
	return quiet;
}

/* Is a look faultless though the guest's memory was taken away and put back before it? */
static bool misses_fault(struct trial *t, struct vcpu_counts *c)
{
	struct err err;

	if (trial_enter(t, TRIAL_LOOK, &err) < 0 || flush_slots(&t->vm, &err) < 0 ||
	    trial_run(t, &err) < 0)
		return true;
	return vcpu_counts_look(c, t->vm.kvm).faultless;
}

static bool all_tell(struct trial *t, struct vcpu_counts *c)
{
	static const enum trial_program everywhere[] = { TRIAL_XCR, TRIAL_DEBUG },
					slow[] = { TRIAL_APIC, TRIAL_WRMSR, TRIAL_SWAPGS,
						   TRIAL_INT1 };
	bool is_slow = t->vm.kvm->quirks & QUIRK_SLOW_RING0;
	unsigned int missed = 0;

	if (count_quiet(t, c, TRIAL_LOOK) == 0 || misses_fault(t, c))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(everywhere); i++)
		missed += count_quiet(t, c, everywhere[i]);
	for (size_t i = 0; is_slow && i < ARRAY_SIZE(slow); i++)
		missed += count_quiet(t, c, slow[i]);
	return missed == 0;
}

void vcpu_counts_try(struct vcpu_counts_layout *layout, struct trial *t)
{
	int vcpu = t->vm.vcpus[0].fd;
	struct vcpu_counts c;

	*layout = find_layout(vcpu);
	vcpu_counts_open(&c, layout, vcpu);
	if (c.fd <= 0 || !all_tell(t, &c))
		*layout = (struct vcpu_counts_layout){ 0 };
	vcpu_counts_close(&c);
}
