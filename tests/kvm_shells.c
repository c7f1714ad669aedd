/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_shells.c - zygote, pools and slots, through libthaw as its callers use it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapshot/thaw.h"
#include "tests/helpers_kvm.h"

#define TIMEOUT_MS (slow() * 10000)

/* Zygote, one frozen program, and a pool of it. */
struct nest {
	struct thaw_zygote *zygote;
	struct frozen f;
	struct thaw_host *host;
	struct thaw_image *image;
	struct thaw_template *template;
	struct thaw_pool *pool;
};

static void nest_make(struct nest *n, const char *program, unsigned int slots)
{
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_zygote_open(&n->zygote, 0, &err), 0), "%s", err.text);
	frozen_make(&n->f, guest_path(program));
	cr_assert(eq(int, thaw_host_open(&n->host, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_image_open(&n->image, n->f.dir, &err), 0), "%s", err.text);
	cr_assert(
		eq(int, thaw_template_open(&n->template, n->host, n->image, "map", 2, &err), 0),
		"%s", err.text);
	cr_assert(eq(int, thaw_pool_open(&n->pool, n->zygote, n->template, slots, 0, &err), 0),
		  "%s", err.text);
}

static void nest_free(struct nest *n)
{
	thaw_pool_close(n->pool);
	thaw_template_close(n->template);
	thaw_image_close(n->image);
	thaw_host_close(n->host);
	thaw_zygote_close(n->zygote);
	frozen_free(&n->f);
}

static struct thaw_slot *start(struct nest *n)
{
	struct thaw_slot *slot = NULL;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_slot_start(&slot, n->pool, NULL, NULL, NULL, &err), 0), "%s",
		  err.text);
	return slot;
}

static void ask(struct thaw_slot *slot, const char *event)
{
	struct thaw_err err = { 0 };
	struct thaw_reply reply = { 0 };
	int ret = thaw_slot_invoke(slot, event, strlen(event), TIMEOUT_MS, &reply, &err);

	cr_assert(eq(int, ret, 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, strlen(event)));
	cr_assert(eq(int, memcmp(reply.data, event, reply.len), 0));
}

Test(shells, a_machine_answers_from_a_process_of_its_own, .timeout = 60)
{
	static struct nest n;
	struct thaw_stamps s;
	struct thaw_err err = { 0 };
	struct thaw_slot *slot;

	nest_make(&n, "echo", 2);
	slot = start(&n);
	ask(slot, "hello");
	thaw_slot_stamps(slot, &s);
	fprintf(stderr,
		"shell %lu memory %lu state %lu first instruction %lu response %lu us\n",
		(s.shell - s.request) / 1000, (s.memory - s.request) / 1000,
		(s.state - s.request) / 1000, (s.first_instruction - s.request) / 1000,
		(s.first_response - s.request) / 1000);
	for (int i = 0; i < 5; i++) {
		cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
		ask(slot, "again");
		thaw_slot_stamps(slot, &s);
		fprintf(stderr, "first instruction %lu response %lu us\n",
			(s.first_instruction - s.request) / 1000,
			(s.first_response - s.request) / 1000);
	}
	thaw_slot_close(slot);
	nest_free(&n);
}
