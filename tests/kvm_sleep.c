/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_sleep.c - the SLEEP doorbell: a machine that sleeps costs nothing, and can be stopped.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tests/helpers_kvm.h"

#define MS	  (NSEC_PER_SEC / 1000)
#define SOON	  (2 * NSEC_PER_SEC) /* on a loaded host; the sleeps are much longer */
#define EXITS_MAX 10u

static struct frozen f;
static struct clone c;

static void setup(void)
{
	frozen_make(&f, guest_path("tests/sleeper"));
	clone_make(&c, &f, *tiers);
}

static void teardown(void)
{
	clone_free(&c);
	frozen_free(&f);
}

TestSuite(sleep, .init = setup, .fini = teardown, .timeout = 60);

static nsec_t ms_of(const char *reply)
{
	long ms = -1;

	cr_assert(eq(int, sscanf(reply, "slept %ld", &ms), 1), "reply '%s'", reply);
	return ms * MS;
}

Test(sleep, takes_its_time_without_a_storm_of_exits)
{
	uint64_t exits = c.machine.vm.vcpus[0].stats.exits;
	nsec_t from = clock_monotonic();
	char *reply = machine_ask(&c.machine, "300");

	cr_expect(ge(i64, clock_monotonic() - from, 300 * MS));
	cr_expect(ge(i64, ms_of(reply), 299 * MS)); /* two roundings of a millisecond */
	cr_expect(lt(i64, ms_of(reply), 300 * MS + SOON));
	cr_expect(lt(u64, c.machine.vm.vcpus[0].stats.exits - exits, (uint64_t)EXITS_MAX));
	free(reply);
}

Test(sleep, ends_at_the_deadline)
{
	nsec_t from = clock_monotonic();
	struct invocation inv = { "100000", 6, from + 100 * MS };
	struct mailbox_reply reply;
	struct err err = { 0 };

	cr_expect(
		eq(int, machine_invoke(&c.machine, &inv, &reply, NULL, &err), -ERR_TIMED_OUT));
	cr_expect(lt(i64, clock_monotonic() - from, 100 * MS + SOON));
}

static void *kick(void *arg)
{
	struct timespec ts = { .tv_nsec = 100 * MS };

	nanosleep(&ts, NULL);
	vcpu_kick(arg);
	return NULL;
}

/* A kick wakes the machine; when it runs again, it sleeps on for what is left. */
Test(sleep, can_be_kicked_and_goes_on)
{
	nsec_t from = clock_monotonic();
	struct invocation inv = { "1000", 4, from + 20 * NSEC_PER_SEC };
	struct mailbox_reply reply;
	struct err err = { 0 };
	pthread_t thread;
	char text[64];

	cr_assert(eq(int, pthread_create(&thread, NULL, kick, &c.machine.vm.vcpus[0]), 0));
	cr_expect(eq(int, machine_invoke(&c.machine, &inv, &reply, NULL, &err), -EINTR));
	cr_expect(lt(i64, clock_monotonic() - from, 900 * MS));
	pthread_join(thread, NULL);
	cr_assert(eq(int, machine_wait(&c.machine, inv.deadline, &err), 0), "%s", err.text);
	reply = mailbox_reply(c.machine.mailbox);
	snprintf(text, sizeof(text), "%.*s", (int)reply.len, (const char *)reply.data);
	cr_expect(ge(i64, ms_of(text), 999 * MS));
	cr_expect(ge(i64, clock_monotonic() - from, 1000 * MS));
}
