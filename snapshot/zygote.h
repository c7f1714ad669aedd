/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zygote.h - a process that has done what is done once (/dev/kvm and its lists, the trial of
 * what makes KVM notice page tables, the filter) and forks shells, so that a shell costs a fork
 * and its own KVM calls.
 *
 * The zygote ends when the caller closes its socket or dies; its shells are killed by the
 * kernel when it does. It reaps them, and says on a shell's own socket how that ended, so that
 * whoever waits there hears of everything in one place: an answer, a death, or, when the zygote
 * itself is gone, the end of the connection.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "engine/util.h"

struct cell_range;
struct err;

struct zygote {
	int socket; /* to it */
	int pidfd;
	pid_t pid;
};

/*
 * zygote_open - fork it and wait until it is ready. What the calling process has in its memory
 * at this moment is also in the zygote and in all shells: call it early.
 * @cells: where shells go (cell.h); NULL: nowhere.
 * Errors: -ERR_NO_KVM; -ERR_TIMED_OUT it does not get ready; what fork and libseccomp say;
 * those of cells_open.
 */
int zygote_open(struct zygote *z, const struct cell_range *cells, struct err *err) must_check;

/* All shells are gone afterwards, and the zygote has been reaped. */
void zygote_close(struct zygote *z);

/*
 * zygote_make - ask for one shell; it says on its socket when it is ready. From any thread.
 * @state_fd: handover.h; @mailbox_fd: both stay the caller's.
 * Returns the caller's end of the socket.
 * Errors: -EPIPE the zygote is gone; what socketpair says.
 */
int zygote_make(const struct zygote *z, int state_fd, int mailbox_fd,
		struct err *err) must_check;

/* Is it still there? */
bool zygote_lives(const struct zygote *z);
