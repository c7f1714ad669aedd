/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_kills.c - SIGKILL at random moments of zygote, shell and caller: who survives hears a
 * clear error and can go on, nothing is left, and no reply has a wrong byte. KILLS=500 for more.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snapshot/pool.h"
#include "tests/helpers_nest.h"

#define SLOTS 4u
#define MORE  20 /* answers after it was over with the victim */
#define KILLS 30
#define SPREAD_US                                                                              \
	80000 /* moments are within so much after the caller's start: setting up, too */
#define SOON_US 10000000

enum victim { VICTIM_ZYGOTE, VICTIM_SHELL, VICTIM_CALLER, VICTIMS };
static const char *const names[] = { "zygote", "shell", "caller" };

/* What a caller tells the test; in memory that both share. */
struct told {
	pid_t zygote;
	int is_over; /* from the test: somebody was killed */
	int answers;
	int deaths; /* errors that it heard, and got over */
	char text[240];
};

/* ---- the caller, in a process of its own ---- */

struct caller {
	struct nest n; /* .zygote and .pool may be NULL */
	struct told *told;
	struct thaw_slot *slots[SLOTS];
};

_Noreturn static void give_up(struct told *t, const char *what, const char *text)
{
	snprintf(t->text, sizeof(t->text), "%.100s: %.130s", what, text);
	_exit(1);
}

/* Only the death of somebody may go wrong, and it is said whose. */
static void expect_death(struct caller *c, int ret, const struct thaw_err *err)
{
	bool shell = ret == -THAW_CRASHED && strstr(err->text, "died of SIGKILL");
	bool zygote = ret == -EPIPE && strstr(err->text, "zygote") && strstr(err->text, "died");

	if (!shell && !zygote)
		give_up(c->told, "not the death of somebody", err->text);
	c->told->deaths++;
	snprintf(c->told->text, sizeof(c->told->text), "%s", err->text);
}

static void caller_fini(struct caller *c)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		thaw_slot_close(c->slots[i]);
		c->slots[i] = NULL;
	}
	thaw_pool_close(c->n.pool);
	c->n.pool = NULL;
	if (c->n.zygote && c->n.zygote->account.used != 0)
		give_up(c->told, "memory is accounted for that nobody has", "");
	thaw_zygote_close(c->n.zygote);
	c->n.zygote = NULL;
}

static int caller_init(struct caller *c, struct thaw_err *err)
{
	int ret = 0;

	if (!c->n.zygote)
		ret = thaw_zygote_open(&c->n.zygote, 0, NULL, err);
	if (ret < 0)
		return ret;
	c->told->zygote = thaw_zygote_pid(c->n.zygote);
	if (!c->n.pool)
		ret = thaw_pool_open(&c->n.pool, c->n.zygote, c->n.template, SLOTS, 1 << 20,
				     err);
	if (ret == 0)
		ret = thaw_pool_fill(c->n.pool, err);
	for (unsigned int i = 0; i < SLOTS && ret >= 0; i++) {
		ret = thaw_slot_start(&c->slots[i], c->n.pool, NULL, NULL, NULL, err);
		/* One died after it was made: it was passed over, and is made again. */
		if (ret == -EAGAIN && thaw_pool_fill(c->n.pool, err) > 0)
			ret = thaw_slot_start(&c->slots[i], c->n.pool, NULL, NULL, NULL, err);
	}
	return MIN(ret, 0);
}

static size_t event_len(unsigned int i, unsigned int round)
{
	return 1000 * (i + 1) + round % 1000;
}

static int send_one(struct caller *c, unsigned int i, unsigned int round, struct thaw_err *err)
{
	char event[6000];

	memset(event, 'a' + (int)(i + round) % 26, sizeof(event));
	return thaw_slot_send(c->slots[i], event, event_len(i, round), NEST_TIMEOUT_MS, err);
}

