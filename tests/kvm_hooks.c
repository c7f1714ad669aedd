/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_hooks.c - guest/thaw.h: which hooks of tests/guest/hooks.c run when.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tests/helpers_kvm.h"

#define TIMEOUT (20 * NSEC_PER_SEC)

/* The first event after a thaw; @random: 16 digits and a NUL, what the clone drew. */
static void expect_thawed(struct machine *m, const char *event, char *random)
{
	char *reply = machine_ask(m, event), rest[64] = "";
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "; event '%s'", event);
	cr_expect(eq(int,
		     sscanf(reply, "before 2 1after 1 2 %16[0-9a-f]%63[^\n]", random, rest), 2),
		  "reply '%s'", reply);
	cr_expect(eq(str, rest, wanted));
	free(reply);
}

Test(hooks, before_the_freeze_run_once_without_one, .timeout = 60)
{
	const char *const argv[] = { "hooks", NULL };
	static struct booted b;
	struct err err = { 0 };

	booted_make(&b, guest_path("tests/hooks"), argv);
	cr_assert(eq(int, machine_wait(&b.machine, clock_monotonic() + TIMEOUT, &err), 0), "%s",
		  err.text);
	machine_expect(&b.machine, "", "before 2 1; event ''");
	machine_expect(&b.machine, "x", "; event 'x'");
	machine_expect(&b.machine, "", "; event ''");
	booted_free(&b);
}

Test(hooks, after_a_thaw_run_in_every_clone_before_its_first_event, .timeout = 60)
{
	static char random[2 * 8][17];
	static struct frozen f;
	static struct clone c;
	unsigned int n = 0;

	frozen_make(&f, guest_path("tests/hooks"));
	for (const struct tier *const *t = frozen_tiers(); *t; t++)
		for (int i = 0; i < 2; i++, n++) {
			clone_make(&c, &f, *t);
			expect_thawed(&c.machine, i ? "" : "first", random[n]);
			machine_expect(&c.machine, "", "; event ''");
			machine_expect(&c.machine, "third", "; event 'third'");
			clone_free(&c);
		}
	frozen_free(&f);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < i; j++)
			cr_expect(ne(str, random[i], random[j]), "clones %u and %u", i, j);
}
