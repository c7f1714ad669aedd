/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_queue_deaths.c - what was accepted is there, and a dead letter is there once, whatever ends at
 * whatever moment: the process, the disk's room, the dead-letter file.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <jansson.h>
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
#include "tests/helpers_image.h"
#include "tests/helpers_queue.h"

TestSuite(queue_deaths, .init = trunk_make, .fini = trunk_remove, .timeout = 600);

static struct queue_stats stats(void)
{
	struct queue_stats s;

	queue_stats(trunk.queue, &s);
	return s;
}

static const struct queue_event *must_take(void)
{
	const struct queue_event *e = trunk_take(10000);

	cr_assert(ne(ptr, (void *)e, NULL));
	return e;
}

/* ---- the process ---- */

#define MAX_EVENTS 200000u

/* What is known of event N from what its process said before it died. */
static uint8_t known[MAX_EVENTS];
enum { ACCEPTED = 1, DONE = 2, THERE = 4, LETTER = 8 };

struct said {
	uint32_t n;
	uint32_t what; /* ACCEPTED, DONE */
};

static int said_fd;

static void say(uint32_t n, uint32_t what)
{
	struct said said = { n, what };

	if (write(said_fd, &said, sizeof(said)) != sizeof(said))
		_exit(3);
}

static void say_accepted(void *arg, int ret, const struct err *err)
{
	(void)err;
	if (ret < 0)
		_exit(4);
	say((uint32_t)(uintptr_t)arg, ACCEPTED);
}

static void put_number(uint32_t n)
{
	char payload[64];
	struct queue_event e = { .function = n % 2 ? "odd" : "even",
				 .qualifier = "",
				 .trace = "",
				 .client_context = "",
				 .payload = payload,
				 .max_age_ms = QUEUE_MAX_AGE_MS,
				 .retries = n % 5 == 0 };

	e.len = (size_t)snprintf(payload, sizeof(payload), "%u", n);
	e.request_id = payload;
	if (queue_put(trunk.queue, &e, say_accepted, (void *)(uintptr_t)n, &trunk.err) < 0)
		_exit(5);
}

/* A third is done, a third fails, a third comes again a few times. */
static void handle(const struct queue_event *e)
{
	uint32_t n = (uint32_t)atoi(e->request_id);

	if (n % 3 == 0 || (n % 3 == 2 && rand() % 4 == 0)) {
		say(n, DONE); /* before it is: a death between is a second time for the event */
		queue_done(trunk.queue, e);
	} else if (n % 3 == 1) {
		queue_fail(trunk.queue, e, "failed", NULL, 0);
	} else {
		queue_defer(trunk.queue, e, n % 100);
	}
}

_Noreturn static void live(uint32_t n)
{
	const struct queue_event *e;

	srand(n);
	trunk.config.taken = 200;
	if (queue_open(&trunk.queue, &trunk.config, &trunk.err) < 0)
		_exit(6);
	for (;;) {
		for (int i = 0; i < 20 && stats().events < 500; i++)
			put_number(n++);
		usleep(500);
		queue_dispatch(trunk.queue);
		while ((e = queue_take(trunk.queue)))
			handle(e);
	}
}

/* Returns the first number that was not used. */
static uint32_t kill_one(uint32_t n, useconds_t after)
{
	struct said said;
	int fds[2], status, ret = pipe(fds);
	pid_t pid;

	cr_assert(eq(int, ret, 0));
	pid = fork();
	if (pid == 0) {
		said_fd = fds[1];
		live(n);
	}
	close(fds[1]);
	usleep(after);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	cr_expect(eq(int, status, SIGKILL), "or exit status << 8");
	while (read(fds[0], &said, sizeof(said)) == sizeof(said)) {
		cr_assert(lt(u32, said.n, MAX_EVENTS));
		known[said.n] |= (uint8_t)said.what;
		n = MAX(n, said.n + 1);
	}
	close(fds[0]);
	return n + 10000; /* others were put that nobody said a word of */
}

static void look_at_letters(void)
{
	const char *text = trunk_letters();

	for (; *text; text = strchr(text, '\n') + 1) {
		json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
		json_t *context = json_object_get(line, "requestContext");
		const char *id = json_string_value(json_object_get(context, "requestId"));

		cr_assert(ne(ptr, (void *)id, NULL), "not a letter: %.80s", text);
		cr_expect(eq(int, known[atoi(id)] & (LETTER | THERE), 0), "event %s: %d", id,
			  known[atoi(id)]);
		known[atoi(id)] |= LETTER;
		json_decref(line);
	}
}

/* What is there after it was opened again. */
static void look(unsigned int seed)
{
	uint64_t n;

	for (uint32_t i = 0; i < MAX_EVENTS; i++)
		known[i] &= (uint8_t) ~(LETTER | THERE);
	trunk_open();
	n = stats().events;
	for (uint64_t i = 0; i < n; i++) {
		uint32_t at = (uint32_t)atoi(must_take()->request_id);

		cr_expect(eq(int, known[at] & THERE, 0), "event %u twice", at);
		known[at] |= THERE;
	}
	look_at_letters();
	trunk_close();
	for (uint32_t i = 0; i < MAX_EVENTS; i++)
		cr_expect(known[i] != ACCEPTED, "seed %u: event %u is lost", seed, i);
}

