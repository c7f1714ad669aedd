/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm.h - /dev/kvm: what it can do and what is odd about it, found out once per process.
 * A struct kvm is shared, read-only, by every VM of the process.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/cpuid.h"
#include "engine/util.h"

struct err;

#define KVM_MSRS_MAX  512u   /* ours; current kernels list about 120 */
#define KVM_XSAVE_MAX 16384u /* ours: AMX, the largest so far, needs 11,008 */

enum kvm_kind {
	KVM_KIND_UNKNOWN,
	KVM_KIND_VMX, /* Intel VT-x */
	KVM_KIND_SVM, /* AMD-V */
	KVM_KIND_PVM, /* software: ring 3 native, ring 0 emulated (design notes, "Software KVM") */
};

/* What a host does differently from the manuals. One bit each, set in kvm_quirks.c only. */
enum kvm_quirk {
	QUIRK_SLOW_RING0 = 1u << 0,    /* guest ring 0 is emulated, ~1000 times slower */
	QUIRK_SYSCALL_RING3 = 1u << 1, /* SYSCALL from ring 3 stays in ring 3 */
	QUIRK_TSC_FIXED = 1u << 2,     /* KVM_SET_MSRS(IA32_TSC) succeeds and does nothing */
	QUIRK_CPUID_HOST = 1u << 3, /* CPUID in guest ring 3 shows the host's CPU, unfiltered */
	QUIRK_ASSIST = 1u << 4,	    /* not all of guest ring 0 can be emulated (assist.h) */
};

/* What KVM makes a vCPU with. */
struct kvm_born {
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic; /* of vCPU 0 with the CPUID that KVM offers */
	uint64_t msrs[KVM_MSRS_MAX];  /* of struct kvm's msrs, in the same order */
};

struct kvm {
	int fd;
	enum kvm_kind kind;
	uint32_t quirks;     /* enum kvm_quirk */
	uint32_t run_size;   /* bytes of the mapping of struct kvm_run */
	uint32_t xsave_size; /* bytes that KVM_GET_XSAVE2 fills; at least 4096 */
	uint64_t xcr0;	     /* XSAVE components that we give to a guest */
	uint32_t tsc_khz;    /* of the host, and so of a guest without TSC scaling */
	bool tsc_scaling;    /* KVM_CAP_TSC_CONTROL */
	bool xsave2;	     /* KVM_CAP_XSAVE2 */
	bool kvmclock_ctrl;  /* KVM_CAP_KVMCLOCK_CTRL */
	bool sync_regs;	     /* KVM_CAP_SYNC_REGS with registers, system registers, events */
	struct kvm_born born;
	uint32_t nmsrs;
	uint32_t msrs[KVM_MSRS_MAX]; /* that KVM lists and hands out: of a vCPU's state */
	struct cpuid cpuid;	     /* what KVM offers to a guest */
};

/*
 * kvm_open - open /dev/kvm and find out all of the above.
 * Errors: -ERR_NO_KVM when there is no usable /dev/kvm, or one without what we need: the
 * sentence names it.  Cost: one VM is made and destroyed, about a millisecond.
 */
int kvm_open(struct kvm *kvm, struct err *err) must_check;
void kvm_close(struct kvm *kvm);

/* KVM_CREATE_VM, again when a signal or a busy kernel thread interrupts it (EINTR). */
int kvm_create_vm(const struct kvm *kvm, struct err *err) must_check;

/* "vmx", "svm", "pvm" or "unknown": the word in manifests. */
const char *kvm_kind_name(enum kvm_kind kind);

/* The features of one CPUID word that a program in a guest can see and use. */
uint32_t kvm_features(const struct kvm *kvm, const struct cpuid_word *w);

/* Find the quirks of this host with a scratch VM. Called once, by kvm_open. */
int kvm_quirks_probe(struct kvm *kvm, struct err *err) must_check;

/* The quirk's word and a sentence about it; NULL past the last one. For `thaw version --host`. */
struct kvm_quirk_text {
	enum kvm_quirk quirk;
	const char *name, *meaning;
};
extern const struct kvm_quirk_text kvm_quirk_texts[];
