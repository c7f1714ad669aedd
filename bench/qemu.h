/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu.h - the peer QEMU: `-M microvm -accel kvm`, a frozen guest of 64 MiB that does nothing
 * but halt, thawed with -incoming. From posix_spawn to QMP's word that it runs: no polling, the
 * monitor is a socket pair. A guest of ours has answered by then; this one only runs.
 */
#pragma once

#include <sys/types.h>

#include "snapshot/thaw.h"

struct qemu {
	char rom[128];	  /* firmware of the guest */
	char frozen[128]; /* its saved state */
};

/*
 * qemu_open - make the guest, run it and save it. @scratch: folder for its files.
 * Errors: -ENOENT there is no qemu-system-x86_64; -EIO it did not do what it was told.
 */
int qemu_open(struct qemu *q, const char *scratch, struct thaw_err *err);

/* One sample: microseconds from posix_spawn to running. @arg: struct qemu. */
int qemu_sample(void *arg, double *us, struct thaw_err *err);
