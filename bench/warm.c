/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/warm.h"

#include <string.h>

int warm_open(struct warm *w, const struct bench *b, const char *program, const char *event,
	      const char *reply, struct thaw_err *err)
{
	int ret;

	*w = (struct warm){
		.slot = { .event = event, .event_len = strlen(event), .reply = reply }
	};
	ret = subject_open(&w->subject, b, program, false, "warm", err);
	return ret < 0 ? ret : slot_open(&w->slot, w->subject.template, err);
}

void warm_close(struct warm *w)
{
	slot_close(&w->slot);
	subject_close(&w->subject);
}
