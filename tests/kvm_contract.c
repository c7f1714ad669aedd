/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_contract.c - the event contract, from the host's side: the events of
 * tests/guest/contract.c in order, to a machine that was never frozen and to clones.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tests/helpers_kvm.h"

#define TIMEOUT (20 * 1000000000LL)

static uint8_t longest[ABI_EVENT_MAX];

static int all_are(const struct mailbox_reply *reply, uint8_t byte)
{
	size_t i = 0;

	while (i < reply->len && reply->data[i] == byte)
		i++;
	return i == reply->len;
}

static struct mailbox_reply ask(struct machine *m, const void *event, size_t len)
{
	struct invocation inv = { event, len, clock_monotonic() + TIMEOUT };
	struct mailbox_reply reply = { 0 };
	struct err err = { 0 };

	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	return reply;
}

/* From the first event to the last, and the end. */
static void play(struct machine *m)
{
	struct invocation bye = { "bye", 3, clock_monotonic() + TIMEOUT };
	struct mailbox_reply reply;
	struct err err = { 0 };
	uint8_t over[64] = { 0 };

	memset(over + 32, 0xff, 32);
	machine_expect(m, "0123456789", "0123|456|789");
	machine_expect(m, "", "empty");
	machine_expect(m, "abcd", "exact");
	machine_expect(m, "efgh", "several writes");
	machine_expect(m, "no reply", "");
	reply = ask(m, "longest reply", 13);
	cr_expect(eq(sz, reply.len, ABI_REPLY_MAX));
	cr_expect(all_are(&reply, 'r'));
	reply = ask(m, longest, sizeof(longest));
	cr_expect(eq(sz, reply.len, 7));
	cr_expect(eq(int, memcmp(reply.data, "6291456", reply.len), 0));
	machine_expect(m, "fault", "fault");
	machine_expect(m, "vector", "vec|tor");
	machine_expect(m, "vecto", "vec|to");
	machine_expect(m, "skip", "skip");
	reply = ask(m, over, sizeof(over));
	cr_expect(reply.len == 4 && memcmp(reply.data, "over", 4) == 0);
	machine_expect(m, "dup", "dup");

	cr_expect(eq(int, machine_invoke(m, &bye, &reply, NULL, &err), -ERR_CRASHED));
	cr_expect(eq(int, (int)m->mailbox->stop, MAILBOX_EXIT), "%s", err.text);
	cr_expect(eq(u32, m->mailbox->exit_status, 0));
}

Test(contract, holds_in_a_machine_that_was_never_frozen, .timeout = 60)
{
	const char *const argv[] = { "contract", NULL };
	static struct booted b;
	struct err err = { 0 };

	booted_make(&b, guest_path("tests/contract"), argv);
	cr_assert(eq(int, machine_wait(&b.machine, clock_monotonic() + TIMEOUT, &err), 0), "%s",
		  err.text);
	play(&b.machine);
	booted_free(&b);
}

Test(contract, holds_in_clones_of_every_tier, .timeout = 60)
{
	static struct frozen f;
	static struct clone c;

	frozen_make(&f, guest_path("tests/contract"));
	for (const struct tier *const *t = frozen_tiers(); *t; t++) {
		clone_make(&c, &f, *t);
		play(&c.machine);
		clone_free(&c);
	}
	frozen_free(&f);
}
