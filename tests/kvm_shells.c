/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_shells.c - pools and slots: right answers, whatever was before, and from many threads. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/fds.h"
#include "engine/findings.h"
#include "guest/abi.h"
#include "snapshot/pool.h"
#include "tests/helpers_image.h"
#include "tests/helpers_nest.h"

#define DEFAULT_SLOTS 100

Test(shells, a_machine_answers_from_a_process_of_its_own, .timeout = 60)
{
	static struct nest n;
	struct thaw_slot *slot;
	struct thaw_stamps s;

	nest_make(&n, "echo", 2);
	slot = nest_start(&n);
	cr_expect(ne(int, thaw_slot_pid(slot), getpid()));
	nest_ask(slot, "hello");
	thaw_slot_stamps(slot, &s);
	cr_expect(le(u64, s.request, s.shell));
	cr_expect(le(u64, s.shell, s.memory));
	cr_expect(le(u64, s.memory, s.state));
	cr_expect(le(u64, s.state, s.first_instruction));
	cr_expect(le(u64, s.first_instruction, s.first_response));
	nest_ask(slot, "and once more");
	thaw_slot_close(slot);
	nest_free(&n);
}

Test(shells, rewound_machines_are_what_they_were_and_their_stamps_begin_anew, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_rewinds rewinds;
	struct thaw_slot *slot;
	struct thaw_stamps s;

	nest_make(&n, "echo", 1);
	slot = nest_start(&n);
	for (unsigned int i = 1; i <= 20; i++) {
		nest_ask(slot, "hello");
		thaw_slot_stamps(slot, &s);
		cr_expect(eq(int, s.memory == 0, i > 1));
		cr_expect(gt(u64, s.first_response, s.request));
		cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
		cr_assert(eq(int, thaw_slot_settle(slot, &err), 0), "%s", err.text);
		thaw_slot_rewinds(slot, &rewinds);
		cr_expect(eq(u64, rewinds.rewinds, i));
	}
	thaw_slot_close(slot);
	nest_free(&n);
}

static unsigned int wanted_slots(void)
{
	const char *text = getenv("SLOTS");

	fds_raise_limit();
	return text ? (unsigned int)atoi(text) : MAX(DEFAULT_SLOTS / slow(), 5u);
}

static void send_own(struct thaw_slot *slot, unsigned int i)
{
	struct thaw_err err = { 0 };
	char event[64];
	int len = snprintf(event, sizeof(event), "event %u", i * 7919);

	cr_assert(eq(int, thaw_slot_send(slot, event, (size_t)len, NEST_TIMEOUT_MS, &err), 0),
		  "slot %u: %s", i, err.text);
}

static void expect_own(struct thaw_slot *slot, unsigned int i)
{
	struct thaw_reply reply = { 0 };
	struct thaw_err err = { 0 };
	char event[64];
	int len = snprintf(event, sizeof(event), "event %u", i * 7919);

	cr_assert(eq(int, thaw_slot_wait(slot, &reply, &err), 0), "slot %u: %s", i, err.text);
	cr_assert(eq(sz, reply.len, (size_t)len));
	cr_assert(eq(int, memcmp(reply.data, event, reply.len), 0));
}

/* SLOTS=1000 for the whole of it. */
Test(shells, all_alive_at_once_each_answer_an_event_of_their_own, .timeout = 300)
{
	static struct nest n;
	unsigned int slots = wanted_slots();
	struct thaw_slot **slot = calloc(slots, sizeof(struct thaw_slot *));
	nsec_t begin, fed;

	nest_make(&n, "echo", slots);
	begin = clock_monotonic();
	for (unsigned int i = 0; i < slots; i++) {
		slot[i] = nest_start(&n);
		send_own(slot[i], i);
	}
	fed = clock_monotonic();
	for (unsigned int i = 0; i < slots; i++)
		expect_own(slot[i], i);
	fprintf(stderr, "%u slots: all handed over after %.1f ms, last reply after %.1f ms\n",
		slots, (double)(fed - begin) / 1e6, (double)(clock_monotonic() - begin) / 1e6);
	for (unsigned int i = 0; i < slots; i++)
		thaw_slot_close(slot[i]);
	free(slot);
	nest_free(&n);
}

static bool is_all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

static const char *const leftovers[] = { "read in part", "hang", "crash" };

ParameterizedTestParameters(shells, no_byte_of_an_event_outlives_a_rewind)
{
	static char padded[ARRAY_SIZE(leftovers)][16];

	for (size_t i = 0; i < ARRAY_SIZE(leftovers); i++)
		snprintf(padded[i], sizeof(padded[i]), "%s", leftovers[i]);
	return cr_make_param_array(char[16], padded, ARRAY_SIZE(leftovers));
}

