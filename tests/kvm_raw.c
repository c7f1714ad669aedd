/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_raw.c - files of an image that change while a template of it is open: no wrong byte, no
 * signal. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util.h"
#include "snapshot/save.h"
#include "snapshot/thaw.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

#define RAM (16u << 20) /* the least: all of it is digested */

/* An image with memory.raw, and its template. */
struct raw {
	char scratch[256], dir[300], file[320];
	struct thaw_host *host;
	struct thaw_image *image;
	struct thaw_template *template;
};

static void raw_build(struct raw *r, const char *program)
{
	const char *const argv[] = { program, NULL };
	const struct save_options opt = {
		.kind = "kindling", .program = "test", .args = argv, .raw = true
	};
	static struct booted b;
	struct err err = { 0 };

	scratch_make(r->scratch);
	snprintf(r->dir, sizeof(r->dir), "%s/image", r->scratch);
	snprintf(r->file, sizeof(r->file), "%s/memory.raw", r->dir);
	setenv("XDG_CACHE_HOME", r->scratch, 1);
	booted_make(&b, guest_path(program), argv);
	cr_assert(eq(int, machine_wait(&b.machine, 0, &err), 0), "%s", err.text);
	cr_assert(eq(int, save(&b.machine, r->dir, &opt, NULL, &err), 0), "%s", err.text);
	booted_free(&b);
}

static void raw_make(struct raw *r, const char *program, const char *tier)
{
	struct thaw_err err = { 0 };

	raw_build(r, program);
	cr_assert(eq(int, thaw_host_open(&r->host, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_image_open(&r->image, r->dir, &err), 0), "%s", err.text);
	cr_assert(
		eq(int, thaw_template_open(&r->template, r->host, r->image, tier, 2, &err), 0),
		"%s", err.text);
}

static void raw_free(struct raw *r)
{
	thaw_template_close(r->template);
	thaw_image_close(r->image);
	thaw_host_close(r->host);
	scratch_remove(r->scratch);
}

static struct thaw_clone *clone_start(const struct raw *r)
{
	struct thaw_clone *clone = NULL;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_clone_open(&clone, r->template, NULL, NULL, &err), 0), "%s",
		  err.text);
	return clone;
}

static int ask(struct thaw_clone *clone, struct thaw_err *err)
{
	struct thaw_reply reply = { 0 };
	int ret = thaw_clone_invoke(clone, "hello", 5, slow() * 10000, &reply, err);

	if (ret == 0)
		cr_assert(reply.len == 5 && memcmp(reply.data, "hello", 5) == 0);
	return ret;
}

/* ---- ways to change a file ---- */

static void write_over(const char *path, int flags)
{
	static uint8_t wrong[1 << 20];
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	memset(wrong, 0xcc, sizeof(wrong)); /* int3, and no address */
	for (off_t at = 0; at < RAM; at += (off_t)sizeof(wrong))
		cr_assert(eq(sz, (size_t)pwrite(fd, wrong, sizeof(wrong), at), sizeof(wrong)));
	close(fd);
}

static void overwrite(const char *path)
{
	write_over(path, 0);
}

static void cut_short(const char *path)
{
	cr_assert(eq(int, truncate(path, 4096), 0));
}

static void put_another(const char *path)
{
	char other[400];

	snprintf(other, sizeof(other), "%s.new", path);
	write_over(other, O_EXCL);
	cr_assert(eq(int, rename(other, path), 0));
}

static void take_away(const char *path)
{
	cr_assert(eq(int, unlink(path), 0));
}

/* As rsync -t and a forger do. */
static void overwrite_and_set_back(const char *path)
{
	struct stat st;

	cr_assert(eq(int, stat(path, &st), 0));
	write_over(path, 0);
	cr_assert(eq(int,
		     utimensat(AT_FDCWD, path,
			       (const struct timespec[]){ st.st_atim, st.st_mtim }, 0),
		     0));
}

static const struct change {
	const char *name;
	void (*make)(const char *path);
} changes[] = {
	{ "overwritten", overwrite },
	{ "cut short", cut_short },
	{ "another in its place", put_another },
	{ "removed", take_away },
	{ "overwritten, mtime set back", overwrite_and_set_back },
};

