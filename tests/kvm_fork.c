/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_fork.c - live forks: a machine with a past (tests/guest/counter.c) is taken down as a layer
 * while it goes on; children of the layer and it go on apart.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/fork.h"
#include "snapshot/rewind.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

/* An image with its template; of a layer, too. */
struct opened {
	struct image image;
	struct template template;
};

static void open_image(struct opened *o, const struct kvm *kvm, const char *dir)
{
	struct err err = { 0 };

	cr_assert(eq(int, image_open(&o->image, dir, &err), 0), "%s", err.text);
	cr_assert(eq(int, template_open(&o->template, &o->image, kvm, &err), 0), "%s",
		  err.text);
	cr_assert(eq(int, template_fill(&o->template, &err), 0), "%s", err.text);
}

static void close_image(struct opened *o)
{
	template_close(&o->template);
	image_close(&o->image);
}

/* What the counter said. */
struct said {
	unsigned long sum, events;
	unsigned long long pages, random;
};

static struct said ask(struct clone *c, const char *event)
{
	char *reply = machine_ask(&c->machine, event);
	struct said s = { 0 };

	cr_assert(eq(int,
		     sscanf(reply, "sum %lu events %lu pages %llx random %llx", &s.sum,
			    &s.events, &s.pages, &s.random),
		     4),
		  "%s", reply);
	free(reply);
	return s;
}

static void expect_same(struct said a, struct said b)
{
	cr_expect(eq(ulong, a.sum, b.sum));
	cr_expect(eq(ulong, a.events, b.events));
	cr_expect(eq(u64, a.pages, b.pages));
	cr_expect(ne(u64, a.random, b.random), "each has randomness of its own");
}

static void clone_of(struct clone *c, const struct frozen *f, const struct template *t,
		     const struct tier *tier)
{
	static struct frozen view;

	view.kvm = f->kvm;
	view.template = *t;

	clone_make(c, &view, tier);
}

/* Fork @c, which @t is the template of, into @dir. */
static struct fork_stats fork_to(struct clone *c, const struct template *t, const char *dir)
{
	struct fork_stats stats;
	struct err err = { 0 };
	struct fork fork;

	cr_assert(eq(int, fork_begin(&fork, &c->machine, t, &err), 0), "%s", err.text);
	cr_assert(eq(int, fork_write(&fork, dir, false, &err), 0), "%s", err.text);
	stats = fork.stats;
	fork_close(&fork);
	return stats;
}

Test(fork, the_original_and_children_of_every_tier_go_on_apart, .timeout = 60)
{
	static const struct tier *const which[] = { &tier_map, &tier_warm, &tier_eager };
	static struct frozen f;
	static struct opened layer;
	static struct clone original, child;
	struct said before, after;

	frozen_make(&f, guest_path("tests/counter"));
	clone_make(&original, &f, &tier_map);
	ask(&original, "dirty 20");
	before = ask(&original, "add 5");
	fork_to(&original, &f.template, scratch_path(f.scratch, "layer"));
	after = ask(&original, "add 1");
	cr_expect(eq(ulong, after.sum, 6));

	open_image(&layer, &f.kvm, scratch_path(f.scratch, "layer"));
	for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
		clone_of(&child, &f, &layer.template, which[i]);
		before.events++;
		expect_same(ask(&child, "?"), before);
		before.events--;
		after = ask(&child, "add 100");
		cr_expect(eq(ulong, after.sum, 105), "tier %s", which[i]->name);
		clone_free(&child);
	}
	after = ask(&original, "?");
	cr_expect(eq(ulong, after.sum, 6));
	cr_expect(eq(ulong, after.events, 4));
	clone_free(&original);
	close_image(&layer);
	frozen_free(&f);
}

Test(fork, five_generations_of_layers, .timeout = 120)
{
	static struct frozen f;
	static struct opened layer[5];
	static struct clone c;
	const struct template *t = &f.template;
	struct said said;
	char name[16];

	frozen_make(&f, guest_path("tests/counter"));
	for (unsigned int i = 0; i < 5; i++) {
		const char *dir;

		clone_of(&c, &f, t, i % 2 ? &tier_warm : &tier_map);
		said = ask(&c, i == 2 ? "clear" : "add 10");
		snprintf(name, sizeof(name), "layer%u", i);
		dir = scratch_path(f.scratch, name);
		fork_to(&c, t, dir);
		said.events++;
		expect_same(ask(&c, "?"), said);
		clone_free(&c);
		open_image(&layer[i], &f.kvm, dir);
		t = &layer[i].template;
		cr_expect(eq(u32, image_layers(&layer[i].image), i + 1));
		clone_of(&c, &f, t, &tier_eager);
		expect_same(ask(&c, "?"), said);
		clone_free(&c);
	}
	cr_expect(eq(ulong, said.sum, 40));
	for (unsigned int i = 0; i < 5; i++)
		close_image(&layer[i]);
	frozen_free(&f);
}

Test(fork, what_the_machine_does_meanwhile_is_not_in_the_layer, .timeout = 60)
{
	static struct frozen f;
	static struct opened layer;
	static struct clone c;
	struct err err = { 0 };
	struct fork fork;
	struct said then;

	frozen_make(&f, guest_path("tests/counter"));
	clone_make(&c, &f, &tier_map);
	ask(&c, "dirty 300");
	then = ask(&c, "add 3");
	cr_assert(eq(int, fork_begin(&fork, &c.machine, &f.template, &err), 0), "%s", err.text);
	ask(&c, "add 40");
	ask(&c, "clear");
	cr_assert(eq(int, fork_write(&fork, scratch_path(f.scratch, "layer"), true, &err), 0),
		  "%s", err.text);
	fork_close(&fork);
	clone_free(&c);
	open_image(&layer, &f.kvm, scratch_path(f.scratch, "layer"));
	clone_of(&c, &f, &layer.template, &tier_map);
	then.events++;
	expect_same(ask(&c, "?"), then);
	clone_free(&c);
	close_image(&layer);
	frozen_free(&f);
}