/* The guest reads 255 bytes of a mebibyte; its process never has the other pages. */
ParameterizedTest(char param[16], shells, no_byte_of_an_event_outlives_a_rewind, .timeout = 60)
{
	static struct nest n;
	static char event[1 << 20];
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;
	int ret;

	memset(event, 'x', sizeof(event));
	memcpy(event, param, strlen(param) + 1);
	nest_make(&n, "tests/moody", 1);
	slot = nest_start(&n);
	for (int round = 0; round < 3; round++) {
		ret = thaw_slot_invoke(slot, event, sizeof(event), slow() * 200, &reply, &err);
		cr_expect(eq(int, ret < 0, strcmp(param, "read in part") != 0), "%s", err.text);
		cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
		cr_assert(eq(int, thaw_slot_settle(slot, &err), 0), "%s", err.text);
		cr_expect(is_all_zero(slot->remote.window + ABI_WINDOW_EVENT,
				      ABI_WINDOW_SIZE - ABI_WINDOW_EVENT),
			  "after '%s', round %d", param, round);
	}
	ret = thaw_slot_invoke(slot, "short", 5, NEST_TIMEOUT_MS, &reply, &err);
	cr_assert(eq(int, ret, 0), "%s", err.text);
	cr_expect(eq(sz, reply.len, strlen("moody: short")));
	thaw_slot_close(slot);
	nest_free(&n);
}

static void take_text(void *arg, unsigned int stream, const void *text, size_t len)
{
	size_t *sum = arg;

	cr_expect(eq(uint, stream, 1));
	cr_expect(ne(ptr, memchr(text, '\n', len), NULL));
	*sum += len;
}

Test(shells, what_a_guest_prints_comes_to_the_caller, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;
	size_t sum = 0;

	nest_make(&n, "tests/moody", 2);
	cr_assert(eq(int, thaw_slot_start(&slot, n.pool, NULL, take_text, &sum, &err), 0));
	cr_assert(
		eq(int, thaw_slot_invoke(slot, "chatter", 7, NEST_TIMEOUT_MS, &reply, &err), 0),
		"%s", err.text);
	cr_expect(eq(sz, sum, 1000 * 1000));
	/* Nobody listens: it runs into its deadline, and not into the caller's memory. */
	cr_assert(eq(int, thaw_slot_send(slot, "chatter", 7, slow() * 300, &err), 0));
	usleep(slow() * 400000);
	cr_expect(eq(int, thaw_slot_wait(slot, &reply, &err), -THAW_TIMED_OUT));
	thaw_slot_close(slot);
	slot = nest_start(&n);
	cr_expect(
		eq(int, thaw_slot_invoke(slot, "chatter", 7, NEST_TIMEOUT_MS, &reply, &err), 0),
		"nobody wants to hear it: %s", err.text);
	thaw_slot_close(slot);
	nest_free(&n);
}

Test(shells, templates_of_one_shape_share_a_pool, .timeout = 60)
{
	static struct nest n, other, large;
	struct thaw_err err = { 0 };
	struct thaw_slot *slot;
	struct thaw_reply reply;

	nest_make(&n, "tests/moody", 2);
	nest_begin(&other, "echo");
	cr_expect(eq(int, thaw_slot_start(&slot, n.pool, other.template, NULL, NULL, &err),
		     -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "not admitted"), NULL), "%s", err.text);
	cr_assert(eq(int, thaw_pool_admit(n.pool, other.template, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_slot_start(&slot, n.pool, other.template, NULL, NULL, &err), 0),
		  "%s", err.text);
	nest_ask(slot, "from the other one");
	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0));
	nest_ask(slot, "and rewound");
	thaw_slot_close(slot);
	slot = nest_start(&n);
	cr_assert(eq(int, thaw_slot_invoke(slot, "own", 3, NEST_TIMEOUT_MS, &reply, &err), 0));
	cr_expect(eq(sz, reply.len, strlen("moody: own")));
	thaw_slot_close(slot);

	booted_ram(32 << 20);
	nest_begin(&large, "echo");
	cr_expect(eq(int, thaw_pool_admit(n.pool, large.template, &err), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "another shape"), NULL), "%s", err.text);
	nest_free(&large);
	nest_free(&other);
	nest_free(&n);
}

