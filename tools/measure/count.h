/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count.h - how many system calls and page faults a piece of code costs: counts, free of noise.
 *
 * It runs in a child under ptrace, which stops it at every system call; its page faults, those
 * that KVM takes for the guest included, are what getrusage says of its thread.
 */
#pragma once

#include "snapshot/thaw.h"

struct counts {
	unsigned int calls, faults;
};

struct counted {
	/* Not counted, before and after: @run is called once. Each returns 0 or -errno. */
	int (*prepare)(void *arg, struct thaw_err *err);
	int (*run)(void *arg, struct thaw_err *err);
	void *arg;
};

/* Errors: those of the child; -EIO it died; -EPERM ptrace is not allowed here. */
int count_run(struct counts *c, const struct counted *what, struct thaw_err *err);
