/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/warm.h"

#include <errno.h>
#include <string.h>

#include "engine/clock.h"
#include "tools/thaw/cmd.h"

int warm_rewind(struct warm *w, struct thaw_err *err)
{
	return thaw_clone_rewind(w->clone, 0, err);
}

int warm_open(struct warm *w, const struct bench *b, const char *program, struct thaw_err *err)
{
	double us;
	int ret;

	*w = (struct warm){ .event = "ping" };
	ret = subject_open(&w->subject, b, program, false, "warm", err);
	if (ret == 0)
		ret = thaw_clone_open(&w->clone, w->subject.template, NULL, NULL, err);
	if (ret == 0)
		ret = warm_invoke(w, &us, err);
	if (ret == 0)
		ret = warm_rewind(w, err);
	return ret;
}

void warm_close(struct warm *w)
{
	thaw_clone_close(w->clone);
	subject_close(&w->subject);
	w->clone = NULL;
}

int warm_invoke(struct warm *w, double *us, struct thaw_err *err)
{
	struct thaw_reply reply;
	nsec_t from = clock_monotonic();
	int ret = thaw_clone_invoke(w->clone, w->event, strlen(w->event), 0, &reply, err);

	*us = (double)(clock_monotonic() - from) / 1e3;
	if (ret < 0)
		return ret;
	if (w->reply &&
	    (reply.len != strlen(w->reply) || memcmp(reply.data, w->reply, reply.len) != 0))
		return err_set(cmd_err(err), EIO, "a warm slot answered wrongly");
	return 0;
}

int warm_sample(void *arg, double *us, struct thaw_err *err)
{
	struct warm *w = arg;
	int ret = warm_invoke(w, us, err);
	nsec_t from = clock_monotonic();

	if (ret == 0)
		ret = warm_rewind(w, err);
	if (ret == 0 && w->rewind)
		ret = series_add(w->rewind, (double)(clock_monotonic() - from) / 1e3);
	return ret;
}
