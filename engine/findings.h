/* SPDX-License-Identifier: Apache-2.0 */
/* findings.h - what KVM here does, as far as only a trial tells. */
#pragma once

#include "engine/flush.h"
#include "engine/util.h"
#include "engine/vcpu_counts.h"

struct err;
struct kvm;

struct findings {
	enum flush_way flush_way;
	struct vcpu_counts_layout counts; /* empty: they do not show what vcpu_counts.h wants */
};

/*
 * findings_get - tried in about two milliseconds, until a thread of this process has found it; any
 * may ask. No lock: a process forked meanwhile would have it locked for ever.
 * Errors: -ERR_NO_KVM nothing flushes; what making a VM says.
 */
int findings_get(const struct kvm *kvm, struct findings *out, struct err *err) must_check;
