/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_slot_fork.c - machines in slots that are taken down as layers while they go on
 * (tests/guest/counter.c), as callers of libthaw do it.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "snapshot/pool.h"
#include "tests/helpers_image.h"
#include "tests/helpers_nest.h"

/* What the counter said. */
struct said {
	unsigned long sum, events;
	unsigned long long pages, random;
};

static struct said parse(const struct thaw_reply *reply)
{
	char text[256] = { 0 };
	struct said s = { 0 };

	memcpy(text, reply->data, MIN(reply->len, sizeof(text) - 1));
	cr_assert(eq(int,
		     sscanf(text, "sum %lu events %lu pages %llx random %llx", &s.sum,
			    &s.events, &s.pages, &s.random),
		     4),
		  "%s", text);
	return s;
}

static struct said ask(struct thaw_slot *slot, const char *event)
{
	struct thaw_reply reply = { 0 };
	struct thaw_err err = { 0 };

	cr_assert(
		eq(int,
		   thaw_slot_invoke(slot, event, strlen(event), NEST_TIMEOUT_MS, &reply, &err),
		   0),
		"%s: %s", event, err.text);
	return parse(&reply);
}

/* After one more event that only asks. */
static void expect_same(struct said later, struct said before)
{
	cr_expect(eq(ulong, later.sum, before.sum));
	cr_expect(eq(ulong, later.events, before.events + 1));
	cr_expect(eq(u64, later.pages, before.pages));
	cr_expect(ne(u64, later.random, before.random), "each has randomness of its own");
}

static struct thaw_snapshot *begin(struct thaw_slot *slot)
{
	struct thaw_snapshot *snapshot = NULL;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &err), 0), "%s", err.text);
	return snapshot;
}

/* To the directory @name beside the image. Returns what it came to. */
static struct thaw_snapshot_stats write_layer(const struct nest *n,
					      struct thaw_snapshot *snapshot, const char *name)
{
	struct thaw_snapshot_stats stats;
	struct thaw_err err = { 0 };

	cr_assert(eq(int,
		     thaw_snapshot_write(snapshot, scratch_path(n->f.scratch, name), 0, &err),
		     0),
		  "%s", err.text);
	thaw_snapshot_stats(snapshot, &stats);
	thaw_snapshot_close(snapshot);
	return stats;
}

/* A layer with what it takes to start it. */
struct layer {
	struct thaw_image *image;
	struct thaw_template *template;
};

static void layer_open(struct layer *l, const struct nest *n, const char *name,
		       const char *tier)
{
	struct thaw_err err = { 0 };

	cr_assert(
		eq(int, thaw_image_open(&l->image, scratch_path(n->f.scratch, name), &err), 0),
		"%s", err.text);
	cr_assert(eq(int, thaw_image_verify(l->image, &err), 0), "%s", err.text);
	cr_assert(
		eq(int, thaw_template_open(&l->template, n->host, l->image, tier, 2, &err), 0),
		"%s", err.text);
}

static void layer_close(struct layer *l)
{
	thaw_template_close(l->template);
	thaw_image_close(l->image);
}

/* What a clone of the layer says first. */
static struct said ask_clone(const struct layer *l, const char *event)
{
	struct thaw_reply reply = { 0 };
	struct thaw_clone *clone;
	struct thaw_err err = { 0 };
	struct said said;

	cr_assert(eq(int, thaw_clone_open(&clone, l->template, NULL, NULL, &err), 0), "%s",
		  err.text);
	cr_assert(eq(int,
		     thaw_clone_invoke(clone, event, strlen(event), NEST_TIMEOUT_MS, &reply,
				       &err),
		     0),
		  "%s", err.text);
	said = parse(&reply);
	thaw_clone_close(clone);
	return said;
}

static struct thaw_slot *start_of(const struct nest *n, const struct layer *l)
{
	struct thaw_slot *slot = NULL;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_pool_admit(n->pool, l->template, &err), 0), "%s", err.text);
	cr_assert(ge(int, thaw_pool_fill(n->pool, &err), 1), "%s", err.text);
	cr_assert(eq(int, thaw_slot_start(&slot, n->pool, l->template, NULL, NULL, &err), 0),
		  "%s", err.text);
	return slot;
}

/* ---- what a layer is ---- */

