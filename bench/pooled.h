/* SPDX-License-Identifier: Apache-2.0 */
/* pooled.h - starts in processes of their own: from a shell that waits in a pool to the reply. */
#pragma once

#include "snapshot/thaw.h"

struct pooled {
	struct thaw_pool *pool;
	const char *event, *reply;
};

/* @t: of tier map or warm; @event and @reply: of every start. pooled_close is safe after an error. */
int pooled_open(struct pooled *p, struct thaw_zygote *zygote, const struct thaw_template *t,
		const char *event, const char *reply, struct thaw_err *err);
void pooled_close(struct pooled *p);

/* One sample: taking the shell, handing over machine and event, the reply. Closing the slot and
 * making new shells are not in it. @arg: struct pooled. */
int pooled_sample(void *arg, double *us, struct thaw_err *err);
