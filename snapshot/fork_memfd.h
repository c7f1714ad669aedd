/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_memfd.h - a fork on its way from the process that has the machine to its caller, in a
 * memfd that the caller made. That process may have been taken over: it may keep the memfd and
 * write to it for as long as it lives. So the memfd has one size for good, there is one for all
 * forks of a machine, and the receiver copies what it finds before it checks it, like an image.
 *
 * One behind the other there are a head, the state as in state.bin, the runs of changed pages,
 * these pages, and what was written to drives, in the form of overlay_file.h.
 */
#pragma once

#include "snapshot/fork.h"

/* For machines of @t. Returns a descriptor. Errors: what memfd_create says. */
int fork_memfd(const struct template *t, struct err *err) must_check;

/*
 * fork_send - in the process of @m, which waits for an event, and goes on waiting.
 * @pages: of this process.
 * Errors: -EBUSY @m does not wait for an event; -ENOMEM; what KVM and write say.
 */
int fork_send(struct machine *m, const struct pages *pages, int fd, struct err *err) must_check;

/*
 * fork_receive - in the caller's process, when it was sent. Afterwards @fd holds nothing.
 * @t: what the machine was restored from.
 * Errors: -EPROTO @fd does not hold what fork_send writes; -ENOMEM; what mmap says. @f is safe to
 * close in every case.
 */
int fork_receive(struct fork *f, const struct kvm *kvm, const struct template *t, int fd,
		 struct err *err) must_check;
