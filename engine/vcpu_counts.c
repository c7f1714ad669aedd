/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vcpu_counts.h"

#include <limits.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/trial.h"

/* Source: Linux, Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD; names: kvm_vcpu_stats_desc. */
static const char *const names[NCOUNTS] = {
	[COUNT_EXITS] = "exits",
	[COUNT_EMULATED] = "insn_emulation",
	[COUNT_HYPERCALLS] = "hypercalls",
};

#define SPAN_MAX  2048u	      /* bytes between the first and the last count; ours: now 500 */
#define TRIES	  8u	      /* an interrupt of the host makes an exit, too */
#define DESCS_MAX (64u << 10) /* bytes of all descriptions; ours: now there are 10 KiB */

/* Note where the one that @d describes is, if it is one of ours. */
static void take_desc(struct vcpu_counts *c, const struct kvm_stats_header *h,
		      const struct kvm_stats_desc *d)
{
	for (unsigned int i = 0; i < NCOUNTS; i++) {
		if (d->size == 1 && strncmp(d->name, names[i], h->name_size) == 0)
			c->at[i] = h->data_offset + d->offset;
	}
}

static bool find_all(struct vcpu_counts *c)
{
	struct kvm_stats_header h;
	size_t step, size;
	auto_free uint8_t *descs = NULL;

	if (pread(c->fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.name_size > NAME_MAX)
		return false;
	step = sizeof(struct kvm_stats_desc) + h.name_size;
	size = h.num_desc * step;
	descs = size <= DESCS_MAX ? malloc(size + 1) : NULL;
	if (!descs || pread(c->fd, descs, size, h.desc_offset) != (ssize_t)size)
		return false;
	for (size_t at = 0; at < size; at += step)
		take_desc(c, &h, (const void *)(descs + at));
	return c->at[COUNT_EXITS] && c->at[COUNT_EMULATED] && c->at[COUNT_HYPERCALLS];
}

/* One system call for all of them. */
static bool read_counts(const struct vcpu_counts *c, uint64_t now[NCOUNTS])
{
	uint64_t first = UINT64_MAX, last = 0;
	uint8_t buf[SPAN_MAX];

	for (unsigned int i = 0; i < NCOUNTS; i++) {
		first = MIN(first, c->at[i]);
		last = MAX(last, c->at[i] + sizeof(now[0]));
	}
	if (last - first > sizeof(buf) ||
	    pread(c->fd, buf, last - first, (off_t)first) != (ssize_t)(last - first))
		return false;
	for (unsigned int i = 0; i < NCOUNTS; i++)
		memcpy(&now[i], buf + (c->at[i] - first), sizeof(now[i]));
	return true;
}

void vcpu_counts_open(struct vcpu_counts *c, int vcpu)
{
	*c = (struct vcpu_counts){ .fd = ioctl(vcpu, KVM_GET_STATS_FD, 0) };
	if (c->fd > 0 && find_all(c) && read_counts(c, c->was))
		return;
	vcpu_counts_close(c);
}

void vcpu_counts_close(struct vcpu_counts *c)
{
	if (c->fd > 0)
		close(c->fd);
	*c = (struct vcpu_counts){ 0 };
}

bool vcpu_counts_quiet(struct vcpu_counts *c, const struct kvm *kvm)
{
	uint64_t now[NCOUNTS], since[NCOUNTS];

	if (c->fd <= 0 || !read_counts(c, now))
		return false;
	for (unsigned int i = 0; i < NCOUNTS; i++)
		since[i] = now[i] - c->was[i];
	memcpy(c->was, now, sizeof(now));
	if (kvm->quirks & QUIRK_SLOW_RING0)
		return since[COUNT_EMULATED] == 1 && since[COUNT_HYPERCALLS] == 0;
	return since[COUNT_EXITS] == 1;
}

/* ---- the trial ---- */

/* How often a round of @program was quiet. What KVM refuses to do for a guest was not done. */
static unsigned int count_quiet(struct trial *t, struct vcpu_counts *c,
				enum trial_program program)
{
	unsigned int quiet = 0;
	struct err err;

	if (trial_enter(t, program, &err) < 0 || trial_run(t, &err) < 0)
		return 0;
	vcpu_counts_quiet(c, t->vm.kvm);
	for (unsigned int i = 0; i < TRIES && trial_run(t, &err) == 0; i++)
		quiet += vcpu_counts_quiet(c, t->vm.kvm);
	return quiet;
}

bool vcpu_counts_try(struct trial *t)
{
	bool slow = t->vm.kvm->quirks & QUIRK_SLOW_RING0;
	struct vcpu_counts c;
	bool tells;

	vcpu_counts_open(&c, t->vm.vcpus[0].fd);
	tells = count_quiet(t, &c, TRIAL_LOOK) > 0 &&
		count_quiet(t, &c, slow ? TRIAL_APIC : TRIAL_DEBUG) == 0 &&
		count_quiet(t, &c, TRIAL_XCR) == 0;
	vcpu_counts_close(&c);
	return tells;
}