Test(shells, host_image_and_template_may_be_closed_while_machines_live, .timeout = 60)
{
	static struct nest n;
	struct thaw_clone *clone;
	struct thaw_reply reply;
	struct thaw_err err = { 0 };
	struct thaw_slot *slot;

	nest_make(&n, "echo", 2);
	slot = nest_start(&n);
	cr_assert(eq(int, thaw_clone_open(&clone, n.template, NULL, NULL, &err), 0));
	thaw_template_close(n.template);
	thaw_image_close(n.image);
	thaw_host_close(n.host);
	n.template = NULL;
	n.image = NULL;
	n.host = NULL;
	nest_ask(slot, "still here");
	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0));
	nest_ask(slot, "still here");
	thaw_slot_close(slot);
	slot = nest_start(&n);
	nest_ask(slot, "and a new one");
	thaw_slot_close(slot);
	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, thaw_clone_invoke(clone, "x", 1, 0, &reply, &err), 0));
		cr_assert(eq(int, thaw_clone_rewind(clone, 1, &err), 0), "%s", err.text);
	}
	thaw_clone_close(clone);
	nest_free(&n);
}

Test(shells, images_that_changed_since_they_were_opened_are_noticed, .timeout = 60)
{
	static const char *const files[] = { "manifest.json", "state.bin", "memory.lz4" };
	struct thaw_template *again;
	struct thaw_err err = { 0 };
	struct thaw_pool *pool;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		static struct nest n;
		const char *path;
		uint8_t *bytes;
		size_t len;

		nest_begin(&n, "echo");
		path = strdup(scratch_path(n.f.dir, files[i]));
		bytes = bytes_read(path, &len);
		usleep(20000); /* times of files are those of a clock that ticks */
		if (i == 0) {
			bytes_write(path, bytes, len);
		} else { /* the same bytes, another file */
			bytes_write(scratch_path(n.f.scratch, "new"), bytes, len);
			cr_assert(eq(int, rename(scratch_path(n.f.scratch, "new"), path), 0));
		}
		cr_expect(eq(int, thaw_template_open(&again, n.host, n.image, "map", 2, &err),
			     -ESTALE));
		cr_expect(ne(ptr, strstr(err.text, files[i]), NULL), "%s", err.text);
		cr_expect(ne(ptr, strstr(err.text, i ? "another file" : "changed"), NULL), "%s",
			  err.text);
		cr_expect(eq(int, thaw_pool_open(&pool, n.zygote, n.template, 1, 0, &err),
			     -ESTALE));
		free(bytes);
		free((char *)(uintptr_t)path);
		n.pool = NULL;
		nest_free(&n);
	}
}

/* ---- several threads ---- */

static void *try_kvm(void *arg)
{
	static struct kvm kvm;
	struct findings findings;
	struct err err = { 0 };
	int *begun = arg;

	cr_assert(eq(int, kvm_open(&kvm, &err), 0), "%s", err.text);
	__atomic_store_n(begun, 1, __ATOMIC_RELAXED);
	cr_expect(eq(int, findings_get(&kvm, &findings, &err), 0), "%s", err.text);
	kvm_close(&kvm);
	return NULL;
}

/* A fork has no thread but the one that forked, and what the others had locked. */
Test(shells, a_zygote_may_be_opened_while_another_thread_tries_kvm, .timeout = 60)
{
	struct thaw_zygote *zygote;
	struct thaw_err err = { 0 };
	pthread_t thread;
	int begun = 0;

	cr_assert(eq(int, pthread_create(&thread, NULL, try_kvm, &begun), 0));
	while (!__atomic_load_n(&begun, __ATOMIC_RELAXED))
		;
	usleep(100);
	cr_expect(eq(int, thaw_zygote_open(&zygote, 0, NULL, &err), 0), "%s", err.text);
	pthread_join(thread, NULL);
	thaw_zygote_close(zygote);
}

#define THREADS 4

static void *start_and_ask(void *arg)
{
	struct nest *n = arg;
	struct thaw_err err = { 0 };
	unsigned int rounds = MAX(50 / slow(), 5u);
	char event[32];

	for (unsigned int i = 0; i < rounds; i++) {
		struct thaw_slot *slot = NULL;
		int ret = thaw_slot_start(&slot, n->pool, NULL, NULL, NULL, &err);

		while (ret == -EAGAIN) {
			cr_assert(ge(int, thaw_pool_fill(n->pool, &err), 0), "%s", err.text);
			ret = thaw_slot_start(&slot, n->pool, NULL, NULL, NULL, &err);
		}
		cr_assert(eq(int, ret, 0), "%s", err.text);
		snprintf(event, sizeof(event), "%lx %u", (unsigned long)pthread_self(), i);
		nest_ask(slot, event);
		thaw_slot_close(slot);
	}
	return NULL;
}

Test(shells, threads_start_close_and_fill_at_once, .timeout = 120)
{
	static struct nest n;
	pthread_t threads[THREADS];

	nest_make(&n, "echo", 8);
	for (int i = 0; i < THREADS; i++)
		cr_assert(eq(int, pthread_create(&threads[i], NULL, start_and_ask, &n), 0));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect(eq(int, thaw_pool_fill(n.pool, NULL), 8));
	nest_free(&n);
}
