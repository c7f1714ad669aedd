/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/slot.h"

#include <errno.h>
#include <string.h>

#include "engine/clock.h"
#include "tools/thaw/cmd.h"

int slot_open(struct slot *s, const struct thaw_template *t, struct thaw_err *err)
{
	double us;
	int ret = thaw_clone_open(&s->clone, t, NULL, NULL, err);

	return ret < 0 ? ret : slot_sample(s, &us, err);
}

void slot_close(struct slot *s)
{
	thaw_clone_close(s->clone);
	s->clone = NULL;
}

int slot_invoke(struct slot *s, double *us, struct thaw_err *err)
{
	struct thaw_reply reply;
	nsec_t from = clock_monotonic();
	int ret =
		thaw_clone_invoke(s->clone, s->event, s->event_len, s->timeout_ms, &reply, err);

	*us = (double)(clock_monotonic() - from) / 1e3;
	if (ret < 0)
		return ret;
	if (s->reply &&
	    (reply.len != strlen(s->reply) || memcmp(reply.data, s->reply, reply.len) != 0))
		return err_set(cmd_err(err), EIO, "a warm slot answered wrongly");
	return 0;
}

int slot_sample(void *arg, double *us, struct thaw_err *err)
{
	struct slot *s = arg;
	int ret = slot_invoke(s, us, err);
	nsec_t from = clock_monotonic();

	if (ret == 0)
		ret = thaw_clone_rewind(s->clone, 0, err);
	if (ret == 0 && s->rewind)
		ret = series_add(s->rewind, (double)(clock_monotonic() - from) / 1e3);
	return ret;
}

int slot_used_sample(void *arg, double *us, struct thaw_err *err)
{
	return slot_invoke(arg, us, err);
}
