/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pooled.h"

#include <errno.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/err.h"
#include "tools/thaw/cmd.h"

#define POOLED_SHELLS 16u

int pooled_open(struct pooled *p, struct thaw_zygote *zygote, const struct thaw_template *t,
		const char *event, const char *reply, struct thaw_err *err)
{
	*p = (struct pooled){ .event = event, .reply = reply };
	return thaw_pool_open(&p->pool, zygote, t, POOLED_SHELLS, 0, err);
}

void pooled_close(struct pooled *p)
{
	thaw_pool_close(p->pool);
	*p = (struct pooled){ 0 };
}

static int start(const struct pooled *p, struct thaw_slot **slot, double *us,
		 struct thaw_err *err)
{
	struct thaw_reply reply = { 0 };
	nsec_t from = clock_monotonic();
	int ret = thaw_slot_start(slot, p->pool, NULL, NULL, NULL, err);

	if (ret == 0)
		ret = thaw_slot_invoke(*slot, p->event, strlen(p->event), 0, &reply, err);
	*us = (double)(clock_monotonic() - from) / 1e3;
	if (ret < 0)
		return ret;
	if (reply.len != strlen(p->reply) || memcmp(reply.data, p->reply, reply.len) != 0)
		return err_set(cmd_err(err), EIO, "a pooled start answered wrongly");
	return 0;
}

int pooled_sample(void *arg, double *us, struct thaw_err *err)
{
	const struct pooled *p = arg;
	struct thaw_slot *slot;
	int ret = start(p, &slot, us, err);

	if (ret == -EAGAIN) {
		ret = thaw_pool_fill(p->pool, err);
		if (ret >= 0)
			ret = start(p, &slot, us, err);
	}
	thaw_slot_close(slot);
	return ret;
}
