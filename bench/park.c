/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/park.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "tools/thaw/cmd.h"

#define PARK_TEXT	48u	     /* bytes of an event */
#define PARK_TIMEOUT_MS 60000u	     /* ours: longer than all answers take on a slow host */
#define PARK_SLOT	(128u << 10) /* a clone's share of it */

int park_open(struct park *p, struct thaw_zygote *zygote, const struct thaw_template *t,
	      unsigned int n, struct thaw_err *err)
{
	int ret = thaw_pool_open(&p->pool, zygote, t, n, PARK_SLOT, err);

	if (ret < 0)
		return ret;
	p->slots = calloc(n, sizeof(struct thaw_slot *));
	if (!p->slots)
		return err_set(cmd_err(err), ENOMEM, "no memory for %u clones", n);
	p->n = n;
	return 0;
}

void park_close(struct park *p)
{
	thaw_pool_close(p->pool);
	free(p->slots);
	*p = (struct park){ 0 };
}

static size_t event_of(char event[PARK_TEXT], unsigned int salt, unsigned int i)
{
	return (size_t)snprintf(event, PARK_TEXT, "event %u of clone %u", salt, i);
}

static int ask(struct park *p, unsigned int i, unsigned int salt, struct thaw_err *err)
{
	char event[PARK_TEXT];
	size_t len = event_of(event, salt, i);
	int ret = 0;

	if (!p->slots[i])
		ret = thaw_slot_start(&p->slots[i], p->pool, NULL, NULL, NULL, err);
	if (ret == 0)
		ret = thaw_slot_send(p->slots[i], event, len, PARK_TIMEOUT_MS, err);
	return ret;
}

/* Echo's answer is the event. */
static int hear(struct park *p, unsigned int i, unsigned int salt, struct thaw_err *err)
{
	char event[PARK_TEXT];
	size_t len = event_of(event, salt, i);
	struct thaw_reply reply;
	int ret = thaw_slot_wait(p->slots[i], &reply, err);

	if (ret == 0 && (reply.len != len || memcmp(reply.data, event, len) != 0))
		ret = err_set(cmd_err(err), EIO, "clone %u answered '%.*s' to '%s'", i,
			      (int)MIN(reply.len, (size_t)PARK_TEXT), (const char *)reply.data,
			      event);
	return ret;
}

int park_ask(struct park *p, unsigned int from, unsigned int to, unsigned int salt,
	     nsec_t *wall, struct thaw_err *err)
{
	nsec_t start = clock_monotonic();
	int ret = 0;

	for (unsigned int i = from; i < to && ret == 0; i++)
		ret = ask(p, i, salt, err);
	for (unsigned int i = from; i < to && ret == 0; i++)
		ret = hear(p, i, salt, err);
	*wall = clock_monotonic() - start;
	return ret;
}

pid_t park_pid(const struct park *p, unsigned int i)
{
	return thaw_slot_pid(p->slots[i]);
}
