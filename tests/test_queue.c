/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_queue.c - events that nobody waits for: in turn, again after a failure, as dead letters in the
 * end, and all of them there after a restart.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util.h"
#include "tests/helpers_image.h"
#include "tests/helpers_queue.h"

TestSuite(queue, .init = trunk_make, .fini = trunk_remove, .timeout = 60);

static const struct queue_event *must_take(const char *payload)
{
	const struct queue_event *e = trunk_take(10000);

	cr_assert(ne(ptr, (void *)e, NULL), "expected %s", payload);
	cr_assert(eq(int, e->len, strlen(payload)));
	cr_expect(eq(int, memcmp(e->payload, payload, e->len), 0), "%.*s, expected %s",
		  (int)e->len, (const char *)e->payload, payload);
	return e;
}

static void expect_none(int for_ms)
{
	const struct queue_event *e = trunk_take(for_ms);

	cr_expect(eq(ptr, (void *)e, NULL));
}

static struct queue_stats stats(void)
{
	struct queue_stats s;

	queue_stats(trunk.queue, &s);
	return s;
}

/* Until all that was asked for is done: what is put is answered after that. */
static void settle(void)
{
	trunk_put("settle", "-");
	queue_done(trunk.queue, must_take("-"));
}

Test(queue, gives_out_what_was_put_with_all_that_belongs_to_it)
{
	struct queue_event in = { .function = "f",
				  .qualifier = "live",
				  .request_id = "r-1",
				  .trace = "Root=1",
				  .client_context = "e30=",
				  .payload = "a\0b",
				  .len = 3,
				  .max_age_ms = 60000,
				  .retries = 1 };
	const struct queue_event *out;

	cr_expect(eq(int, trunk_put_event(&in), 0), "%s", trunk.err.text);
	out = trunk_take(10000);
	cr_assert(ne(ptr, (void *)out, NULL));
	cr_expect(eq(str, (char *)out->function, "f"));
	cr_expect(eq(str, (char *)out->qualifier, "live"));
	cr_expect(eq(str, (char *)out->request_id, "r-1"));
	cr_expect(eq(str, (char *)out->trace, "Root=1"));
	cr_expect(eq(str, (char *)out->client_context, "e30="));
	cr_assert(eq(u64, out->len, 3));
	cr_expect(eq(int, memcmp(out->payload, "a\0b", 3), 0));
	cr_expect(eq(u32, out->max_age_ms, 60000));
	cr_expect(eq(u32, out->retries, 1));
	cr_expect(eq(u32, out->attempts, 0));
	expect_none(50);
	queue_done(trunk.queue, out);
	settle();
	cr_expect(le(u64, stats().events, 1), "but for that of settle");
}

Test(queue, keeps_the_order_of_one_function)
{
	char payload[16];

	for (int i = 0; i < 8; i++) {
		snprintf(payload, sizeof(payload), "%d", i);
		trunk_put("f", payload);
	}
	for (int i = 0; i < 8; i++) {
		snprintf(payload, sizeof(payload), "%d", i);
		queue_done(trunk.queue, must_take(payload));
	}
}

Test(queue, serves_functions_in_turn)
{
	const struct queue_event *e[4];

	trunk.config.taken = 4;
	trunk_open();
	for (int i = 0; i < 20; i++)
		trunk_put("a", "a");
	trunk_put("b", "b");
	trunk_put("c", "c");
	for (int i = 0; i < 4; i++)
		e[i] = must_take("a"); /* taken before others came */
	expect_none(50);
	for (int i = 0; i < 4; i++)
		queue_done(trunk.queue, e[i]);
	e[0] = must_take("b");
	e[1] = must_take("c");
	e[2] = must_take("a");
}

Test(queue, gives_out_no_more_than_it_may_of_one_function)
{
	const struct queue_event *e;

	trunk.config.taken_each = 2;
	trunk_open();
	for (int i = 0; i < 5; i++)
		trunk_put("a", "a");
	trunk_put("b", "b");
	e = must_take("a");
	must_take("a");
	must_take("b");
	expect_none(50);
	queue_done(trunk.queue, e);
	must_take("a");
	expect_none(50);
	cr_expect(eq(u64, stats().taken, 3));
}

