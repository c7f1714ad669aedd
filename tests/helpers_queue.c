/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_queue.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "tests/helpers_image.h"

struct trunk trunk;

void trunk_close(void)
{
	queue_close(trunk.queue);
	trunk.queue = NULL;
}

void trunk_open(void)
{
	trunk_close();
	trunk.answers = 0;
	cr_assert(eq(int, queue_open(&trunk.queue, &trunk.config, &trunk.err), 0), "%s",
		  trunk.err.text);
}

void trunk_make(void)
{
	static char path[512], letters[512];

	scratch_make(trunk.dir);
	snprintf(path, sizeof(path), "%s/queue.db", trunk.dir);
	snprintf(letters, sizeof(letters), "%s/letters", trunk.dir);
	queue_config_default(&trunk.config);
	trunk.config.path = path;
	trunk.config.dead_letters = letters;
	trunk.config.retry_ms[0] = trunk.config.retry_ms[1] = 0;
	trunk_open();
}

void trunk_remove(void)
{
	trunk_close();
	scratch_remove(trunk.dir);
}

static void accepted(void *arg, int ret, const struct err *err)
{
	trunk.answers++;
	if (arg)
		*(int *)arg = ret;
	if (ret < 0) {
		trunk.refused++;
		trunk.err = *err;
	}
}

/* Call back what there is before @deadline. */
static void dispatch(nsec_t deadline)
{
	struct pollfd fd = { .fd = queue_fd(trunk.queue), .events = POLLIN };
	nsec_t now = clock_monotonic();

	poll(&fd, 1, now < deadline ? (int)((deadline - now) / NSEC_PER_MSEC) + 1 : 0);
	queue_dispatch(trunk.queue);
}

int trunk_put_event(const struct queue_event *event)
{
	nsec_t deadline = clock_deadline(10000);
	int answer = 1;
	int ret = queue_put(trunk.queue, event, accepted, &answer, &trunk.err);

	while (ret == 0 && answer == 1 && clock_monotonic() < deadline)
		dispatch(deadline);
	return ret < 0 ? ret : answer;
}

static struct queue_event event_of(const char *function, const char *payload)
{
	return (struct queue_event){ .function = function,
				     .qualifier = "",
				     .request_id = "",
				     .trace = "",
				     .client_context = "",
				     .payload = payload,
				     .len = strlen(payload),
				     .max_age_ms = QUEUE_MAX_AGE_MS,
				     .retries = 2 };
}

struct queue_event trunk_event(uint32_t max_age_ms, uint32_t retries)
{
	struct queue_event event = event_of("f", "x");

	event.max_age_ms = max_age_ms;
	event.retries = retries;
	return event;
}

void trunk_put(const char *function, const char *payload)
{
	struct queue_event event = event_of(function, payload);

	cr_assert(eq(int, trunk_put_event(&event), 0), "%s", trunk.err.text);
}

void trunk_put_only(const char *function, const char *payload)
{
	struct queue_event event = event_of(function, payload);

	cr_assert(eq(int, queue_put(trunk.queue, &event, accepted, NULL, &trunk.err), 0), "%s",
		  trunk.err.text);
}

void trunk_await(int answers)
{
	nsec_t deadline = clock_deadline(30000);

	while (trunk.answers < answers && clock_monotonic() < deadline)
		dispatch(deadline);
	cr_assert(eq(int, trunk.answers, answers));
}

const struct queue_event *trunk_take(int for_ms)
{
	nsec_t deadline = clock_deadline((uint64_t)for_ms);
	const struct queue_event *event = queue_take(trunk.queue);

	while (!event && clock_monotonic() < deadline) {
		dispatch(deadline);
		event = queue_take(trunk.queue);
	}
	return event;
}

const char *trunk_letters(void)
{
	static char *text;
	size_t len;

	free(text);
	text = (char *)bytes_read(trunk.config.dead_letters, &len);
	text[len] = '\0'; /* bytes_read has room for it */
	return text;
}

struct json_t *trunk_letter(void)
{
	const char *text = trunk_letters();
	size_t len = strlen(text);
	const char *last;

	if (len == 0 || text[len - 1] != '\n')
		return NULL;
	last = memrchr(text, '\n', len - 1);
	last = last ? last + 1 : text;
	return json_loadb(last, len - (size_t)(last - text), 0, NULL);
}
