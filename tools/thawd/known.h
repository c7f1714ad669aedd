/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known.h - which function a name and a qualifier mean, for as long as the store does not change: an
 * invocation costs no question to the database.
 */
#pragma once

#include <stdint.h>

struct function;

/* All zeros: nothing is known. */
struct known {
	void *names;	  /* of tsearch(3) */
	uint32_t n;	  /* of them */
	uint64_t changes; /* store_changes() when the first was added */
};

/* NULL: not known, or not since the store has changed to @changes. */
struct function *known_find(struct known *k, uint64_t changes, const char *name,
			    const char *qualifier);
/* @changes: of before it was asked what they mean. Without memory nothing is added. */
void known_add(struct known *k, uint64_t changes, const char *name, const char *qualifier,
	       struct function *f);
/* All of it: a function goes, or we do. */
void known_forget(struct known *k);
