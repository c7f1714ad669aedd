/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vcpu_reset.h"

#include <string.h>
#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/vm.h"

int vcpu_reset_prepare(struct vcpu *v, const struct vcpu_counts_layout *layout, struct err *err)
{
	vcpu_counts_open(&v->counts, layout, v->fd);
	if (!v->vm->kvm->sync_regs)
		return 0;
	/* What the last exit would have told: the first reset may come before the next one. */
	if (ioctl(v->fd, KVM_GET_SREGS, &v->run->s.regs.sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	v->run->kvm_valid_regs = KVM_SYNC_X86_SREGS;
	return 0;
}

/*
 * Did it stop at a write of up to 4 bytes? Such an instruction is over: KVM has moved RIP on,
 * and finishing the exit changes nothing. A wider one may have a second piece to come.
 */
static bool stopped_at_write(const struct vcpu *v)
{
	const struct kvm_run *run = v->run;

	return run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write && run->mmio.len <= 4;
}

/* What the short way leaves alone is what it was: the system registers as KVM told them at the
 * exit, and the MP state, which at such an exit is "runnable". */
static bool is_short(const struct vcpu *v, const struct vcpu_state *s)
{
	return v->run->kvm_valid_regs & KVM_SYNC_X86_SREGS && stopped_at_write(v) &&
	       s->mp_state.mp_state == KVM_MP_STATE_RUNNABLE &&
	       memcmp(&v->run->s.regs.sregs, &s->sregs, sizeof(s->sregs)) == 0;
}

static void show(struct vcpu *v, const struct vcpu_state *s)
{
	v->run->s.regs.regs = s->regs;
	v->run->s.regs.events = s->events;
	v->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_EVENTS;
}

/*
 * The load has started the timer of the local APIC. A machine may wait for its event for hours; its
 * time should begin with that. Else the guest comes to a timer's interrupt first, and a Linux to all
 * the work that it had put off.
 */
static void hold_timer(struct vcpu *v, const struct vcpu_state *s)
{
	v->ticks_left = s->tsc.deadline > s->tsc.value ? s->tsc.deadline - s->tsc.value : 0;
}

int vcpu_restore(struct vcpu *v, const struct vcpu_state *s, struct vcpu_tsc_now *now,
		 struct err *err)
{
	const struct kvm *kvm = v->vm->kvm;
	bool is_new = v->is_new && kvm->sync_regs;
	int ret;

	v->is_new = false;
	hold_timer(v, s);
	if (!is_new)
		return vcpu_state_load(kvm, v->fd, s, now, err);
	ret = vcpu_state_load_new(kvm, v->fd, s, now, err);
	if (ret == 0)
		show(v, s);
	return ret;
}

int vcpu_reset(struct vcpu *v, const struct vcpu_state *s, bool quiet, struct vcpu_tsc_now *now,
	       struct err *err)
{
	const struct kvm *kvm = v->vm->kvm;
	int ret;

	hold_timer(v, s);
	if (!is_short(v, s)) {
		ret = vcpu_complete(v, err);
		return ret < 0 ? ret : vcpu_state_load(kvm, v->fd, s, now, err);
	}
	ret = vcpu_state_load_hidden(kvm, v->fd, quiet, s, now, err);
	if (ret < 0)
		return ret;
	show(v, s);
	return 1;
}
