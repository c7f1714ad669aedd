/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fds.h - as many descriptors as this process may have. The limit that programs are given by
 * default is low for the sake of those that use select(2), and the kernel's table grows as it
 * is filled: with threads, that waits for RCU.
 */
#pragma once

#include <stdint.h>

/* Raise the limit as far as it goes. Returns it; 0: unknown. */
uint64_t fds_raise_limit(void);

/* Have a table for @n descriptors now. Best effort. */
void fds_reserve(uint64_t n);