static int wait_one(struct caller *c, unsigned int i, unsigned int round, struct thaw_err *err)
{
	struct thaw_reply reply = { 0 };
	int ret = thaw_slot_wait(c->slots[i], &reply, err);
	const char *byte = reply.data;

	if (ret < 0)
		return ret;
	if (reply.len != event_len(i, round))
		give_up(c->told, "a reply of another length", "");
	for (size_t at = 0; at < reply.len; at++) {
		if (byte[at] != 'a' + (int)(i + round) % 26)
			give_up(c->told, "a wrong byte", "");
	}
	c->told->answers++;
	return thaw_slot_rewind(c->slots[i], 0, err);
}

/* All slots at work at once, each rewound, then closed and filled. */
static int one_round(struct caller *c, unsigned int round, struct thaw_err *err)
{
	int ret = 0;

	for (unsigned int i = 0; i < SLOTS && ret == 0; i++)
		ret = send_one(c, i, round, err);
	for (unsigned int i = 0; i < SLOTS && ret == 0; i++)
		ret = wait_one(c, i, round, err);
	if (ret < 0 || round % 5 != 4)
		return ret;
	for (unsigned int i = 0; i < SLOTS; i++) {
		thaw_slot_close(c->slots[i]);
		c->slots[i] = NULL;
	}
	return caller_init(c, err);
}

/*
 * Until somebody was killed and MORE answers are right. That may be without an error heard: a
 * shell may have been on its way out, or pass for one that died while it waited.
 */
_Noreturn static void caller_main(const struct frozen *f, struct told *told)
{
	static struct caller c;
	struct thaw_err err = { 0 };
	int ret, left = MORE, fds = count_entries("/proc/self/fd");

	c.told = told;
	ret = thaw_host_open(&c.n.host, &err);
	if (ret == 0)
		ret = thaw_image_open(&c.n.image, f->dir, &err);
	if (ret == 0)
		ret = thaw_template_open(&c.n.template, c.n.host, c.n.image, "map", 2, &err);
	if (ret < 0)
		give_up(told, "not set up", err.text);
	ret = caller_init(&c, &err);
	for (unsigned int round = 0; left > 0; round++) {
		int before = told->answers;

		if (ret == 0)
			ret = one_round(&c, round, &err);
		if (__atomic_load_n(&told->is_over, __ATOMIC_RELAXED))
			left -= told->answers - before;
		if (ret == 0)
			continue;
		expect_death(&c, ret, &err);
		caller_fini(&c);
		ret = caller_init(&c, &err);
	}
	caller_fini(&c);
	thaw_template_close(c.n.template);
	thaw_image_close(c.n.image);
	thaw_host_close(c.n.host);
	if (count_entries("/proc/self/fd") != fds)
		give_up(told, "descriptors are left", "");
	_exit(0);
}

/* ---- the test ---- */

/* All that a caller began, zygotes with sessions of their own too, are ours when it is dead: we
 * are whom the kernel gives them to. */
static void expect_nobody(const char *victim)
{
	pid_t pid;

	for (int us = 0; us < SOON_US && (pid = waitpid(-1, NULL, WNOHANG)) >= 0; us += 1000)
		usleep(pid == 0 ? 1000 : 0);
	cr_assert(lt(int, pid, 0), "processes are left after the %s died", victim);
}

/* Ended in all cases. */
static bool ends_soon(pid_t pid, int *status)
{
	for (unsigned int us = 0; us < slow() * SOON_US; us += 1000) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
	return false;
}

static pid_t pick(enum victim victim, pid_t caller, const struct told *told)
{
	pid_t children[2 * SLOTS];
	int n;

	if (victim == VICTIM_CALLER)
		return caller;
	if (victim == VICTIM_ZYGOTE || told->zygote == 0)
		return told->zygote;
	n = MIN(nest_children(told->zygote, children, 2 * SLOTS), (int)(2 * SLOTS));
	return n > 0 ? children[rand() % n] : 0;
}

