/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h - the end of a program by a signal: everything a debugger would ask first goes to
 * the host.
 */
#pragma once

#include <stdint.h>

struct regs;

/* The program's own signal (kill, abort): @r as its system call left them. */
_Noreturn void crash_signal(const struct regs *r, uint32_t signal);
