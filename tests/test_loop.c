/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/loop.h"

/* A pipe that is watched at one end. */
struct pipe_watch {
	struct loop_watch w;
	struct loop *loop;
	int write_fd;
	int calls, answer;
	uint32_t events;
	bool remove_itself;
};

static int on_event(struct loop_watch *w, uint32_t events)
{
	struct pipe_watch *p = container_of(w, struct pipe_watch, w);
	char byte;

	p->calls++;
	p->events = events;
	if (p->remove_itself) {
		loop_remove(p->loop, w);
		close(w->fd);
	} else if (events & EPOLLIN) {
		cr_assert(eq(i64, read(w->fd, &byte, 1), 1));
	}
	return p->answer;
}

static void watch(struct pipe_watch *p, struct loop *loop)
{
	struct err err = { 0 };
	int fds[2];

	cr_assert(eq(int, pipe(fds), 0));
	*p = (struct pipe_watch){ .w = { .fd = fds[0], .callback = on_event },
				  .loop = loop,
				  .write_fd = fds[1] };
	cr_assert(eq(int, loop_add(loop, &p->w, EPOLLIN, &err), 0), "%s", err.text);
}

static void poke(const struct pipe_watch *p)
{
	cr_assert(eq(i64, write(p->write_fd, "x", 1), 1));
}

static struct loop loop;

static void setup(void)
{
	struct err err = { 0 };

	cr_assert(eq(int, loop_init(&loop, &err), 0), "%s", err.text);
}

static void teardown(void)
{
	loop_fini(&loop);
	loop_fini(&loop); /* the second time there is nothing to close */
}

TestSuite(loop, .init = setup, .fini = teardown, .timeout = 20);

static nsec_t soon(void)
{
	return clock_monotonic() + 10 * NSEC_PER_MSEC;
}

Test(loop, only_the_watches_that_have_something_are_called)
{
	struct pipe_watch a, b, c;

	watch(&a, &loop);
	watch(&b, &loop);
	watch(&c, &loop);
	cr_expect(eq(u32, loop.nwatches, 3));
	poke(&a);
	poke(&c);
	cr_expect(eq(int, loop_wait(&loop, 0), 2));
	cr_expect(eq(int, a.calls, 1));
	cr_expect(eq(int, b.calls, 0));
	cr_expect(eq(int, c.calls, 1));
	cr_expect(eq(u32, a.events, EPOLLIN));
	close(b.write_fd);
	cr_expect(eq(int, loop_wait(&loop, 0), 1));
	cr_expect(eq(u32, b.events, EPOLLHUP));
}

Test(loop, a_callback_may_remove_its_own_watch)
{
	struct pipe_watch a, b;

	watch(&a, &loop);
	watch(&b, &loop);
	a.remove_itself = true;
	poke(&a);
	poke(&b);
	cr_expect(eq(int, loop_wait(&loop, 0), 2));
	cr_expect(eq(u32, loop.nwatches, 1));
	poke(&b);
	cr_expect(eq(int, loop_wait(&loop, 0), 1));
	cr_expect(eq(int, a.calls, 1));
	cr_expect(eq(int, b.calls, 2));
}

Test(loop, a_removed_watch_is_not_called_any_more)
{
	struct pipe_watch a;

	watch(&a, &loop);
	poke(&a);
	loop_remove(&loop, &a.w);
	loop_remove(&loop, &a.w); /* and is not counted twice */
	cr_expect(eq(u32, loop.nwatches, 0));
	cr_expect(eq(int, loop_wait(&loop, soon()), 0));
	cr_expect(eq(int, a.calls, 0));
}

Test(loop, the_deadline_ends_a_wait_and_never_early)
{
	struct pipe_watch a;
	nsec_t deadline;

	watch(&a, &loop);
	for (int i = 1; i <= 5; i++) {
		deadline = clock_monotonic() + (nsec_t)i * 1700 * NSEC_PER_USEC;
		cr_expect(eq(int, loop_wait(&loop, deadline), 0));
		cr_expect(ge(u64, clock_monotonic(), deadline));
	}
	cr_expect(eq(int, loop_wait(&loop, 1), 0)); /* long past */
	poke(&a);
	cr_expect(eq(int, loop_wait(&loop, 1), 1)); /* what is there is still seen */
}

static void on_alarm(int sig)
{
	(void)sig;
}

Test(loop, a_signal_ends_a_wait_with_eintr)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	/* Again and again: the first one may come before the wait. */
	struct itimerval t = { .it_value.tv_usec = 5000, .it_interval.tv_usec = 5000 };
	struct pipe_watch a;

	watch(&a, &loop);
	cr_assert(eq(int, sigaction(SIGALRM, &sa, NULL), 0));
	cr_assert(eq(int, setitimer(ITIMER_REAL, &t, NULL), 0));
	cr_expect(eq(int, loop_wait(&loop, 0), -EINTR));
	memset(&t, 0, sizeof(t));
	setitimer(ITIMER_REAL, &t, NULL);
	cr_expect(eq(int, a.calls, 0));
}

Test(loop, what_a_callback_refuses_comes_back)
{
	struct pipe_watch a;

	watch(&a, &loop);
	a.answer = -EPROTO;
	poke(&a);
	cr_expect(eq(int, loop_wait(&loop, 0), -EPROTO));
}

Test(loop, a_descriptor_that_cannot_be_watched_is_named)
{
	struct loop_watch w = { .fd = 777, .callback = on_event };
	struct err err = { 0 };

	cr_expect(eq(int, loop_add(&loop, &w, EPOLLIN, &err), -EBADF));
	cr_expect(eq(str, err.text, "watch descriptor 777: Bad file descriptor"));
	cr_expect(eq(u32, loop.nwatches, 0));
}