static void expect_neither_start_nor_reply(const struct change *c)
{
	static struct raw r;
	struct thaw_clone *running, *fresh, *none = NULL;
	struct thaw_err err = { 0 };

	booted_ram(RAM);
	raw_make(&r, "echo", "raw");
	running = clone_start(&r);
	fresh = clone_start(&r);
	cr_assert(eq(int, ask(running, &err), 0), "%s", err.text);
	c->make(r.file);
	cr_expect(eq(int, ask(running, &err), -ESTALE), "%s", c->name);
	cr_expect(ne(ptr, strstr(err.text, "memory.raw is "), NULL), "%s", err.text);
	cr_expect(eq(int, ask(fresh, &err), -ESTALE), "%s", c->name);
	cr_expect(eq(int, thaw_clone_open(&none, r.template, NULL, NULL, &err), -ESTALE), "%s",
		  c->name);
	cr_expect(ne(ptr, strstr(err.text, "memory.raw is "), NULL), "%s", err.text);
	cr_expect(eq(ptr, none, NULL));
	thaw_clone_close(running);
	thaw_clone_close(fresh);
	raw_free(&r);
}

Test(raw, neither_start_nor_reply_of_a_changed_file, .timeout = 120)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		expect_neither_start_nor_reply(&changes[i]);
}

static void expect_nothing_to_reach_it(const struct change *c)
{
	static struct raw r;
	struct thaw_clone *clone[2];
	struct thaw_template *none;
	struct thaw_err err = { 0 };

	booted_ram(RAM);
	raw_make(&r, "echo", "map");
	clone[0] = clone_start(&r);
	cr_assert(eq(int, ask(clone[0], &err), 0), "%s", err.text);
	c->make(r.file);
	clone[1] = clone_start(&r);
	for (int i = 0; i < 6; i++) {
		cr_expect(eq(int, ask(clone[i % 2], &err), 0), "%s: %s", c->name, err.text);
		cr_expect(eq(int, thaw_clone_rewind(clone[i % 2], 1, &err), 0), "%s: %s",
			  c->name, err.text);
	}
	cr_expect(eq(int, thaw_template_open(&none, r.host, r.image, "map", 2, &err), -ESTALE),
		  "%s", c->name);
	thaw_clone_close(clone[0]);
	thaw_clone_close(clone[1]);
	raw_free(&r);
}

Test(raw, nothing_reaches_a_template_in_memory, .timeout = 120)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		expect_nothing_to_reach_it(&changes[i]);
}

Test(raw, its_machines_find_all_that_was_frozen, .timeout = 60)
{
	static struct raw r;
	struct thaw_clone *clone;
	struct thaw_reply reply;
	struct thaw_err err = { 0 };

	raw_make(&r, "tests/barrier", "raw");
	clone = clone_start(&r);
	for (int event = 0; event < 3; event++) {
		cr_assert(eq(int,
			     thaw_clone_invoke(clone, "go", 2, slow() * 10000, &reply, &err),
			     0),
			  "%s", err.text);
		cr_expect(eq(int, strncmp(reply.data, "ok random=", 10), 0));
	}
	thaw_clone_close(clone);
	raw_free(&r);
}

Test(raw, its_machines_are_for_one_start, .timeout = 60)
{
	static struct raw r;
	struct thaw_clone *clone;
	struct thaw_snapshot *snapshot;
	struct thaw_err err = { 0 };

	booted_ram(RAM);
	raw_make(&r, "echo", "raw");
	clone = clone_start(&r);
	cr_expect(eq(int, thaw_clone_rewind(clone, 0, &err), -EINVAL));
	cr_expect(eq(int, thaw_snapshot_begin(&snapshot, clone, &err), -EINVAL));
	cr_expect(eq(str, err.text,
		     "a clone of tier raw cannot be snapshot: expected map or warm"));
	thaw_clone_close(clone);
	raw_free(&r);
}

Test(raw, no_pool_has_it, .timeout = 60)
{
	static struct raw r;
	struct thaw_zygote *zygote;
	struct thaw_pool *pool;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_zygote_open(&zygote, 0, NULL, &err), 0), "%s", err.text);
	booted_ram(RAM);
	raw_make(&r, "echo", "raw");
	cr_expect(eq(int, thaw_pool_open(&pool, zygote, r.template, 1, 0, &err), -EINVAL));
	cr_expect(eq(str, err.text, "tier is 'raw': slots start templates of any other tier"));
	raw_free(&r);
	thaw_zygote_close(zygote);
}

Test(raw, an_image_without_it_has_no_such_tier, .timeout = 60)
{
	static struct frozen f;
	struct thaw_host *host;
	struct thaw_image *image;
	struct thaw_template *t;
	struct thaw_err err = { 0 };

	frozen_bare(&f, guest_path("echo"));
	cr_assert(eq(int, thaw_host_open(&host, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_image_open(&image, f.dir, &err), 0), "%s", err.text);
	cr_expect(eq(int, thaw_template_open(&t, host, image, "raw", 1, &err), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, " has no memory.raw"), NULL), "%s", err.text);
	thaw_image_close(image);
	thaw_host_close(host);
	frozen_free(&f);
}
