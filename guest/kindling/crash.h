/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h - the end of a program by a signal: everything a debugger would ask first goes to
 * the host.
 */
#pragma once

#include <stdint.h>

struct regs;

/* An exception that the program does not handle; @address: CR2 of a page fault, else 0. */
_Noreturn void crash_trap(const struct regs *r, uint32_t signal, uint64_t address);

/* The program's own signal (kill, abort): @r as its system call left them. */
_Noreturn void crash_signal(const struct regs *r, uint32_t signal);
