/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook.h - a program that handles ABI_HOOK_SIGNAL is told inside read(3), before it is frozen
 * and after it was thawed: the signal is delivered, and the read is done again. guest/thaw.h
 * is the program's side.
 */
#pragma once

#include <stdint.h>

/* Not 0: a read of the event stream goes through hook_read. Read by entry.S. */
extern uint8_t hook_wanted;

/* Has the program a handler? */
void hook_watch(int wanted);

/* read(3) into a buffer that was checked. Returns bytes, -EDEADLK in a hook, or CALL_RESTART. */
int64_t hook_read(uint64_t buf, uint64_t size);
