/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/way.h"

#include <errno.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/err.h"
#include "engine/util.h"
#include "tools/measure/cache.h"
#include "tools/thaw/cmd.h"

static int check_reply(struct way *w, const struct thaw_reply *reply, struct err *err)
{
	if (w->replies_differ)
		return 0;
	if (w->reply_len == 0) {
		w->reply_len = MIN(reply->len, sizeof(w->reply));
		memcpy(w->reply, reply->data, w->reply_len);
	}
	if (reply->len != w->reply_len || memcmp(reply->data, w->reply, w->reply_len) != 0)
		return err_set(err, EIO, "two starts with one event gave different replies");
	return 0;
}

/* @from: when the clock began; 0: when the clone that was made ahead is started. */
static int run_clone(struct way *w, const struct thaw_template *t, nsec_t from, double *us,
		     struct thaw_err *err)
{
	struct thaw_clone *clone;
	struct thaw_stamps stamps;
	struct thaw_reply reply;
	int ret = thaw_clone_make(&clone, t, NULL, NULL, err);

	if (ret == 0)
		ret = thaw_clone_start(clone, err);
	if (ret == 0)
		ret = thaw_clone_invoke(clone, w->event, w->event_len, w->timeout_ms, &reply,
					err);
	if (ret == 0 && w->bytes)
		ret = series_add(w->bytes, (double)(cache_bytes_read() - w->bytes_before));
	if (ret == 0)
		ret = check_reply(w, &reply, cmd_err(err));
	if (ret == 0) {
		thaw_clone_stamps(clone, &stamps);
		*us = (double)(stamps.first_response - (from ? from : stamps.request)) / 1e3;
	}
	thaw_clone_close(clone);
	return ret;
}

static int run_whole(struct way *w, double *us, struct thaw_err *err)
{
	struct thaw_template *t;
	nsec_t from = clock_monotonic();
	int ret = thaw_template_open(&t, w->host, w->image, w->tier, 1, err);

	if (ret < 0)
		return ret;
	ret = run_clone(w, t, from, us, err);
	thaw_template_close(t);
	return ret;
}

int way_sample(void *arg, double *us, struct thaw_err *err)
{
	struct way *w = arg;
	int ret = w->cold ? cache_drop(w->file, err) : 0;

	if (ret < 0)
		return ret;
	w->bytes_before = cache_bytes_read();
	return w->template ? run_clone(w, w->template, 0, us, err) : run_whole(w, us, err);
}
