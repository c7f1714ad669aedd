/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_keys.h - for sigv4.c: the secrets of clients. */
#pragma once

#include "tools/thawd/sigv4.h"

/* The secret of a key, or NULL. */
const char *sigv4_keys_secret(const struct sigv4_keys *keys, const char *key_id);