Test(queue, what_is_not_handled_is_there_again_after_a_restart)
{
	trunk_put("f", "1");
	trunk_put("f", "2");
	trunk_put("f", "3");
	must_take("1");
	queue_done(trunk.queue, must_take("2"));
	trunk_open();
	cr_expect(eq(u64, stats().events, 2));
	must_take("1");
	must_take("3");
	expect_none(50);
}

static void await_dead(uint64_t n)
{
	for (int i = 0; i < 10000 && stats().dead < n; i++)
		usleep(1000);
	cr_assert(eq(u64, stats().dead, n));
}

static json_t *letter(void)
{
	json_t *line = trunk_letter();

	cr_assert(ne(ptr, line, NULL), "no dead letter");
	return line;
}

static const char *text_at(const json_t *line, const char *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(line, object), key));
}

Test(queue, tries_again_and_gives_up)
{
	const struct queue_event *e;
	json_t *line;

	trunk_put("f", "{\"a\":\n[1.10,\"x\"]}");
	for (uint32_t i = 0; i < 3; i++) {
		e = trunk_take(10000);
		cr_assert(ne(ptr, (void *)e, NULL));
		cr_expect(eq(u32, e->attempts, i));
		queue_fail(trunk.queue, e, "crashed", "why\xff", 4);
	}
	settle();
	expect_none(50);
	line = letter();
	cr_expect(eq(str, (char *)text_at(line, "requestContext", "condition"),
		     "RetriesExhausted"));
	cr_expect(eq(str, (char *)text_at(line, "requestContext", "functionName"), "f"));
	cr_expect(
		eq(str, (char *)text_at(line, "responseContext", "functionError"), "crashed"));
	cr_expect(eq(str,
		     (char *)json_string_value(json_object_get(line, "responsePayloadBase64")),
		     "d2h5/w=="));
	cr_expect(ne(ptr, strstr(trunk_letters(), "\"requestPayload\":{\"a\": [1.10,\"x\"]},"),
		     NULL),
		  "JSON stays as it was: %s", trunk_letters());
	json_decref(line);
	cr_expect(eq(u64, stats().failed, 3));
	cr_expect(eq(u64, stats().dead, 1));
}

Test(queue, waits_before_it_tries_again)
{
	trunk.config.retry_ms[0] = 300;
	trunk_open();
	trunk_put("f", "1");
	queue_fail(trunk.queue, must_take("1"), "", NULL, 0);
	expect_none(100);
	queue_defer(trunk.queue, must_take("1"), 300);
	expect_none(100);
	cr_expect(eq(u32, must_take("1")->attempts, 1), "to defer is no attempt");
}

Test(queue, what_is_too_old_is_a_dead_letter_though_nobody_took_it)
{
	struct queue_event e = trunk_event(200, 2);
	json_t *line;

	trunk.config.taken_each = 1;
	trunk_open();
	trunk_put("f", "1");
	cr_expect(eq(int, trunk_put_event(&e), 0));
	must_take("1");
	await_dead(1);
	line = letter();
	cr_expect(eq(str, (char *)text_at(line, "requestContext", "condition"),
		     "EventAgeExceeded"));
	json_decref(line);
}

Test(queue, a_retry_that_comes_too_late_is_not_waited_for)
{
	struct queue_event e = trunk_event(20000, 2);
	json_t *line;

	trunk.config.retry_ms[0] = 60000;
	trunk_open();
	cr_expect(eq(int, trunk_put_event(&e), 0));
	queue_fail(trunk.queue, must_take("x"), "", NULL, 0);
	settle();
	line = letter();
	cr_expect(eq(str, (char *)text_at(line, "requestContext", "condition"),
		     "EventAgeExceeded"));
	json_decref(line);
}

Test(queue, events_of_a_function_that_is_gone_are_dead_letters)
{
	const struct queue_event *e;

	trunk.config.taken_each = 1;
	trunk_open();
	for (int i = 0; i < 100; i++)
		trunk_put("f", "f");
	trunk_put("g", "g");
	e = must_take("f");
	cr_expect(eq(int, queue_forget(trunk.queue, "f", &trunk.err), 0));
	queue_done(trunk.queue, must_take("g"));
	await_dead(99);
	queue_fail(trunk.queue, e, "gone", NULL, 0);
	await_dead(100);
	cr_expect(ne(ptr, strstr(trunk_letters(), "FunctionDeleted"), NULL));
	trunk_put("f", "new");
	must_take("new");
}