/* A machine that was rewound has copies of many pages, and few that differ. */
Test(fork, pages_that_are_the_templates_are_left_out, .timeout = 60)
{
	static struct frozen f;
	static struct clone c;
	struct fork_stats stats;
	struct err err = { 0 };
	struct rewind r;

	frozen_make(&f, guest_path("tests/counter"));
	clone_make(&c, &f, &tier_warm);
	cr_assert(eq(int, rewind_open(&r, &c.machine, &f.template, &err), 0), "%s", err.text);
	ask(&c, "dirty 200");
	ask(&c, "add 3");
	worker_lock(&c.machine.vm.worker);
	cr_assert(eq(int, rewind_machine(&r, &c.machine, &err), 0), "%s", err.text);
	worker_unlock(&c.machine.vm.worker);
	stats = fork_to(&c, &f.template, scratch_path(f.scratch, "layer"));
	cr_expect(gt(u64, stats.pages_copied, 200));
	cr_expect(eq(u64, stats.pages_stored, 0));
	rewind_close(&r);
	clone_free(&c);
	frozen_free(&f);
}

Test(fork, machines_and_targets_that_will_not_do, .timeout = 60)
{
	static struct frozen f;
	static struct clone c;
	struct err err = { 0 };
	struct fork fork;
	struct template unfilled;

	frozen_make(&f, guest_path("tests/counter"));
	clone_make(&c, &f, &tier_map);
	cr_assert(eq(int, fork_begin(&fork, &c.machine, &f.template, &err), 0), "%s", err.text);
	cr_expect(eq(int, fork_write(&fork, f.dir, false, &err), -EEXIST));
	cr_expect(ne(ptr, strstr(err.text, "the layer is to lie on"), NULL), "%s", err.text);
	cr_expect(eq(int, fork_write(&fork, f.scratch, false, &err), -EEXIST));
	cr_expect(eq(int, entries_in(f.scratch), 1), "nothing half-written");
	fork_close(&fork);

	unfilled = f.template;
	unfilled.memory_fd = -1;
	cr_expect(eq(int, fork_begin(&fork, &c.machine, &unfilled, &err), -EINVAL));
	fork_close(&fork);

	cr_assert(eq(int, mailbox_put_event(c.machine.mailbox, "x", 1, &err), 0));
	cr_expect(eq(int, fork_begin(&fork, &c.machine, &f.template, &err), -EBUSY));
	fork_close(&fork);
	clone_free(&c);
	frozen_free(&f);
}

/* ---- the pause ---- */

#define PAUSES 41u

struct subject {
	struct frozen f;
	struct clone c;
	nsec_t pauses[PAUSES];
	uint64_t pages;
};

static int by_value(const void *a, const void *b)
{
	nsec_t x = *(const nsec_t *)a, y = *(const nsec_t *)b;

	return x < y ? -1 : x > y;
}

static nsec_t median(struct subject *s)
{
	qsort(s->pauses, PAUSES, sizeof(s->pauses[0]), by_value);
	return s->pauses[PAUSES / 2];
}

static void subject_make(struct subject *s, uint64_t ram, const char *dirty)
{
	booted_ram(ram);
	frozen_make(&s->f, guest_path("tests/counter"));
	clone_make(&s->c, &s->f, &tier_map);
	ask(&s->c, dirty);
}

static void subject_pause(struct subject *s, unsigned int i)
{
	struct err err = { 0 };
	struct fork fork;

	ask(&s->c, "add 1");
	cr_assert(eq(int, fork_begin(&fork, &s->c.machine, &s->f.template, &err), 0), "%s",
		  err.text);
	s->pauses[i] = fork.stats.pause_ns;
	s->pages = fork.stats.pages_copied;
	fork_close(&fork);
}

static void subject_free(struct subject *s)
{
	clone_free(&s->c);
	frozen_free(&s->f);
}

/* PAUSE_PERCENT: how far the two may be apart; more by default, because others use the host. */
static void compare_pauses(const char *dirty)
{
	static struct subject small, large;
	const char *text = getenv("PAUSE_PERCENT");
	unsigned long percent = text ? strtoul(text, NULL, 10) : 100;
	nsec_t a, b;

	subject_make(&small, 64u << 20, dirty);
	subject_make(&large, 1u << 30, dirty);
	for (unsigned int i = 0; i < PAUSES; i++) {
		subject_pause(&small, i);
		subject_pause(&large, i);
	}
	a = median(&small);
	b = median(&large);
	fprintf(stderr,
		"# pause of a fork, %s: 64 MiB %.1f us (%ju pages), 1 GiB %.1f us (%ju "
		"pages)\n",
		dirty, (double)a / 1e3, (uintmax_t)small.pages, (double)b / 1e3,
		(uintmax_t)large.pages);
	cr_expect(le(u64, b * 100, a * (100 + percent)));
	subject_free(&small);
	subject_free(&large);
}

Test(fork, the_pause_does_not_depend_on_how_much_memory_there_is, .timeout = 120)
{
	if (slow() > 1)
		cr_skip_test("times are not compared here");
	compare_pauses("dirty 50");
	compare_pauses("dirty 1000");
}