static void kill_one(const struct frozen *f, struct told *told, enum victim victim)
{
	pid_t caller, dead = 0;
	int status = 0;

	*told = (struct told){ 0 };
	caller = fork();
	if (caller == 0)
		caller_main(f, told);
	usleep((useconds_t)(rand() % SPREAD_US));
	for (int us = 0; us < SOON_US && dead == 0; us += 100) {
		dead = pick(victim, caller, told);
		usleep(100);
	}
	cr_assert(gt(int, dead, 0));
	kill(dead, SIGKILL);
	__atomic_store_n(&told->is_over, 1, __ATOMIC_RELAXED);
	cr_assert(ends_soon(caller, &status), "the caller hangs after the %s died",
		  names[victim]);
	if (victim == VICTIM_CALLER)
		cr_expect(eq(int, WTERMSIG(status), SIGKILL));
	else
		cr_assert(eq(int, status, 0), "after the %s died: %s", names[victim],
			  told->text);
	expect_nobody(names[victim]);
}

Test(kills, who_survives_goes_on_and_nothing_is_left, .timeout = 600)
{
	static struct frozen f;
	const char *text = getenv("KILLS");
	unsigned int kills = text ? (unsigned int)atoi(text) : MAX(KILLS / slow(), 3u);
	int answers = 0, deaths = 0;
	struct told *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, told, MAP_FAILED));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	srand((unsigned int)getpid());
	frozen_make(&f, guest_path("echo"));
	for (unsigned int i = 0; i < kills; i++) {
		kill_one(&f, told, (enum victim)(i % VICTIMS));
		answers += told->answers;
		deaths += told->deaths;
	}
	fprintf(stderr, "%u kills, %d deaths heard of, %d right answers\n", kills, deaths,
		answers);
	frozen_free(&f);
}

/* ---- what each of them says ---- */

Test(kills, a_shell_that_dies_at_work_is_named_with_its_signal, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;

	nest_make(&n, "tests/moody", 2);
	slot = nest_start(&n);
	cr_assert(eq(int, thaw_slot_send(slot, "hang", 4, NEST_TIMEOUT_MS, &err), 0));
	usleep(5000);
	kill(thaw_slot_pid(slot), SIGSEGV);
	cr_expect(eq(int, thaw_slot_wait(slot, &reply, &err), -THAW_CRASHED));
	cr_expect(eq(str, err.text, "the machine's process died of SIGSEGV (signal 11)"));
	err.text[0] = '\0';
	cr_expect(eq(int, thaw_slot_send(slot, "again", 5, 0, &err), -THAW_CRASHED));
	cr_expect(eq(str, err.text, "the machine's process died of SIGSEGV (signal 11)"));
	cr_expect(eq(int, thaw_slot_rewind(slot, 0, &err), -THAW_CRASHED));
	thaw_slot_close(slot);
	nest_free(&n);
}

Test(kills, shells_that_died_while_they_waited_are_passed_over, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_slot *slot;
	pid_t shells[3];

	nest_make(&n, "echo", 3);
	cr_assert(eq(int, nest_children(thaw_zygote_pid(n.zygote), shells, 3), 3));
	kill(shells[1], SIGKILL);
	kill(shells[2], SIGKILL);
	for (int ms = 0; ms < 5000 && nest_children(thaw_zygote_pid(n.zygote), NULL, 0) > 1;
	     ms++)
		usleep(1000);
	slot = nest_start(&n);
	nest_ask(slot, "the one that is left");
	cr_expect(eq(int, thaw_slot_pid(slot), shells[0]));
	thaw_slot_close(slot);
	cr_expect(eq(int, thaw_slot_start(&slot, n.pool, NULL, NULL, NULL, &err), -EAGAIN));
	cr_expect(eq(int, thaw_pool_fill(n.pool, &err), 3), "%s", err.text);
	nest_free(&n);
}

Test(kills, a_shell_that_does_not_stop_at_its_deadline_is_killed, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;
	pid_t pid;

	slot = nest_of_one(&n, &pid);
	kill(pid, SIGSTOP);
	cr_expect(eq(int, thaw_slot_invoke(slot, "x", 1, 100, &reply, &err), -THAW_TIMED_OUT));
	cr_expect(ne(ptr, strstr(err.text, "and was killed"), NULL), "%s", err.text);
	nest_wait_gone(pid);
	thaw_slot_close(slot);
	nest_free(&n);
}

