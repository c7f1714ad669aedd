/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu_exit.h - what to do when KVM_RUN came back. Used by vcpu.c. */
#pragma once

struct err;
struct vcpu;

/*
 * vcpu_exit - handle the exit in v->run.
 * Returns -EINTR: run on; an enum vcpu_stop: leave the loop; -ERR_CRASHED or another -errno.
 */
int vcpu_exit(struct vcpu *v, struct err *err);