Test(slot_fork, the_original_and_children_of_every_tier_go_on_apart, .timeout = 60)
{
	static const char *const tiers[] = { "map", "warm", "eager" };
	static struct nest n;
	struct thaw_slot *original, *child;
	struct said before;
	struct layer l;

	nest_make(&n, "tests/counter", 2);
	original = nest_start(&n);
	ask(original, "dirty 20");
	before = ask(original, "add 5");
	write_layer(&n, begin(original), "layer");
	cr_expect(eq(ulong, ask(original, "add 1").sum, 6));
	for (size_t i = 0; i < ARRAY_SIZE(tiers); i++) {
		layer_open(&l, &n, "layer", tiers[i]);
		expect_same(ask_clone(&l, "?"), before);
		cr_expect(eq(ulong, ask_clone(&l, "add 100").sum, 105), "tier %s", tiers[i]);
		layer_close(&l);
	}
	layer_open(&l, &n, "layer", "map");
	child = start_of(&n, &l);
	expect_same(ask(child, "?"), before);
	cr_expect(eq(ulong, ask(child, "add 100").sum, 105));
	cr_expect(eq(ulong, ask(original, "?").sum, 6));
	thaw_slot_close(child);
	thaw_slot_close(original);
	layer_close(&l);
	nest_free(&n);
}

Test(slot_fork, what_the_machine_does_meanwhile_is_not_in_the_layer, .timeout = 60)
{
	static struct nest n;
	struct thaw_snapshot *snapshot;
	struct thaw_slot *slot;
	struct said then;
	struct layer l;

	nest_make(&n, "tests/counter", 1);
	slot = nest_start(&n);
	ask(slot, "dirty 300");
	then = ask(slot, "add 3");
	snapshot = begin(slot);
	ask(slot, "add 40");
	ask(slot, "clear");
	thaw_slot_close(slot);
	write_layer(&n, snapshot, "layer");
	layer_open(&l, &n, "layer", "map");
	expect_same(ask_clone(&l, "?"), then);
	layer_close(&l);
	nest_free(&n);
}

Test(slot_fork, five_generations_of_layers, .timeout = 120)
{
	static const char *const names[] = { "layer0", "layer1", "layer2", "layer3", "layer4" };
	static struct nest n;
	struct layer l[ARRAY_SIZE(names)];
	struct thaw_slot *slot;
	struct said said = { 0 };

	nest_make(&n, "tests/counter", 2);
	slot = nest_start(&n);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		said = ask(slot, i == 2 ? "clear" : "add 10");
		write_layer(&n, begin(slot), names[i]);
		expect_same(ask(slot, "?"), said);
		thaw_slot_close(slot);
		layer_open(&l[i], &n, names[i], i % 2 ? "warm" : "map");
		expect_same(ask_clone(&l[i], "?"), said);
		slot = start_of(&n, &l[i]);
	}
	cr_expect(eq(ulong, said.sum, 40));
	thaw_slot_close(slot);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		layer_close(&l[i]);
	nest_free(&n);
}

/* A machine that was rewound has copies of many pages, and few that differ. */
Test(slot_fork, rewound_machines_are_forked_and_forked_ones_rewound, .timeout = 60)
{
	static struct nest n;
	struct thaw_snapshot_stats stats;
	struct thaw_err err = { 0 };
	struct thaw_slot *slot;
	struct said then;
	struct layer l;

	nest_make(&n, "tests/counter", 1);
	slot = nest_start(&n);
	write_layer(&n, begin(slot), "fresh");
	ask(slot, "dirty 200");
	ask(slot, "add 3");
	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
	stats = write_layer(&n, begin(slot), "rewound");
	cr_expect(gt(u64, stats.pages_copied, 200));
	cr_expect(eq(u64, stats.pages_stored, 0));
	ask(slot, "dirty 10");
	then = ask(slot, "add 4");
	stats = write_layer(&n, begin(slot), "again");
	cr_expect(ge(u64, stats.pages_stored, 10));
	cr_expect(gt(u64, stats.pause_ns, 0));
	cr_expect(gt(u64, stats.size, 0));
	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_slot_settle(slot, &err), 0), "%s", err.text);
	cr_expect(eq(ulong, ask(slot, "?").events, 1));
	layer_open(&l, &n, "fresh", "map");
	cr_expect(eq(ulong, ask_clone(&l, "?").events, 1));
	layer_close(&l);
	layer_open(&l, &n, "again", "map");
	expect_same(ask_clone(&l, "?"), then);
	layer_close(&l);
	thaw_slot_close(slot);
	nest_free(&n);
}

/* ---- what it leaves, and what it costs ---- */

