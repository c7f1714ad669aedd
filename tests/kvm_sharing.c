/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_sharing.c - templates of one image on one host have one memory, decoded once. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util.h"
#include "snapshot/pool.h"
#include "snapshot/sharing.h"
#include "tests/helpers_image.h"
#include "tests/helpers_nest.h"

static struct thaw_image *image_of(const char *dir)
{
	struct thaw_image *image = NULL;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_image_open(&image, dir, &err), 0), "%s", err.text);
	return image;
}

static struct thaw_template *template_of(struct thaw_host *host, struct thaw_image *image,
					 const char *tier)
{
	struct thaw_template *t = NULL;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_template_open(&t, host, image, tier, 2, &err), 0), "%s",
		  err.text);
	return t;
}

static void expect_answer(struct thaw_template *t)
{
	struct thaw_clone *clone = NULL;
	struct thaw_reply reply = { 0 };
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_clone_open(&clone, t, NULL, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_clone_invoke(clone, "hi", 2, NEST_TIMEOUT_MS, &reply, &err), 0),
		  "%s", err.text);
	cr_expect(eq(sz, reply.len, 2));
	thaw_clone_close(clone);
}

Test(sharing, of_any_two_templates_of_the_same_files, .timeout = 60)
{
	static struct nest n;
	struct thaw_image *again;
	struct thaw_template *other;

	nest_begin(&n, "echo");
	again = image_of(n.f.dir);
	other = template_of(n.host, again, "warm");
	cr_expect(sharing_is_one(n.template, other));
	/* It stays when the template that filled it goes. */
	thaw_template_close(n.template);
	expect_answer(other);
	n.template = template_of(n.host, n.image, "map");
	cr_expect(sharing_is_one(n.template, other));
	thaw_template_close(other);
	thaw_image_close(again);
	nest_free(&n);
}

Test(sharing, not_between_hosts_or_images, .timeout = 60)
{
	static struct nest n, m;
	struct thaw_template *other;
	struct thaw_host *host;

	nest_begin(&n, "echo");
	nest_begin(&m, "echo");
	cr_expect(not(sharing_is_one(n.template, m.template)));
	other = template_of(n.host, m.image, "map");
	cr_expect(not(sharing_is_one(n.template, other)));
	thaw_template_close(other);

	cr_assert(eq(int, thaw_host_open(&host, NULL), 0));
	other = template_of(host, n.image, "map");
	cr_expect(not(sharing_is_one(n.template, other)));
	thaw_template_close(other);
	thaw_host_close(host);
	nest_free(&m);
	nest_free(&n);
}

Test(sharing, not_after_a_file_has_changed, .timeout = 60)
{
	static struct nest n;
	struct thaw_template *other;
	struct thaw_image *again;
	uint8_t *bytes;
	size_t len;

	nest_begin(&n, "echo");
	bytes = bytes_read(scratch_path(n.f.dir, "memory.lz4"), &len);
	usleep(20000); /* times of files are those of a clock that ticks */
	bytes_write(scratch_path(n.f.dir, "memory.lz4"), bytes, len);
	free(bytes);
	again = image_of(n.f.dir);
	other = template_of(n.host, again, "map");
	cr_expect(not(sharing_is_one(n.template, other)));
	expect_answer(other);
	expect_answer(n.template);
	thaw_template_close(other);
	thaw_image_close(again);
	nest_free(&n);
}

/* A layer and its parent are two memories, two openings of a layer are one. */
Test(sharing, of_layers, .timeout = 60)
{
	static struct nest n;
	struct thaw_clone *clone;
	struct thaw_snapshot *snapshot;
	struct thaw_template *layer[2];
	struct thaw_image *image[2];
	struct thaw_err err = { 0 };
	const char *dir;

	nest_begin(&n, "echo");
	dir = strdup(scratch_path(n.f.scratch, "layer"));
	cr_assert(eq(int, thaw_clone_open(&clone, n.template, NULL, NULL, &err), 0));
	cr_assert(eq(int, thaw_snapshot_begin(&snapshot, clone, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_snapshot_write(snapshot, dir, 0, &err), 0), "%s", err.text);
	thaw_snapshot_close(snapshot);
	thaw_clone_close(clone);
	for (int i = 0; i < 2; i++) {
		image[i] = image_of(dir);
		layer[i] = template_of(n.host, image[i], "map");
		expect_answer(layer[i]);
	}
	cr_expect(sharing_is_one(layer[0], layer[1]));
	cr_expect(not(sharing_is_one(layer[0], n.template)));
	for (int i = 0; i < 2; i++) {
		thaw_template_close(layer[i]);
		thaw_image_close(image[i]);
	}
	free((char *)(uintptr_t)dir);
	nest_free(&n);
}

Test(sharing, a_pool_counts_it_once, .timeout = 60)
{
	static struct nest n;
	struct thaw_template *other;
	struct thaw_err err = { 0 };
	uint64_t used;

	nest_make(&n, "echo", 1);
	used = n.zygote->account.used;
	other = template_of(n.host, n.image, "map");
	cr_assert(eq(int, thaw_pool_admit(n.pool, other, &err), 0), "%s", err.text);
	cr_expect(eq(u64, n.zygote->account.used, used));
	thaw_template_close(other);
	thaw_pool_close(n.pool);
	n.pool = NULL;
	cr_expect(eq(u64, n.zygote->account.used, 0));
	nest_free(&n);
}

/* ---- several threads ---- */

#define THREADS 8

static struct nest shared;
static pthread_barrier_t together;

static void *open_template(void *arg)
{
	struct thaw_template **t = arg;

	pthread_barrier_wait(&together);
	*t = template_of(shared.host, shared.image, "map");
	return NULL;
}

Test(sharing, of_threads_that_ask_at_once, .timeout = 120)
{
	struct thaw_template *t[THREADS];
	pthread_t threads[THREADS];

	nest_begin(&shared, "echo");
	pthread_barrier_init(&together, NULL, THREADS);
	for (unsigned int round = 0; round < MAX(20 / slow(), 2u); round++) {
		/* In every other round nobody has it yet. */
		if (round % 2 == 0) {
			thaw_template_close(shared.template);
			shared.template = NULL;
		}
		for (int i = 0; i < THREADS; i++)
			cr_assert(eq(int,
				     pthread_create(&threads[i], NULL, open_template, &t[i]),
				     0));
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 1; i < THREADS; i++)
			cr_expect(sharing_is_one(t[0], t[i]));
		expect_answer(t[THREADS - 1]);
		for (int i = 0; i < THREADS; i++)
			thaw_template_close(t[i]);
		if (round % 2 == 0)
			shared.template = template_of(shared.host, shared.image, "map");
	}
	pthread_barrier_destroy(&together);
	nest_free(&shared);
}
