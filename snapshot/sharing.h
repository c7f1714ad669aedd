/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sharing.h - an image is decoded once per host handle, however many templates are opened of
 * it, and by however many threads at once: the first fills a memfd, the others take a descriptor
 * of it. It goes with the last of them. Which image it is, its files say (identity.h): after
 * they changed, it is another one.
 */
#pragma once

#include <stdbool.h>

#include "engine/util.h"

struct err;
struct thaw_template;

/* template_fill, or what another template of the same files has. Errors: as template_fill. */
int sharing_fill(struct thaw_template *t, struct err *err) must_check;

/* @t goes: nobody is to find it any more. Also for one that was not filled. */
void sharing_leave(struct thaw_template *t);

/* Have two filled templates one memory? */
bool sharing_is_one(const struct thaw_template *a, const struct thaw_template *b);
