/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - a system call: the arguments are in RDI RSI RDX R10 R8 R9, the result is a value or
 * -errno. The table that leads from numbers to these functions is in call.c.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/regs.h"

typedef int64_t call_fn(const struct regs *r);

/* A result: do the call again, after a signal's handler (Linux's ERESTARTSYS). */
#define CALL_RESTART (-512)

#define CALL_SIZE 2u /* bytes of a SYSCALL instruction */
