/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fds.h - as many descriptors as this process may have, waiting for one, sealing one. The limit that
 * programs are given by default is low for the sake of those that use select(2), and the
 * kernel's table grows as it is filled: with threads, that waits for RCU.
 */
#pragma once

#include <poll.h>
#include <stdint.h>

#include "engine/clock.h"

/* Raise the limit as far as it goes. Returns it; 0: unknown. */
uint64_t fds_raise_limit(void);

/* Have a table for @n descriptors now. Best effort. */
void fds_reserve(uint64_t n);

/* poll(2) until @until (clock_monotonic()), or now. A signal that comes in between changes
 * nothing. Returns how many are ready, or -errno. */
int fds_poll(struct pollfd *p, unsigned int n, nsec_t until);

/* Is there something to be read before @until, or now? Returns 1, 0 or -errno. */
int fds_wait_readable(int fd, nsec_t until);

/*
 * fds_seal - F_ADD_SEALS, of a memfd that nobody has mapped to write any more. The kernel waits 150 ms
 * for pages that somebody holds, and cannot tell who writes from who moves them (compaction), so
 * that it is asked some times. Returns 0, or -1 and errno, as fcntl(2).
 */
int fds_seal(int fd, int seals);
