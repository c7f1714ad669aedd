/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_reset.h - a state into a vCPU, and a vCPU that ran back to it, with as few calls as KVM
 * allows: each costs as much as the work of several.
 */
#pragma once

#include "engine/vcpu.h"
#include "engine/vcpu_state.h"

/*
 * vcpu_restore - load @s. Into a vCPU that is new only what differs from what KVM made it with;
 * general registers and events are put where KVM takes them from at the next KVM_RUN, or
 * vcpu_complete.
 * @now: both TSCs afterwards. Errors: as vcpu_state_load.
 */
int vcpu_restore(struct vcpu *v, const struct vcpu_state *s, struct vcpu_tsc_now *now,
		 struct err *err) must_check;

/*
 * vcpu_reset_prepare - from the next KVM_RUN on let it tell at every exit what vcpu_reset looks
 * at. Costs a fraction of a microsecond an exit. @layout: of findings.h.
 * Errors: what KVM_GET_SREGS says.
 */
int vcpu_reset_prepare(struct vcpu *v, const struct vcpu_counts_layout *layout,
		       struct err *err) must_check;

/*
 * vcpu_reset - set everything that can differ from @s. General registers and events are put
 * where KVM takes them from at the next KVM_RUN, or vcpu_complete.
 * @v: was loaded with @s, and prepared since, before or after it ran; its machine has stopped.
 * @quiet: it has been since @s was loaded (vcpu_counts.h).
 * @now: both TSCs afterwards.
 * Returns 1 when it took the short way; 0 when the segment or control registers had changed, or
 * the vCPU stopped in the middle of something, and all of the state was loaded.
 * Errors: as vcpu_state_load and vcpu_complete.
 */
int vcpu_reset(struct vcpu *v, const struct vcpu_state *s, bool quiet, struct vcpu_tsc_now *now,
	       struct err *err) must_check;
