/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest_keys.h - between manifest.c and manifest_keys.c only: every key of a manifest, in
 * one table that both reading and writing follow.
 */
#pragma once

#include <jansson.h>

#include "engine/util.h"
#include "snapshot/manifest.h"

/* All keys of @doc into @m. Errors: -ERR_DAMAGED, naming the key; -ENOMEM. */
int manifest_read_keys(struct manifest *m, json_t *doc, struct err *err) must_check;

/* All of @m into @doc, other keys left alone. Errors: -EINVAL text that is not UTF-8. */
int manifest_write_keys(const struct manifest *m, json_t *doc, struct err *err) must_check;
