/* SPDX-License-Identifier: Apache-2.0 */
/* guest_io.h - what a guest prints, reads and how it died, on the user's terminal. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "snapshot/machine.h"

/* mailbox_ops.log: stdout and stderr go where they say. */
void guest_terminal(void *arg, uint32_t stream, const void *data, size_t len);

/* mailbox_ops.log: everything goes to stderr, because stdout is for the reply. */
void guest_log(void *arg, uint32_t stream, const void *data, size_t len);

/* mailbox_ops.input: from our stdin. */
ssize_t guest_input(void *arg, void *buf, size_t len);

/* Print the registers of a crash record on stderr. */
void guest_print_crash(const struct abi_crash *c);
