/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_images.c - the store's directory: images come and go, bad places and files are refused,
 * and what is there after a full disk, and after the process was killed at any moment, is whole.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/util.h"
#include "snapshot/image_writer.h"
#include "snapshot/thaw.h"
#include "tests/helpers_image.h"
#include "tests/helpers_store.h"

TestSuite(store_images, .init = depot_make, .fini = depot_remove, .timeout = 600);

/* ---- images ---- */

Test(store_images, an_image_goes_with_its_last_use)
{
	char id[MANIFEST_ID_SIZE];

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	depot_must_put("g", "one", NULL);
	strcpy(id, depot.rec.image);
	cr_expect(eq(int, depot_images(), 1));
	cr_expect(eq(int, store_delete(depot.store, "f", &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_images(), 1));
	cr_expect(eq(int, store_hold(depot.store, id, &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, store_hold(depot.store, id, &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, store_delete(depot.store, "g", &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_images(), 1), "it is held");
	cr_expect(not(store_release(depot.store, id)));
	cr_expect(store_release(depot.store, id));
	cr_expect(eq(int, store_collect(depot.store, &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_images(), 0));
	depot_expect_error(store_hold(depot.store, id, &depot.err), ENOENT,
			   "not in the store any more");
	cr_expect(not(store_release(depot.store, id)));
	depot_must_put("f", "one", NULL);
	depot_expect_whole();
}

Test(store_images, a_layer_brings_its_parents_and_keeps_them)
{
	char id[MANIFEST_ID_SIZE];

	depot_image("base", false);
	depot_image("one", true);
	depot_image("two", true);
	depot_must_put("f", "two", NULL);
	cr_expect(eq(int, depot_images(), 3));
	depot_expect_whole();
	depot_must_put("g", "one", NULL);
	strcpy(id, depot.rec.image);
	cr_expect(eq(int, store_delete(depot.store, "f", &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_images(), 2));
	cr_expect(eq(int, store_hold(depot.store, id, &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, store_delete(depot.store, "g", &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_images(), 2), "what is held has parents");
	store_release(depot.store, id);
	depot_open();
	cr_expect(eq(int, depot_images(), 0));
}

Test(store_images, a_layer_may_come_alone_if_its_parent_is_here)
{
	depot_image("base", false);
	depot_must_put("f", "base", NULL);
	depot_image("one", true);
	cr_assert(eq(int, mkdir(depot_path("far"), 0755), 0));
	cr_assert(eq(int, rename(depot_path("one"), depot_path("far/one")), 0));
	depot_must_put("g", "far/one", NULL);
	depot_expect_whole();
	cr_expect(eq(int, store_delete(depot.store, "g", &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, store_delete(depot.store, "f", &depot.err), 0), "%s", depot.err.text);
	depot_expect_error(depot_put("g", "far/one", NULL), ENOENT, "which is not beside it");
	cr_expect(eq(int, depot_images(), 0));
}

Test(store_images, damaged_images_are_refused_and_leave_nothing)
{
	uint8_t *bytes;
	size_t len;

	depot_expect_error(depot_put("f", "nothing", NULL), ENOENT, "nothing");
	depot_image("one", false);
	bytes = bytes_read(depot_path("one/memory.lz4"), &len);
	bytes[len - 1] ^= 1;
	bytes_write(depot_path("one/memory.lz4"), bytes, len);
	free(bytes);
	depot_expect_error(depot_put("f", "one", NULL), ERR_DAMAGED, "memory.lz4: frame ");
	cr_expect(eq(int, depot_images(), 0));
	depot_expect_error(depot_resolve("f", NULL), ENOENT, "no function f");
}

static void damage_stored_image(void)
{
	char path[STORE_PATH_SIZE + 16];

	store_image_path(depot.store, depot.rec.image, path);
	strcat(path, "/state.bin");
	bytes_write(path, "oops", 4);
}

Test(store_images, another_image_of_the_same_id_is_refused)
{
	struct state_writer state;
	struct image_content c = { .manifest = &depot.man, .state = &state, .mem = &depot.mem };

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	depot.man.tsc_khz++;
	sample_state(&state);
	cr_assert(eq(int, image_write(depot_path("two"), &c, &depot.err), 0), "%s",
		  depot.err.text);
	state_writer_fini(&state);
	depot_expect_error(depot_put("f", "two", NULL), EEXIST, "another image with the id ");
	cr_expect(eq(int, depot_resolve("f", NULL), 0));
	depot_expect_whole();
	damage_stored_image();
	depot_expect_error(depot_put("f", "two", NULL), EEXIST, "another image with the id ");
}

Test(store_images, an_image_that_was_damaged_here_can_be_put_again)
{
	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	damage_stored_image();
	depot_must_put("f", "one", NULL);
	depot_expect_whole();
	cr_expect(eq(int, depot_images(), 1));
}

Test(store_images, only_files_of_the_image_come_in_and_for_the_owner_only)
{
	char path[STORE_PATH_SIZE];
	struct stat st;

	depot_image("one", false);
	bytes_write(depot_path("one/notes.txt"), "x", 1);
	depot_must_put("f", "one", NULL);
	store_image_path(depot.store, depot.rec.image, path);
	cr_expect(eq(int, entries_in(path), 3));
	cr_assert(eq(int, stat(depot_path("store"), &st), 0));
	cr_expect(eq(int, st.st_mode & 0777, 0700));
}

/* ---- the directory ---- */

Test(store_images, one_process_has_it)
{
	struct store *other;

	depot_expect_error(store_open(&other, depot_path("store"), &depot.err), EBUSY,
			   "is in use by another thawd");
}

Test(store_images, bad_places_are_refused)
{
	struct store *other;
	char path[2000];

	bytes_write(depot_path("file"), "", 0);
	depot_expect_error(store_open(&other, depot_path("file"), &depot.err), ENOTDIR, "file");
	depot_expect_error(store_open(&other, depot_path("no/where"), &depot.err), ENOENT,
			   "no/where");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	depot_expect_error(store_open(&other, path, &depot.err), ENAMETOOLONG, "more than ");
}

/* A directory "other" with only this in it. */
static void expect_database(const void *bytes, size_t len, int code, const char *says)
{
	struct store *other;

	cr_assert(eq(int, mkdir(depot_path("other"), 0700), 0));
	bytes_write(depot_path("other/thawd.db"), bytes, len);
	depot_expect_error(store_open(&other, depot_path("other"), &depot.err), code, says);
	scratch_remove(depot_path("other"));
}

Test(store_images, a_file_that_is_no_store_is_refused)
{
	static char junk[8192];
	uint8_t *bytes;
	size_t len;

	memset(junk, 'j', sizeof(junk));
	expect_database(junk, sizeof(junk), EUCLEAN, "not a database");
	cr_assert(eq(int, chdir(depot.dir), 0));
	cr_assert(eq(int, system("sqlite3 x 'CREATE TABLE t(x); PRAGMA application_id=7'"), 0));
	bytes = bytes_read("x", &len);
	expect_database(bytes, len, EINVAL, "is not thawd's store");
	free(bytes);
}

Test(store_images, a_store_of_another_version_or_damaged_is_refused)
{
	uint8_t *bytes;
	size_t len;

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	depot_close();
	bytes = bytes_read(depot_path("store/thawd.db"), &len);
	bytes[63] = 9; /* user_version */
	expect_database(bytes, len, EINVAL, "is a store of version 9, expected 1");
	bytes[63] = 1;
	memset(bytes + 4096, 0x5a, 4096);
	expect_database(bytes, len, EUCLEAN, "other/thawd.db");
	expect_database(bytes, len / 2, EUCLEAN, "other/thawd.db");
	free(bytes);
}

Test(store_images, what_was_left_half_done_goes_when_it_is_opened)
{
	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	mkdir(depot_path("store/tmp/x"), 0700);
	bytes_write(depot_path("store/tmp/x/y"), "z", 1);
	mkdir(depot_path("store/images/ffffffffffffffffffffffffffffffff"), 0700);
	depot_open();
	cr_expect(eq(int, depot_images(), 1));
	cr_expect(eq(int, depot_resolve("f", NULL), 0));
	depot_expect_whole();
}

/* A file may not grow beyond @size: as a full disk, but for the errno. */
static void limit_files(rlim_t size)
{
	struct rlimit limit = { size, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));
}

Test(store_images, a_full_disk_changes_nothing)
{
	depot_image("one", false);
	depot_image("two", false);
	depot_must_put("f", "one", NULL);
	for (rlim_t size = 0; size < 6000000; size += 1500 + size / 4) {
		struct store_alias a = { .name = "live" };
		int ret;

		limit_files(size);
		ret = depot_put("g", "two", NULL);
		limit_files(RLIM_INFINITY);
		if (ret == 0)
			break;
		cr_expect(ret == -EFBIG || ret == -EIO, "%d %s", ret, depot.err.text);
		cr_expect(eq(int, depot_images(), 1), "limit %ju", (uintmax_t)size);
		cr_expect(eq(int, depot_resolve("g", NULL), -ENOENT));
		cr_assert(eq(int,
			     store_put_alias(depot.store, "f", STORE_EITHER, &a, NULL,
					     &depot.err),
			     0),
			  "it goes on: %s", depot.err.text);
	}
	cr_expect(eq(int, depot_resolve("g", NULL), 0));
	depot_expect_whole();
	cr_expect(eq(int, depot_resolve("f", NULL), 0));
	depot_expect_whole();
}

/* ---- threads ---- */

#define ROUNDS 30

static void *change_all_the_time(void *arg)
{
	char name[16];
	struct store_record r;
	struct store_change change = { .how = STORE_EITHER };

	snprintf(name, sizeof(name), "f%d", *(int *)arg);
	for (int i = 0; i < ROUNDS; i++) {
		char image[300];

		snprintf(image, sizeof(image), "%s/%s", depot.dir, i % 2 ? "one" : "two");
		change.dir = image;
		cr_expect(eq(int, store_put(depot.store, name, &change, &r, NULL), 0));
		cr_expect(eq(int, store_publish(depot.store, name, NULL, NULL, &r, NULL), 0));
		cr_expect(eq(int, store_delete(depot.store, name, NULL), 0));
	}
	return NULL;
}

static void *ask_all_the_time(void *arg)
{
	char path[STORE_PATH_SIZE];
	struct store_record r;
	struct thaw_image *img;

	for (int i = 0; i < 40 * ROUNDS; i++) {
		int ret = store_resolve(depot.store, "f1", i % 2 ? NULL : "1", &r, NULL);

		cr_expect(ret == 0 || ret == -ENOENT);
		if (ret < 0 || store_hold(depot.store, r.image, NULL) < 0)
			continue;
		store_image_path(depot.store, r.image, path);
		cr_expect(eq(int, thaw_image_open(&img, path, NULL), 0), "it was held");
		thaw_image_close(img);
		store_release(depot.store, r.image);
	}
	return arg;
}

Test(store_images, threads_change_and_ask_at_once)
{
	pthread_t threads[4];
	int which[2] = { 1, 2 };

	depot_image("one", false);
	depot_image("two", false);
	for (int i = 0; i < 2; i++) {
		pthread_create(&threads[i], NULL, change_all_the_time, &which[i]);
		pthread_create(&threads[2 + i], NULL, ask_all_the_time, NULL);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect(eq(int, store_collect(depot.store, &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_images(), 0));
}

/* ---- death ---- */

/* For ever: put one image or the other, publish, move the alias, delete old versions. */
_Noreturn static void live(int pipe_fd)
{
	struct store_alias a = { .name = "live" };
	char image[300];
	struct store_change change = { .how = STORE_EITHER, .dir = image };

	if (store_open(&depot.store, depot_path("store"), &depot.err) < 0)
		_exit(3);
	for (int n = 0;; n++) {
		snprintf(image, sizeof(image), "%s/%s", depot.dir, n % 2 ? "one" : "two");
		if (store_put(depot.store, "f", &change, &depot.rec, &depot.err) < 0 ||
		    store_publish(depot.store, "f", NULL, NULL, &depot.rec, &depot.err) < 0)
			_exit(4);
		a.version = depot.rec.version;
		if (store_put_alias(depot.store, "f", STORE_EITHER, &a, NULL, &depot.err) < 0)
			_exit(5);
		if (write(pipe_fd, &a.version, sizeof(a.version)) < 0)
			_exit(6);
		/* -ENOENT: the last life did it. */
		if (a.version > 1 &&
		    store_delete_version(depot.store, "f", a.version - 1, &depot.err) == -EBUSY)
			_exit(7);
	}
}

static int64_t kill_one(useconds_t after)
{
	int64_t version = 0, last = 0;
	int fds[2], status, ret;
	pid_t pid;

	ret = pipe(fds);
	cr_assert(eq(int, ret, 0));
	pid = fork();
	if (pid == 0)
		live(fds[1]);
	close(fds[1]);
	usleep(after);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	cr_expect(eq(int, status, SIGKILL), "or exit status << 8");
	while (read(fds[0], &version, sizeof(version)) == sizeof(version))
		last = version;
	close(fds[0]);
	return last;
}

/* The number of the newest version of f, or @known if there is none after it. */
static int64_t newest_after(int64_t known)
{
	static struct store_record page[64];
	int n = store_list_versions(depot.store, "f", known, ARRAY_SIZE(page), page,
				    &depot.err);

	cr_assert(n >= 0 && n < (int)ARRAY_SIZE(page), "%d: %s", n, depot.err.text);
	return n ? page[n - 1].version : known;
}

/*
 * KILLS=500 for more. Each life that ends between publishing and moving the alias leaves a version
 * that no alias ever pointed to, so the alias is where it was said to be, or at the newest of all.
 */
Test(store_images, is_whole_after_a_death_at_any_moment)
{
	int kills = getenv("KILLS") ? atoi(getenv("KILLS")) : 30;
	unsigned int seed = (unsigned int)time(NULL);
	int64_t last = 0;

	depot_image("base", false);
	depot_image("one", true);
	depot_image("two", true);
	for (int i = 0; i < kills; i++) {
		int64_t said, live, newest;

		depot_close();
		said = kill_one((useconds_t)rand_r(&seed) % 150000);
		last = MAX(last, said);
		depot_open();
		if (last == 0 && depot_resolve("f", "live") == -ENOENT)
			continue;
		cr_assert(eq(int, depot_resolve("f", "live"), 0), "seed %u: %s", seed,
			  depot.err.text);
		live = depot.rec.version;
		newest = newest_after(last);
		cr_expect(live == last || live == newest,
			  "seed %u: version %jd, said was %jd, newest is %jd", seed,
			  (intmax_t)live, (intmax_t)last, (intmax_t)newest);
		last = live;
		depot_expect_whole();
		cr_expect(eq(int, depot_resolve("f", NULL), 0));
		depot_expect_whole();
		cr_expect(le(int, depot_images(), 3));
	}
}