Test(slot_fork, snapshots_outlive_slot_pool_zygote_and_template, .timeout = 60)
{
	static struct nest n;
	struct thaw_snapshot *snapshot;
	struct thaw_slot *slot;
	struct said then;
	struct layer l;

	nest_make(&n, "tests/counter", 1);
	slot = nest_start(&n);
	then = ask(slot, "add 3");
	snapshot = begin(slot);
	thaw_slot_close(slot);
	thaw_pool_close(n.pool);
	thaw_zygote_close(n.zygote);
	thaw_template_close(n.template);
	thaw_image_close(n.image);
	n.zygote = NULL;
	n.pool = NULL;
	n.template = NULL;
	n.image = NULL;
	write_layer(&n, snapshot, "layer");
	layer_open(&l, &n, "layer", "map");
	expect_same(ask_clone(&l, "?"), then);
	layer_close(&l);
	nest_free(&n);
}

Test(slot_fork, a_slot_counts_twice_from_its_first_snapshot_on, .timeout = 60)
{
	static struct nest n;
	struct thaw_snapshot *snapshot;
	struct thaw_slot *slot, *other;
	struct thaw_err err = { 0 };
	struct thaw_zygote *z;
	uint64_t used;
	int fds;

	nest_begin(&n, "tests/counter");
	cr_assert(eq(int, thaw_zygote_open(&z, 60 << 20, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_pool_open(&n.pool, z, n.template, 2, 8 << 20, &err), 0), "%s",
		  err.text);
	slot = nest_start(&n);
	ask(slot, "add 3");
	used = z->account.used;
	thaw_snapshot_close(begin(slot));
	cr_expect(eq(u64, z->account.used, used + (8 << 20)));
	fds = count_entries("/proc/self/fd");
	for (int i = 0; i < 5; i++)
		thaw_snapshot_close(begin(slot));
	cr_expect(eq(u64, z->account.used, used + (8 << 20)));
	cr_expect(eq(int, count_entries("/proc/self/fd"), fds));

	other = nest_start(&n);
	ask(other, "add 4");
	z->account.limit = z->account.used + (4 << 20);
	cr_expect(eq(int, thaw_slot_snapshot_begin(&snapshot, other, &err), -ENOMEM));
	cr_expect(ne(ptr, strstr(err.text, "first snapshot needs 8 MiB"), NULL), "%s",
		  err.text);
	cr_expect(eq(ptr, snapshot, NULL));
	cr_expect(eq(ulong, ask(other, "?").sum, 4));
	cr_expect(eq(int, count_entries("/proc/self/fd"), fds));
	thaw_snapshot_close(begin(slot)); /* whose memory is there */
	thaw_slot_close(other);
	thaw_slot_close(slot);
	thaw_pool_close(n.pool);
	cr_expect(eq(u64, z->account.used, 0));
	thaw_zygote_close(z);
	n.pool = NULL;
	nest_free(&n);
}

/* ---- what will not do ---- */

Test(slot_fork, machines_and_targets_that_will_not_do, .timeout = 60)
{
	static struct nest n;
	struct thaw_snapshot *snapshot;
	struct thaw_reply reply;
	struct thaw_slot *slot;
	struct thaw_err err = { 0 };

	nest_make(&n, "tests/counter", 1);
	slot = nest_start(&n);
	cr_assert(eq(int, thaw_slot_send(slot, "add 1", 5, NEST_TIMEOUT_MS, &err), 0));
	cr_expect(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &err), -EBUSY));
	cr_assert(eq(int, thaw_slot_wait(slot, &reply, &err), 0), "%s", err.text);
	snapshot = begin(slot);
	cr_expect(eq(int, thaw_snapshot_write(snapshot, n.f.dir, 0, &err), -EEXIST));
	cr_expect(ne(ptr, strstr(err.text, "the layer is to lie on"), NULL), "%s", err.text);
	cr_expect(eq(int, thaw_snapshot_write(snapshot, n.f.scratch, 0, &err), -EEXIST));
	cr_expect(eq(int, entries_in(n.f.scratch), 1), "nothing half-written");
	thaw_snapshot_close(snapshot);
	cr_expect(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, NULL), 0));
	thaw_snapshot_close(snapshot);

	kill(thaw_slot_pid(slot), SIGSEGV);
	cr_expect(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &err), -THAW_CRASHED));
	cr_expect(ne(ptr, strstr(err.text, "SIGSEGV"), NULL), "%s", err.text);
	cr_expect(eq(ptr, snapshot, NULL));
	thaw_slot_close(slot);
	nest_free(&n);
}

