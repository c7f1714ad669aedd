/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h - random bytes that no two clones share. A ChaCha20 generator whose key is replaced
 * after every use, and every copy of a key cleared, so that what it gave out cannot be found
 * again in memory. Whenever the mailbox shows another generation, the host's new entropy goes
 * into the key before anything comes out.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/call.h"

void random_fill(void *dst, uint64_t size);

call_fn random_get; /* getrandom */
