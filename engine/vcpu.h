/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.h - one vCPU: created, run until something happens, paused from outside.
 *
 * A vCPU belongs to the thread that runs it. Pausing works by one real-time signal
 * (VCPU_SIGNAL, handler installed with the first vCPU of the process) and the immediate_exit
 * flag of struct kvm_run, so that a request which comes just before KVM_RUN is not lost.
 */
#pragma once

#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "engine/clock.h"
#include "engine/cpuid.h"
#include "engine/util.h"
#include "engine/vcpu_counts.h"

struct err;
struct vm;

#define VCPU_SIGNAL SIGRTMIN

enum vcpu_stop {
	VCPU_STOP_DEVICE,   /* a device handler returned BUS_STOP */
	VCPU_STOP_PAUSE,    /* vcpu_kick() */
	VCPU_STOP_TIMEOUT,  /* the deadline passed */
	VCPU_STOP_SHUTDOWN, /* triple fault or a system event: the guest is gone */
};

struct vcpu_stats {
	uint64_t exits; /* KVM_RUN came back */
	uint64_t pio, mmio;
	uint64_t interrupted; /* by a signal */
	uint64_t assists;     /* instructions that KVM left to us (assist.h) */
};

struct vcpu {
	struct vm *vm;
	uint32_t index;
	int fd;
	struct kvm_run *run;
	bool is_new; /* nothing was loaded yet, and it has not run */
	bool pause;  /* asked to stop; atomic */
	pid_t tid;   /* thread that ran or adopted it last, 0 before; atomic */
	uint64_t
		ticks_left; /* of the TSC, from the next run on, to the local APIC's timer; 0: it runs, or
				is not armed */
	timer_t timer;	 /* sends VCPU_SIGNAL to @timer_tid at the deadline */
	pid_t timer_tid; /* 0: no timer yet */
	struct vcpu_stats stats;
	struct vcpu_counts counts; /* since vcpu_reset_prepare() */
};

/* Errors: what KVM_CREATE_VCPU, mmap and KVM_SET_CPUID2 say. @v is safe to destroy then. */
int vcpu_create(struct vcpu *v, struct vm *vm, uint32_t index, const struct cpuid *cpuid,
		struct err *err) must_check;
void vcpu_destroy(struct vcpu *v);

/* What the calling thread's first run with a deadline would do first, ahead of it. Errors: what
 * timer_create says. */
int vcpu_adopt(struct vcpu *v, struct err *err) must_check;

/* Is the calling thread the one that ran or adopted it last? */
bool vcpu_is_mine(const struct vcpu *v);

/*
 * vcpu_run - run until the guest stops for a reason that the caller must see.
 * @deadline: clock_monotonic() value, 0: none.
 * Returns an enum vcpu_stop. After VCPU_STOP_DEVICE the exit is still pending: run again, or
 * call vcpu_complete() before the state is read or set.
 * Errors: -ERR_CRASHED when the guest did what KVM cannot go on with; -errno of KVM_RUN.
 */
int vcpu_run(struct vcpu *v, nsec_t deadline, struct err *err) must_check;

/* Finish a pending PIO or MMIO exit without running the guest any further. */
int vcpu_complete(struct vcpu *v, struct err *err) must_check;

/* Make vcpu_run return VCPU_STOP_PAUSE soon. From any thread, or a signal handler. */
void vcpu_kick(struct vcpu *v);
