/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/rewind.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/findings.h"
#include "engine/vcpu_msrs.h"
#include "engine/vcpu_reset.h"
#include "snapshot/machine.h"
#include "snapshot/machine_state.h"
#include "snapshot/rewind_memory.h"
#include "snapshot/template.h"

/* ---- getting ready ---- */

int rewind_open(struct rewind *r, struct machine *m, const struct template *t, struct err *err)
{
	struct pages pages;
	int ret = pages_open(&pages, err);

	if (ret < 0) {
		*r = (struct rewind){ .pages.pagemap_fd = -1 };
		return ret;
	}
	ret = rewind_open_with(r, m, t, pages, err);
	r->is_alone = true;
	return ret;
}

int rewind_open_with(struct rewind *r, struct machine *m, const struct template *t,
		     struct pages pages, struct err *err)
{
	uint64_t size = mem_size(&t->shape.mem);
	struct findings findings = { 0 };
	void *memory;
	int ret;

	*r = (struct rewind){ .template = t,
			      .pages = pages,
			      .window_fd = m->mailbox->window_fd };
	if (t->memory_fd < 0)
		return err_set(err, EINVAL,
			       "a machine of this tier cannot be rewound: its template's "
			       "memory is not mapped");
	memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, t->memory_fd, 0);
	if (memory == MAP_FAILED)
		return err_sys(err, "map a template to rewind to");
	r->memory = memory;
	ret = findings_get(m->vm.kvm, &findings, err);
	if (ret == 0)
		ret = rewind_memory_open(r, m, err);
	for (uint32_t i = 0; i < m->vm.nvcpus && ret == 0; i++)
		ret = vcpu_reset_prepare(&m->vm.vcpus[i], &findings.counts, err);
	r->flush_way = findings.flush_way;
	/* Where ring 0 is emulated, what it does to translations KVM hears of (design notes). */
	r->flush_vcpus =
		r->flush_way == FLUSH_BY_VCPU || !(m->vm.kvm->quirks & QUIRK_SLOW_RING0);
	return ret;
}

void rewind_close(struct rewind *r)
{
	rewind_memory_close(r);
	pages_close(&r->pages);
	if (r->memory)
		munmap(r->memory, mem_size(&r->template->shape.mem));
	*r = (struct rewind){ .pages.pagemap_fd = -1 };
}

/* ---- what the run did ---- */

/*
 * Has the thread that ran the vCPU, and rewinds it, met a page fault since the last look? KVM's own of
 * a guest's memory, as when it marks a page table's entry as used, are among them: it writes there
 * for that thread. Nobody else writes to guest RAM.
 */
static bool had_faults(struct rewind *r, const struct machine *m)
{
	struct rusage u;
	long now = getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_minflt + u.ru_majflt : 0;
	pid_t thread = m->vm.vcpus[0].tid;
	bool had = now == 0 || now != r->faults || thread != r->thread;

	for (uint32_t i = 0; i < m->vm.nvcpus; i++)
		had |= !vcpu_is_mine(&m->vm.vcpus[i]);
	r->faults = now;
	r->thread = thread;
	return had;
}

/* Has a device been at work since, which may have written to guest memory on another thread? */
static bool had_devices(struct rewind *r, const struct machine *m)
{
	uint64_t now = m->vm.worker.turns; /* with our own */
	bool had = now != r->turns + 1;

	r->turns = now;
	return had;
}

/* Returns whether the process may have got copies of pages: by a fault that KVM handled for the
 * guest, also by a worker thread, or by one of its own. */
static bool look_at_counts(struct rewind *r, struct machine *m, struct vcpu_since since[])
{
	bool devices = had_devices(r, m), copies = had_faults(r, m) | devices;

	for (uint32_t i = 0; i < m->vm.nvcpus; i++) {
		since[i] = vcpu_counts_look(&m->vm.vcpus[i].counts, m->vm.kvm);
		copies |= !since[i].faultless;
		/* Their interrupt may be in the local APIC, and of that KVM has counted nothing yet. */
		since[i].quiet &= !devices;
	}
	return copies;
}

/*
 * May there be shadows of page tables that are in no list here, those of another address space
 * than the frozen one? The guest need not be there any more.
 */
static bool went_elsewhere(const struct rewind *r, const struct machine *m,
			   const struct vcpu_since since[])
{
	bool same = true;

	for (uint32_t i = 0; i < m->vm.nvcpus; i++)
		same &= since[i].same_cr3;
	return !same && r->flush_way == FLUSH_BY_SLOT;
}

/* ---- state ---- */

/* Does it make no difference what KVM's clock says? Nobody who could read it has run since it was set,
 * and nobody is about to. */
static bool clock_rests(const struct machine_state *s, const struct vcpu_since since[])
{
	bool rests = true;

	for (uint32_t i = 0; i < s->nvcpus; i++)
		rests &= since[i].quiet && !vcpu_msrs_have_kvmclock(&s->vcpus[i].msrs);
	return rests;
}

static int restore_vcpus(struct rewind *r, struct machine *m, const struct vcpu_since since[],
			 struct vcpu_tsc_now *now, struct err *err)
{
	const struct machine_state *s = &r->template->state;

	for (uint32_t i = 0; i < s->nvcpus; i++) {
		struct vcpu_tsc_now pair = { 0 };
		int ret = vcpu_reset(&m->vm.vcpus[i], &s->vcpus[i], since[i].quiet, &pair, err);

		r->stats.full_loads += ret == 0;
		if (ret >= 0 && r->flush_vcpus)
			ret = flush_vcpu(m->vm.vcpus[i].fd, &s->vcpus[i].sregs, err);
		if (ret < 0)
			return err_wrap(err, ret, "vCPU %u", i);
		if (i == 0)
			*now = pair;
	}
	return 0;
}

static int flush(struct rewind *r, struct machine *m, struct err *err)
{
	r->stats.flushes++;
	/* Elsewhere the vCPUs' flush is enough. */
	return r->flush_way == FLUSH_BY_SLOT ? flush_slots(&m->vm, err) : 0;
}

/* Everything of it is at rest. */
static int rewind_all(struct rewind *r, struct machine *m, struct err *err)
{
	struct vcpu_since since[VM_MAX_VCPUS] = { 0 };
	struct vcpu_tsc_now now = { 0 };
	bool copies = look_at_counts(r, m, since);
	int ret;

	r->tables_changed = went_elsewhere(r, m, since);
	ret = rewind_memory_restore(r, copies, err);
	if (ret == 0 && r->tables_changed)
		ret = flush(r, m, err);
	/* After the memory: some MSRs make KVM write to it. */
	if (ret == 0 && !clock_rests(&r->template->state, since))
		ret = vm_state_load(&m->vm, &r->template->state.vm, err);
	if (ret == 0)
		ret = restore_vcpus(r, m, since, &now, err);
	if (ret == 0)
		ret = vm_clock_align(&m->vm, &r->template->state.vm,
				     &r->template->state.vcpus[0], &now, err);
	if (ret == 0)
		ret = machine_devices_load(&r->template->state, m, err);
	/* After the devices: the clock goes on from what the mailbox kept. */
	return ret < 0 ? ret : machine_renew(m, &now, err);
}

int rewind_machine(struct rewind *r, struct machine *m, struct err *err)
{
	int ret = vm_drain(&m->vm, err);

	if (ret == 0)
		ret = rewind_all(r, m, err);
	r->stats.rewinds++;
	return ret < 0 ? err_wrap(err, ret, "rewind") : 0;
}
