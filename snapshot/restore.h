/* SPDX-License-Identifier: Apache-2.0 */
/* restore.h - template + shell -> a machine that waits for its next event. The hot path. */
#pragma once

#include "engine/clock.h"
#include "engine/util.h"

struct err;
struct machine;
struct template;
struct tier;

/*
 * restore_prepare - do what @tier can do for a machine of @t before anybody asks for one: part of
 * making the shell, off the start path. restore() does it where it was not done.
 */
int restore_prepare(struct machine *m, const struct template *t, const struct tier *tier,
		    struct err *err) must_check;

/*
 * restore - attach memory, set vCPU and device state, apply uniqueness.
 * @m: made by machine_create() of t->shape, nothing in it yet.
 * @phases: may be NULL; gets the stamps "memory" and "state".
 * After an error @m can only be destroyed.
 */
int restore(struct machine *m, const struct template *t, const struct tier *tier,
	    struct phases *phases, struct err *err) must_check;
