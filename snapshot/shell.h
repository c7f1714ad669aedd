/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h - the life of a shell: a process that enters its cell, makes a VM of one shape, gives
 * up what it does not need any more, and waits on its socket for a machine, events and rewinds
 * (packet.h). A guest that broke out finds itself in this process.
 */
#pragma once

#include "engine/kvm.h"
#include "snapshot/cell.h"
#include "snapshot/filter.h"
#include "snapshot/packet.h"

/* What it is born with. */
struct shell_birth {
	const struct kvm *kvm;
	const struct filter *filter;
	const struct cells *cells;
	uint32_t cell; /* the id of its own */
	int socket;    /* to the caller */
	int state_fd;  /* a state of the shape that it is made for (handover.h) */
	int mailbox_fd;
	int zygote; /* its pidfd */
};

/*
 * shell_main - in a process just forked, which has nothing open but @b's descriptors and what
 * stands for standard input, output and error. Ends when the caller closes its end of the
 * socket, or something fails that the caller has been told.
 * Returns the process's exit status.
 */
int shell_main(const struct shell_birth *b) must_check;
