/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_random_calls.c - tests/guest/random_calls.c in many restored machines: whatever the guest
 * does to itself, this process lives, and the template is as it was. Every machine gets as many
 * calls as every other one.
 *
 * RANDOM_CALLS=N: so many calls in all, over N / 500 machines but at least 100; default 20,000.
 * RANDOM_SEED=N: the first machine's seed; each next one has the next. Default 1.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tests/helpers_kvm.h"

#define CALLS_DEFAULT	  20000u
#define CALLS_PER_MACHINE 500u
#define MACHINES_MIN	  100u
#define LIMIT		  (2 * NSEC_PER_SEC) /* a machine that sleeps is no failure */
#define PING_EACH	  50u

struct tally {
	unsigned int lived, died, slept;
};

static unsigned long number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void count(struct tally *t, int ret, const struct mailbox_reply *reply,
		  const char *wanted, const struct err *err)
{
	/* A guest may also answer with something else: it wrote into its own memory. */
	if (ret == 0)
		t->lived += reply->len == strlen(wanted) &&
			    memcmp(reply->data, wanted, reply->len) == 0;
	else if (ret == -ERR_TIMED_OUT)
		t->slept++;
	else if (ret == -ERR_CRASHED)
		t->died++;
	else
		cr_expect(eq(int, ret, 0), "an error of the host: %s", err->text);
}

static void run_one(const struct frozen *f, unsigned long seed, unsigned long calls,
		    struct tally *t)
{
	static struct clone c;
	char event[64], wanted[80];
	struct invocation inv = { .event = event, .deadline = clock_monotonic() + LIMIT };
	struct mailbox_reply reply = { 0 };
	struct err err = { 0 };
	int ret;

	snprintf(event, sizeof(event), "%lu %lu", seed, calls);
	snprintf(wanted, sizeof(wanted), "%s done", event);
	inv.len = strlen(event);
	clone_make(&c, f, *tiers);
	ret = machine_invoke(&c.machine, &inv, &reply, NULL, &err);
	count(t, ret, &reply, wanted, &err);
	clone_free(&c);
}

static void ping(const struct frozen *f)
{
	static struct clone c;
	char *reply;

	clone_make(&c, f, *tiers);
	reply = machine_ask(&c.machine, "ping");
	cr_assert(eq(str, reply, "pong"));
	free(reply);
	clone_free(&c);
}

Test(random_calls, harm_only_the_guest, .timeout = 3600)
{
	unsigned long calls = number_of("RANDOM_CALLS", CALLS_DEFAULT);
	unsigned long seed = number_of("RANDOM_SEED", 1);
	unsigned long machines = calls / CALLS_PER_MACHINE;
	static struct frozen f;
	struct tally t = { 0 };

	if (machines < MACHINES_MIN)
		machines = MACHINES_MIN;
	frozen_make(&f, guest_path("tests/random_calls"));
	for (unsigned long i = 0; i < machines; i++) {
		run_one(&f, seed + i, calls / machines, &t);
		if (i % PING_EACH == 0)
			ping(&f);
	}
	ping(&f);
	frozen_free(&f);
	cr_log_info("%lu machines with %lu calls each: %u lived, %u died, %u slept", machines,
		    calls / machines, t.lived, t.died, t.slept);
	/* If none got through, this would test nothing. */
	cr_expect(ge(uint, t.lived, (unsigned int)machines / 20));
}
