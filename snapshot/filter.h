/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - the system calls that a shell may still make once it waits for a machine: those of
 * running, rewinding and talking on what is open already. No path, no network, no new process,
 * no code made executable, no signal and no descriptor to anybody else. Anything else ends the process (SIGSYS).
 * Of ioctl(2), KVM's and the scan of pages are allowed, of fcntl(2) the look at seals: others
 * would type on a terminal, or have a descriptor send signals.
 */
#pragma once

#include <linux/filter.h>

#include "engine/util.h"

struct err;

struct filter {
	struct sock_fprog prog; /* .filter is owned */
};

/* Compile it, once; processes that are forked afterwards have it. Errors: -ENOMEM and what
 * libseccomp says. */
int filter_init(struct filter *f, struct err *err) must_check;
void filter_fini(struct filter *f);

/* Put the calling thread under it, for good, and deny it new privileges. */
int filter_enter(const struct filter *f, struct err *err) must_check;