Test(kills, a_shell_that_does_not_end_when_it_is_closed_is_killed, .timeout = 60)
{
	static struct nest n;
	struct thaw_slot *slot;
	pid_t pid;

	slot = nest_of_one(&n, &pid);
	kill(pid, SIGSTOP);
	thaw_slot_close(slot);
	nest_wait_gone(pid);
	nest_free(&n);
}

Test(kills, a_program_that_dies_leaves_its_registers_and_can_be_rewound, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;
	const char *crash;

	nest_make(&n, "tests/moody", 1);
	slot = nest_start(&n);
	cr_expect(eq(int, thaw_slot_invoke(slot, "crash", 5, NEST_TIMEOUT_MS, &reply, &err),
		     -THAW_CRASHED));
	cr_expect(ne(ptr, strstr(err.text, "died of SIGSEGV"), NULL), "%s", err.text);
	crash = thaw_slot_crash(slot);
	cr_assert(ne(ptr, crash, NULL));
	cr_expect(ne(ptr, strstr(crash, "rip"), NULL), "%s", crash);
	cr_expect(eq(int, thaw_slot_invoke(slot, "x", 1, 0, &reply, &err), -EBUSY));
	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0));
	cr_assert(eq(int, thaw_slot_invoke(slot, "x", 1, NEST_TIMEOUT_MS, &reply, &err), 0),
		  "%s", err.text);
	cr_expect(eq(ptr, (void *)(uintptr_t)thaw_slot_crash(slot), NULL));
	cr_expect(
		eq(int, thaw_slot_invoke(slot, "hang", 4, 100, &reply, &err), -THAW_TIMED_OUT));
	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0));
	cr_assert(eq(int, thaw_slot_invoke(slot, "x", 1, NEST_TIMEOUT_MS, &reply, &err), 0),
		  "%s", err.text);
	thaw_slot_close(slot);
	nest_free(&n);
}

static void *stop_child(void *arg)
{
	pid_t child = 0;

	(void)arg;
	while (nest_children(getpid(), &child, 1) == 0)
		;
	kill(child, SIGSTOP);
	return NULL;
}

Test(kills, a_zygote_that_does_not_get_ready_is_not_waited_for_for_ever, .timeout = 60)
{
	struct thaw_zygote *zygote;
	struct thaw_err err = { 0 };
	pthread_t thread;

	cr_assert(eq(int, pthread_create(&thread, NULL, stop_child, NULL), 0));
	cr_expect(eq(int, thaw_zygote_open(&zygote, 0, NULL, &err), -THAW_TIMED_OUT));
	cr_expect(ne(ptr, strstr(err.text, "not ready"), NULL), "%s", err.text);
	pthread_join(thread, NULL);
	cr_expect(eq(int, nest_children(getpid(), NULL, 0), 0));
}

Test(kills, a_zygote_that_died_takes_its_machines_along_and_is_named, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot, *other;
	pid_t shells[3];

	nest_make(&n, "echo", 3);
	slot = nest_start(&n);
	nest_ask(slot, "there?");
	cr_assert(eq(int, nest_children(thaw_zygote_pid(n.zygote), shells, 3), 3));
	kill(thaw_zygote_pid(n.zygote), SIGKILL);
	for (int i = 0; i < 3; i++)
		nest_wait_gone(shells[i]);
	cr_expect(eq(int, thaw_slot_invoke(slot, "x", 1, 0, &reply, &err), -EPIPE));
	cr_expect(ne(ptr, strstr(err.text, "the zygote has died"), NULL), "%s", err.text);
	cr_expect(eq(int, thaw_slot_start(&other, n.pool, NULL, NULL, NULL, &err), -EPIPE));
	cr_expect(eq(str, err.text, "the zygote has died"));
	cr_expect(eq(int, thaw_pool_fill(n.pool, &err), -EPIPE));
	cr_expect(eq(str, err.text, "the zygote has died"));
	thaw_slot_close(slot);
	nest_free(&n);
}
