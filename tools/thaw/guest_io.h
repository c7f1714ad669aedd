/* SPDX-License-Identifier: Apache-2.0 */
/* guest_io.h - what a guest prints and reads, on the user's terminal. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* mailbox_ops.log: stdout and stderr go where they say. */
void guest_terminal(void *arg, uint32_t stream, const void *data, size_t len);

/* mailbox_ops.log: everything goes to stderr, because stdout is for the reply; up to 16 MiB. */
void guest_log(void *arg, uint32_t stream, const void *data, size_t len);

/* After the machine's last guest_log: say if there was more. */
void guest_log_end(void);

/* mailbox_ops.input: from our stdin. */
ssize_t guest_input(void *arg, void *buf, size_t len);
