/* SPDX-License-Identifier: Apache-2.0 */
/* test_remote.c - shells that their guest took over, as their caller meets them: played here on
 * the other end of the socket. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "snapshot/remote.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

/* Beyond a deadline, what the caller gives a process to say that it met it, and some. */
#define SOON (3 * NSEC_PER_SEC)

static int other; /* the shell's end */

static struct remote remote_in(enum remote_state state)
{
	int pair[2];

	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0));
	other = pair[1];
	return (struct remote){ .socket = pair[0], .pidfd = -1, .fork_fd = -1, .state = state };
}

static void say(enum packet_type type, int ret, unsigned int nfds)
{
	struct packet_msg msg = { .type = type, .ret = ret };
	struct packet_parts parts = { .nfds = nfds };

	for (unsigned int i = 0; i < nfds; i++)
		parts.fds[i] = other;
	cr_assert(eq(int, packet_send(other, &msg, &parts, 0), 0));
}

/* ---- it talks all the time ---- */

static void *flood(void *arg)
{
	struct packet_msg msg = { .type = PACKET_LOG };

	(void)arg;
	while (packet_send(other, &msg, NULL, 0) == 0)
		;
	return NULL;
}

static void read_slowly(void *arg, uint32_t stream, const void *text, size_t len)
{
	(void)arg, (void)stream, (void)text, (void)len;
	usleep(100);
}

Test(remote, a_shell_that_never_stops_talking_is_not_listened_to_for_ever, .timeout = 30)
{
	struct remote s = remote_in(REMOTE_BUSY);
	nsec_t begin = clock_monotonic();
	struct err err = { 0 };
	pthread_t thread;
	size_t len;

	s.log = read_slowly;
	s.deadline = begin + NSEC_PER_SEC / 10;
	cr_assert(eq(int, pthread_create(&thread, NULL, flood, NULL), 0));
	cr_expect(eq(int, remote_wait(&s, &len, &err), -ERR_TIMED_OUT));
	cr_expect(lt(u64, clock_monotonic() - begin, SOON));
	remote_close(&s);
	pthread_join(thread, NULL);
}

Test(remote, a_caller_that_comes_late_gets_what_came_in_time, .timeout = 30)
{
	struct remote s = remote_in(REMOTE_BUSY);
	struct err err = { 0 };
	size_t len = 1;

	s.deadline = clock_monotonic() - 60 * NSEC_PER_SEC;
	say(PACKET_LOG, 0, 0);
	say(PACKET_REPLY, 0, 0);
	cr_expect(eq(int, remote_wait(&s, &len, &err), 0), "%s", err.text);
	cr_expect(eq(sz, len, 0));
	remote_close(&s);
}

/* ---- it does not listen ---- */

Test(remote, a_shell_that_answers_without_listening_does_not_hold_its_caller, .timeout = 30)
{
	struct remote s = remote_in(REMOTE_IDLE);
	struct err err = { 0 };
	int ret = 0;

	for (int i = 0; i < 100000 && ret == 0; i++) {
		ret = remote_rewind(&s, false, &err);
		if (ret == 0) {
			say(PACKET_REWOUND, 0, 0);
			ret = remote_settle(&s, &err);
		}
	}
	cr_expect(eq(int, ret, -EPROTO));
	cr_expect(ne(ptr, strstr(err.text, "does not listen"), NULL), "%s", err.text);
	cr_expect(eq(int, s.state, REMOTE_DEAD));
	remote_close(&s);
}

/* ---- it is to hand over a snapshot ---- */

static struct remote remote_forked(void)
{
	struct remote s = remote_in(REMOTE_IDLE);

	s.fork_fd = bytes_memfd("", 0);
	return s;
}

Test(remote, a_shell_that_cannot_be_forked_now_says_so_and_lives, .timeout = 30)
{
	struct remote s = remote_forked();
	struct err err = { 0 };
	nsec_t pause = 0;

	say(PACKET_LOG, 0, 0);
	say(PACKET_FORKED, -EBUSY, 0);
	cr_expect(eq(int, remote_fork(&s, &pause, &err), -EBUSY));
	cr_expect(eq(int, s.state, REMOTE_IDLE));
	say(PACKET_FORKED, 0, 0);
	cr_expect(eq(int, remote_fork(&s, &pause, &err), 0), "%s", err.text);
	cr_expect(gt(u64, pause, 0));
	remote_close(&s);
	close(other);
}

Test(remote, a_shell_that_hands_over_nonsense_is_not_believed_any_more, .timeout = 30)
{
	struct remote s = remote_forked();
	struct err nonsense, err = { 0 };
	nsec_t pause;
	size_t len;

	err_set(&nonsense, EPROTO, "nonsense");
	remote_distrust(&s, -EPROTO, &nonsense);
	cr_expect(eq(int, remote_fork(&s, &pause, &err), -EPROTO));
	cr_expect(eq(str, err.text, "nonsense"));
	cr_expect(eq(int, remote_wait(&s, &len, &err), -EPROTO));
	remote_close(&s);
	close(other);
}

/* ---- it sends what it was not asked for ---- */

static const enum packet_type types[] = { PACKET_BORN,	 PACKET_READY,	 PACKET_LOG,
					  PACKET_REPLY,	 PACKET_REWOUND, PACKET_FAILED,
					  PACKET_FORKED, PACKET_DIED,	 (enum packet_type)77 };

/* For what it is to answer. */
static int ask(struct remote *s)
{
	nsec_t pause;
	size_t len;

	if (s->state == REMOTE_MAKING)
		return remote_await(s, NULL);
	if (s->state == REMOTE_BUSY)
		return remote_wait(s, &len, NULL);
	return s->state == REMOTE_IDLE ? remote_fork(s, &pause, NULL) : remote_settle(s, NULL);
}

Test(remote, no_descriptor_of_a_shell_gets_into_its_caller, .timeout = 30)
{
	static const enum remote_state states[] = { REMOTE_MAKING, REMOTE_BUSY,
						    REMOTE_REWINDING, REMOTE_IDLE };

	for (size_t i = 0; i < ARRAY_SIZE(types) * ARRAY_SIZE(states); i++) {
		struct remote s = remote_in(states[i % ARRAY_SIZE(states)]);
		int before = count_entries("/proc/self/fd") + 1, ret;

		s.fork_fd = dup(other);
		s.deadline = clock_monotonic() + NSEC_PER_SEC;
		say(types[i / ARRAY_SIZE(states)], -5, PACKET_MAX_FDS);
		say(types[i / ARRAY_SIZE(states)], -5, 1);
		ret = ask(&s);
		cr_expect(lt(int, ret, 0));
		cr_expect(eq(int, count_entries("/proc/self/fd"), before));
		cr_expect(eq(int, s.state, REMOTE_DEAD));
		remote_close(&s);
		close(other);
	}
}