/* ---- refusals ---- */

static void expect_error(int ret, int code, const char *says)
{
	cr_expect(eq(int, ret, -code), "%s", trunk.err.text);
	cr_expect(ne(ptr, strstr(trunk.err.text, says), NULL), "says: %s", trunk.err.text);
}

Test(queue, bad_events_are_refused)
{
	static char big[QUEUE_MAX_PAYLOAD + 1], text[QUEUE_MAX_TEXT + 2];
	struct queue_event good = trunk_event(1000, 0), e;

	good.payload = big;
	good.len = QUEUE_MAX_PAYLOAD;
	e = good;
	cr_expect(eq(int, trunk_put_event(&good), 0), "%s", trunk.err.text);
	e.len++;
	expect_error(trunk_put_event(&e), EMSGSIZE,
		     "has 262145 bytes, largest allowed is 262144");
	e = good;
	e.retries = 3;
	expect_error(trunk_put_event(&e), EINVAL, "3 retries");
	e = good;
	e.max_age_ms = 0;
	expect_error(trunk_put_event(&e), EINVAL, "maximum age is 0 ms");
	e = good;
	memset(text, 'x', sizeof(text) - 1);
	e.trace = text;
	expect_error(trunk_put_event(&e), EINVAL, "text has 4097 bytes");
}

Test(queue, a_full_queue_refuses)
{
	struct queue_event e = trunk_event(20000, 0);

	trunk.config.max_events = 3;
	trunk_open();
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, trunk_put_event(&e), 0), "%s", trunk.err.text);
	expect_error(trunk_put_event(&e), EAGAIN, "the queue is full: it has 3 events");
	queue_done(trunk.queue, must_take("x"));
	for (int i = 0; i < 1000 && stats().events == 3; i++)
		usleep(1000);
	cr_expect(eq(int, trunk_put_event(&e), 0), "%s", trunk.err.text);
}

Test(queue, one_process_has_it)
{
	struct queue *other;

	expect_error(queue_open(&other, &trunk.config, &trunk.err), EBUSY,
		     "is in use by another process");
}

Test(queue, a_file_that_is_no_queue_is_refused)
{
	static char junk[8192];
	struct queue *other;

	trunk_close();
	memset(junk, 'j', sizeof(junk));
	bytes_write(trunk.config.path, junk, sizeof(junk));
	unlink(scratch_path(trunk.dir, "queue.db-wal"));
	expect_error(queue_open(&other, &trunk.config, &trunk.err), EUCLEAN, "not a database");
	unlink(trunk.config.path);
	cr_assert(eq(int, chdir(trunk.dir), 0));
	cr_assert(eq(int, system("sqlite3 queue.db 'CREATE TABLE t(x)'"), 0));
	expect_error(queue_open(&other, &trunk.config, &trunk.err), EINVAL,
		     "is not thawd's queue");
	trunk.config.path = "/nowhere/queue.db";
	expect_error(queue_open(&other, &trunk.config, &trunk.err), ENOENT,
		     "/nowhere/queue.db");
}

/* ---- many at once ---- */

Test(queue, many_puts_are_few_transactions)
{
	enum { N = 2000 };

	trunk.config.taken = trunk.config.taken_each = 100;
	trunk_open();
	for (int i = 0; i < N; i++)
		trunk_put_only("f", "x");
	trunk_await(N);
	cr_expect(eq(u64, stats().accepted, N));
	cr_expect(lt(u64, stats().commits, N / 10));
	for (int i = 0; i < N; i++)
		queue_done(trunk.queue, must_take("x"));
	settle();
	cr_expect(ge(u64, stats().done, N));
}

Test(queue, closing_answers_all)
{
	for (int i = 0; i < 100; i++)
		trunk_put_only("f", "x");
	trunk_close();
	cr_expect(eq(int, trunk.answers, 100));
	trunk_open();
	cr_expect(eq(u64, stats().events, 100));
}
