/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_many_slots.c - what one thread that looks after many slots uses: pools that grow as wanted, and
 * calls that do not wait. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "tests/helpers_nest.h"

static struct nest n;
static struct thaw_err err;

static void pool_of(const char *program, unsigned int slots)
{
	nest_begin(&n, program);
	cr_assert(eq(int,
		     thaw_pool_open_empty(&n.pool, n.zygote, n.template, slots, 1 << 20, &err),
		     0),
		  "%s", err.text);
}

Test(many_slots, a_pool_has_as_many_shells_as_it_was_asked_for, .timeout = 60)
{
	struct thaw_slot *used, *none;

	pool_of("echo", 8);
	cr_expect(eq(int, thaw_slot_start(&none, n.pool, NULL, NULL, NULL, &err), -EAGAIN));
	cr_expect(eq(int, thaw_pool_fill_to(n.pool, 3, &err), 3), "%s", err.text);
	cr_expect(eq(int, nest_children(thaw_zygote_pid(n.zygote), NULL, 0), 3));
	used = nest_start(&n);
	nest_ask(used, "hello");
	cr_expect(eq(int, thaw_pool_fill_to(n.pool, 2, &err), 2), "there are enough");
	cr_expect(eq(int, thaw_pool_fill_to(n.pool, 3, &err), 3));
	cr_expect(eq(int, thaw_pool_fill_to(n.pool, 100, &err), 7), "one of eight is in use");
	cr_expect(eq(int, thaw_pool_fill_to(n.pool, 0, &err), 7), "none is taken away");
	thaw_slot_close(used);
	nest_free(&n);
}

static void wait_for(const struct thaw_slot *slot)
{
	struct pollfd p = { .fd = thaw_slot_fd(slot), .events = POLLIN };

	cr_assert(eq(int, poll(&p, 1, (int)NEST_TIMEOUT_MS), 1));
}

/* Calls that found nothing there; the answer is with @reply. */
static unsigned int wait_for_reply(struct thaw_slot *slot, struct thaw_reply *reply)
{
	unsigned int early = 0;
	int ret;

	while ((ret = thaw_slot_wait(slot, reply, &err)) == -EAGAIN) {
		early++;
		wait_for(slot);
	}
	cr_assert(eq(int, ret, 0), "%s", err.text);
	return early;
}

Test(many_slots, nothing_waits, .timeout = 60)
{
	struct thaw_slot *slot;
	struct thaw_reply reply;
	int ret;

	pool_of("tests/sleeper", 1);
	cr_assert(eq(int, thaw_pool_fill_to(n.pool, 1, &err), 1), "%s", err.text);
	slot = nest_start(&n);
	thaw_slot_wait_not(slot);
	for (int i = 0; i < 3; i++) {
		cr_assert(eq(int, thaw_slot_send(slot, "100", 3, NEST_TIMEOUT_MS, &err), 0),
			  "%s", err.text);
		cr_expect(ge(uint, wait_for_reply(slot, &reply), 1), "it sleeps for a while");
		cr_expect(eq(int, strncmp(reply.data, "slept ", 6), 0));
		cr_assert(eq(int, thaw_slot_rewind(slot, 0, &err), 0), "%s", err.text);
		while ((ret = thaw_slot_settle(slot, &err)) == -EAGAIN)
			wait_for(slot);
		cr_assert(eq(int, ret, 0), "%s", err.text);
	}
	thaw_slot_close(slot);
	nest_free(&n);
}

Test(many_slots, a_deadline_that_passed_is_told, .timeout = 60)
{
	struct thaw_slot *slot;
	struct thaw_reply reply;
	int ret;

	pool_of("tests/moody", 1);
	cr_assert(eq(int, thaw_pool_fill_to(n.pool, 1, &err), 1), "%s", err.text);
	slot = nest_start(&n);
	thaw_slot_wait_not(slot);
	cr_assert(eq(int, thaw_slot_send(slot, "hang", 4, slow() * 100, &err), 0), "%s",
		  err.text);
	cr_expect(eq(int, thaw_slot_wait(slot, &reply, &err), -EAGAIN));
	wait_for(slot);
	while ((ret = thaw_slot_wait(slot, &reply, &err)) == -EAGAIN)
		wait_for(slot);
	cr_expect(eq(int, ret, -THAW_TIMED_OUT), "%s", err.text);
	thaw_slot_close(slot);
	nest_free(&n);
}

static void count_log(void *arg, unsigned int stream, const void *text, size_t len)
{
	(void)stream;
	(void)text;
	*(size_t *)arg += len;
}

/* A megabyte: too much for one call. */
Test(many_slots, what_is_printed_comes_before_the_reply, .timeout = 60)
{
	struct thaw_slot *slot;
	struct thaw_reply reply;
	size_t printed = 0;

	pool_of("tests/moody", 1);
	cr_assert(eq(int, thaw_pool_fill_to(n.pool, 1, &err), 1), "%s", err.text);
	cr_assert(eq(int, thaw_slot_start(&slot, n.pool, NULL, count_log, &printed, &err), 0));
	thaw_slot_wait_not(slot);
	cr_assert(eq(int, thaw_slot_send(slot, "chatter", 7, NEST_TIMEOUT_MS, &err), 0));
	cr_expect(ge(uint, wait_for_reply(slot, &reply), 2));
	cr_expect(eq(sz, printed, 1000 * 1000));
	cr_expect(eq(int, memcmp(reply.data, "moody: chatter", reply.len), 0));
	thaw_slot_close(slot);
	nest_free(&n);
}
