/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h - one virtual machine: memory, buses, devices, vCPUs.
 *
 * A VM just made is a shell: everything that takes time is done, but no machine is in it. Boot
 * (boot.h) or a restore puts one there. Nothing about its slots, devices or CPUID changes
 * afterwards.
 */
#pragma once

#include <stdint.h>

#include "engine/bus.h"
#include "engine/device.h"
#include "engine/irq.h"
#include "engine/kvm.h"
#include "engine/mem.h"
#include "engine/state.h"
#include "engine/vcpu.h"
#include "engine/vcpu_state.h"
#include "engine/worker.h"

struct err;

#define VM_MAX_VCPUS   64u /* ours; images name up to this many */
#define VM_MAX_DEVICES 32u /* ours */

struct vm_config {
	struct mem mem;			   /* gpa and size of each region; host is ignored */
	uint32_t nvcpus;		   /* this version runs 1 */
	const struct cpuid *cpuid;	   /* of every vCPU */
	const struct device_spec *devices; /* in restore order */
	uint32_t ndevices;
	int ram_fd; /* RAM is a private copy of this file; -1: zeros. The caller's */
};

/* A device whose handler returned BUS_STOP may have ended the machine. */
enum vm_end {
	VM_GOES_ON,
	VM_RESET,	/* the guest asked to be booted again */
	VM_POWERED_OFF, /* or not */
	VM_PANICKED,	/* its kernel could not go on, and reset it */
};

struct vm {
	const struct kvm *kvm;
	int fd;
	struct mem mem;
	uint32_t nslots;
	int ram_fd; /* behind RAM since it was made; -1: none */
	struct bus mmio, pio;
	struct irq_chip irq_chip; /* set by the device that is one */
	struct worker worker;
	enum vm_end end;
	uint32_t nplaces; /* of a board that devices took, by init (devices/board.h) */
	uint32_t ndevices;
	struct device *devices[VM_MAX_DEVICES];
	uint32_t nvcpus;
	struct vcpu vcpus[VM_MAX_VCPUS];
};

/*
 * vm_create - make a VM with empty memory, devices and stopped vCPUs.
 * The order of the KVM calls is what keeps this under a millisecond; see the body.
 * @vm is filled in place and must not move. On failure nothing is left behind.
 */
int vm_create(struct vm *vm, const struct kvm *kvm, const struct vm_config *cfg,
	      struct err *err) must_check;
void vm_destroy(struct vm *vm);

/*
 * vm_add_slot - back guest addresses with host memory. For device init only.
 * @host: page aligned, and mapped for as long as the VM lives; what lies behind it may be
 *        replaced by MAP_FIXED while no vCPU runs.
 */
int vm_add_slot(struct vm *vm, gpa_t gpa, uint64_t size, void *host,
		struct err *err) must_check;

/* The irqchip that every VM of ours has. @fd: a VM's, without vCPUs. */
int vm_enable_split_irqchip(int fd, struct err *err) must_check;

/* vm_drain - have all devices at rest, while no vCPU runs. The caller holds the worker's lock, and
 * they rest until it gives it back. Errors: what the device's hook says. */
int vm_drain(struct vm *vm, struct err *err) must_check;

/* The first device of @type; NULL when the VM has none. */
struct device *vm_device(const struct vm *vm, const struct device_type *type);

/*
 * vm_restrict - let the guest write only to MSRs that @s holds, where KVM has others: what the
 * machine writes there would stay when it is taken back to an image of an older KVM. Before it
 * runs.
 */
int vm_restrict(const struct vm *vm, const struct vcpu_state *s, struct err *err) must_check;

/* What the VM as such keeps across a freeze. */
struct vm_state {
	uint64_t clock_ns; /* kvmclock, nanoseconds since the guest's boot */
};
extern const struct state_desc vm_state_desc;

/* After the vCPUs' state: kvmclock is what it was when @tsc, of the first, was saved. */
int vm_state_save(const struct vm *vm, const struct vcpu_tsc *tsc, struct vm_state *s,
		  struct err *err) must_check;
/* Before the vCPUs' state: the kvmclock MSRs are computed from it. */
int vm_state_load(const struct vm *vm, const struct vm_state *s, struct err *err) must_check;

/*
 * vm_clock_align - after the vCPUs' state: kvmclock was set some system calls before the TSC. Linux
 * watches one by the other, and would find the TSC too slow: set the clock again, as far on as the
 * TSC is. Where the guest has no kvmclock or the TSC cannot be set, nothing is done.
 * @now: the TSC of the first vCPU, whose state is @v.
 */
int vm_clock_align(const struct vm *vm, const struct vm_state *s, const struct vcpu_state *v,
		   const struct vcpu_tsc_now *now, struct err *err) must_check;