Test(slot_fork, a_machine_that_did_not_answer_is_refused_and_can_be_rewound, .timeout = 60)
{
	static const char *const moods[] = { "hang", "crash" };
	static struct nest n;
	struct thaw_snapshot *snapshot;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;

	nest_make(&n, "tests/moody", 1);
	slot = nest_start(&n);
	for (size_t i = 0; i < ARRAY_SIZE(moods); i++) {
		cr_expect(lt(
			int,
			thaw_slot_invoke(slot, moods[i], strlen(moods[i]), 100, &reply, &err),
			0));
		cr_expect(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &err), -EBUSY));
		cr_expect(ne(ptr, strstr(err.text, "does not wait for an event"), NULL), "%s",
			  err.text);
		cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
		thaw_snapshot_close(begin(slot));
	}
	thaw_slot_close(slot);
	nest_free(&n);
}

/* Played on the other end of a socket in place of the shell's. */
Test(slot_fork, a_shell_that_hands_over_nonsense_is_killed, .timeout = 60)
{
	static struct nest n;
	const struct packet_msg done = { .type = PACKET_FORKED };
	struct thaw_snapshot *snapshot;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;
	int pair[2], fds;
	pid_t pid;

	slot = nest_of_one(&n, &pid);
	fds = count_entries("/proc/self/fd");
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0));
	cr_assert(ge(int, dup2(pair[0], slot->remote.socket), 0));
	cr_assert(eq(int, packet_send(pair[1], &done, NULL, 0), 0));
	cr_expect(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &err), -EPROTO));
	cr_expect(ne(ptr, strstr(err.text, "as a snapshot is none"), NULL), "%s", err.text);
	cr_expect(eq(ptr, snapshot, NULL));
	nest_wait_gone(pid);
	cr_expect(eq(int, thaw_slot_invoke(slot, "x", 1, 0, &reply, &err), -EPROTO));
	cr_expect(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &err), -EPROTO));
	close(pair[0]);
	close(pair[1]);
	thaw_slot_close(slot);
	cr_expect(endings_collect(&n.zygote->endings, clock_deadline(5000)));
	cr_expect(eq(int, thaw_pool_fill(n.pool, &err), 1), "%s", err.text);
	cr_expect(le(int, count_entries("/proc/self/fd"), fds));
	nest_free(&n);
}

/* ---- the pause ---- */

#define PAUSES 41u

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median, in ns, of a machine with @ram that dirties pages as @dirty says. */
static uint64_t pause_of(uint64_t ram, const char *dirty)
{
	static struct nest n;
	struct thaw_snapshot_stats stats;
	struct thaw_snapshot *snapshot;
	struct thaw_slot *slot;
	uint64_t pauses[PAUSES];

	booted_ram(ram);
	nest_make(&n, "tests/counter", 1);
	slot = nest_start(&n);
	ask(slot, dirty);
	for (unsigned int i = 0; i < PAUSES; i++) {
		ask(slot, "add 1");
		snapshot = begin(slot);
		thaw_snapshot_stats(snapshot, &stats);
		pauses[i] = stats.pause_ns;
		thaw_snapshot_close(snapshot);
	}
	thaw_slot_close(slot);
	nest_free(&n);
	qsort(pauses, PAUSES, sizeof(pauses[0]), by_value);
	fprintf(stderr, "# pause of a slot's fork, %s: %llu MiB %.1f us (%llu pages)\n", dirty,
		(unsigned long long)ram >> 20, (double)pauses[PAUSES / 2] / 1e3,
		(unsigned long long)stats.pages_copied);
	return pauses[PAUSES / 2];
}

/* Twice as long is allowed by default, because others use the host, too. */
Test(slot_fork, the_pause_does_not_depend_on_how_much_memory_there_is, .timeout = 120)
{
	static const char *const dirty[] = { "dirty 50", "dirty 1000" };
	const char *text = getenv("PAUSE_PERCENT");
	unsigned long percent = text ? strtoul(text, NULL, 10) : 100;

	if (slow() > 1)
		cr_skip_test("times are not compared here");
	for (size_t i = 0; i < ARRAY_SIZE(dirty); i++) {
		uint64_t small = pause_of(64u << 20, dirty[i]);
		uint64_t large = pause_of(1u << 30, dirty[i]);

		cr_expect(le(u64, large * 100, small * (100 + percent)));
	}
}