/* KILLS=500 for more. */
Test(queue_deaths, nothing_that_was_accepted_is_lost)
{
	int kills = getenv("KILLS") ? atoi(getenv("KILLS")) : 30;
	unsigned int seed = (unsigned int)time(NULL);
	uint32_t n = 0;

	trunk.config.taken = trunk.config.taken_each = 100000;
	for (int i = 0; i < kills; i++) {
		if (n > MAX_EVENTS - 50000) { /* all over again */
			trunk_remove();
			trunk_make();
			trunk.config.taken = trunk.config.taken_each = 100000;
			memset(known, 0, sizeof(known));
			n = 0;
		}
		trunk_close();
		n = kill_one(n, (useconds_t)rand_r(&seed) % 100000);
		look(seed);
	}
}

/* ---- the dead-letter file ---- */

static void append_letters(const char *text)
{
	FILE *f = fopen(trunk.config.dead_letters, "a");

	fputs(text, f);
	fclose(f);
}

Test(queue_deaths, a_letter_that_was_written_is_not_written_again)
{
	trunk_put("f", "1");
	trunk_put("f", "2");
	trunk_close();
	append_letters("{\"event\":1,\"as if\":1}\n{\"event\":2,\"as i");
	trunk_open();
	cr_expect(eq(u64, stats().events, 1));
	cr_expect(eq(str, (char *)trunk_letters(), "{\"event\":1,\"as if\":1}\n"));
	cr_expect(eq(int, memcmp(must_take()->payload, "2", 1), 0));
}

static void fail_one(const char *payload)
{
	trunk_put("f", payload);
	for (int i = 0; i < 3; i++)
		queue_fail(trunk.queue, must_take(), "failed", NULL, 0);
	for (int i = 0; i < 10000 && stats().events > 0; i++)
		usleep(1000);
}

Test(queue_deaths, the_file_may_be_moved_away)
{
	struct stat st;

	fail_one("\"first\"");
	cr_assert(
		eq(int, rename(trunk.config.dead_letters, scratch_path(trunk.dir, "old")), 0));
	fail_one("\"second\"");
	cr_expect(ne(ptr, strstr(trunk_letters(), "second"), NULL));
	cr_expect(eq(ptr, strstr(trunk_letters(), "first"), NULL));
	cr_assert(eq(int, stat(trunk.config.dead_letters, &st), 0));
	cr_expect(eq(int, st.st_mode & 0777, 0600));
	trunk_put("f", "stays");
	trunk_open();
	cr_expect(eq(u64, stats().events, 1));
}

/* It is a directory for a while. */
Test(queue_deaths, an_event_stays_until_its_letter_is_written)
{
	const char *path = trunk.config.dead_letters;

	cr_assert(eq(int, unlink(path), 0));
	cr_assert(eq(int, mkdir(path, 0700), 0));
	trunk_put("f", "{}");
	for (int i = 0; i < 3; i++)
		queue_fail(trunk.queue, must_take(), "failed", NULL, 0);
	usleep(300000);
	cr_expect(eq(u64, stats().events, 1));
	trunk_put("g", "others go on");
	cr_assert(eq(int, rmdir(path), 0));
	for (int i = 0; i < 10000 && stats().dead == 0; i++)
		usleep(1000);
	cr_expect(eq(u64, stats().dead, 1));
	cr_expect(ne(ptr, strstr(trunk_letters(), "\"requestPayload\":{}"), NULL));
}

/* ---- the disk ---- */

/* No file may grow beyond @size: as a full disk, but for the errno. */
static void limit_files(rlim_t size)
{
	struct rlimit limit = { size, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));
}

Test(queue_deaths, a_full_disk_refuses_and_keeps)
{
	static char big[100000];
	struct queue_event e = trunk_event(QUEUE_MAX_AGE_MS, 0);
	const struct queue_event *taken;
	int n = 0, ret = 0;

	e.payload = big;
	e.len = sizeof(big);
	trunk_put("f", "first");
	taken = must_take();
	limit_files(400000);
	while (ret == 0 && n < 100) {
		ret = trunk_put_event(&e);
		n += ret == 0;
	}
	cr_expect(ret == -EFBIG || ret == -EIO || ret == -ENOSPC, "%d %s", ret, trunk.err.text);
	queue_done(trunk.queue, taken);
	usleep(300000);
	limit_files(RLIM_INFINITY);
	cr_expect(eq(int, trunk_put_event(&e), 0), "%s", trunk.err.text);
	for (int i = 0; i < 10000 && stats().done == 0; i++)
		usleep(1000);
	cr_expect(eq(u64, stats().events, n + 1));
	trunk_open();
	cr_expect(eq(u64, stats().events, n + 1));
}

Test(queue_deaths, damage_is_told)
{
	struct queue_event e = trunk_event(1000, 0);
	uint8_t *bytes;
	size_t len;
	int ret;

	for (int i = 0; i < 100; i++)
		trunk_put("f", "payload");
	trunk_close();
	bytes = bytes_read(trunk.config.path, &len);
	memset(bytes + 4096, 0x5a, len - 4096);
	bytes_write(trunk.config.path, bytes, len);
	free(bytes);
	ret = queue_open(&trunk.queue, &trunk.config, &trunk.err);
	if (ret == 0)
		ret = trunk_put_event(&e);
	cr_expect(eq(int, ret, -EUCLEAN), "%s", trunk.err.text);
	cr_expect(ne(ptr, strstr(trunk.err.text, "queue.db: database disk image is malformed"),
		     NULL),
		  "%s", trunk.err.text);
}
