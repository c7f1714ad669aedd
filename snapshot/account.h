/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h - memory that is promised. Guest memory is mapped without a reservation, so the
 * kernel would let any number of machines start, and kill one of them when they come to use
 * it. What does not fit is refused before anything is made. Any thread may take and give.
 */
#pragma once

#include <stdint.h>

#include "engine/util.h"

struct err;

struct account {
	uint64_t limit; /* bytes */
	uint64_t used;	/* bytes; atomic */
};

/* @limit: bytes; 0: seven eighths of what the host has available now. Errors: no
 * /proc/meminfo. */
int account_init(struct account *a, uint64_t limit, struct err *err) must_check;

/* Errors: -ENOMEM, with @what for, when @bytes do not fit beside what was promised before. */
int account_take(struct account *a, uint64_t bytes, const char *what,
		 struct err *err) must_check;
void account_give(struct account *a, uint64_t bytes);
