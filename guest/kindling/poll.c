/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/poll.h"

#include <linux/errno.h>
#include <linux/poll.h>
#include <stddef.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/clock.h"
#include "guest/kindling/file.h"
#include "guest/kindling/pipe.h"
#include "guest/kindling/user.h"
#include "guest/kindling/wait.h"

#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/* Reading the event stream or the terminal may wait, but only the host knows. */
static uint32_t events_of(const struct file *f)
{
	if (f->kind == KIND_PIPE_IN || f->kind == KIND_PIPE_OUT || f->kind == KIND_COUNTER)
		return pipe_events(f);
	if (f->kind == KIND_EVENT || f->kind == KIND_INPUT)
		return POLLIN;
	if (f->kind == KIND_OUTPUT || f->kind == KIND_REPLY)
		return POLLOUT;
	return POLLIN | POLLOUT;
}

/* Fill the answers. Returns how many descriptors have one. */
static int64_t poll_look(struct pollfd *fds, uint64_t n)
{
	int64_t ready = 0;

	for (struct pollfd *p = fds; p < fds + n; p++) {
		const struct file *f = file_get((uint32_t)p->fd);
		uint32_t events = f ? events_of(f) : POLLNVAL;

		p->revents = 0;
		if (p->fd < 0)
			continue;
		events &= (uint16_t)p->events | (uint32_t)(POLLERR | POLLHUP | POLLNVAL);
		p->revents = (int16_t)events;
		ready += events != 0;
	}
	return ready;
}

/* Returns how many are ready; 0: the caller sleeps. */
static int64_t poll_start(const struct regs *r)
{
	uint64_t n = (uint32_t)r->rsi;

	if (n > FILE_MAX)
		return -EINVAL;
	if (!user_can_write(r->rdi, n * sizeof(struct pollfd)))
		return -EFAULT;
	return poll_look((struct pollfd *)r->rdi, n);
}

int64_t poll_poll(const struct regs *r)
{
	int32_t ms = (int32_t)r->rdx;
	int64_t ready = poll_start(r);

	if (ready != 0)
		return ready;
	if (ms < 0)
		wait_forever(r, "poll");
	wait_until(clock_mono_ns() + (uint32_t)ms * NS_PER_MS);
	return 0;
}

/* ppoll(fds, n, timeout, mask): no signal comes during a wait, so masks do not matter. */
int64_t poll_ppoll(const struct regs *r)
{
	int64_t ready = poll_start(r);

	return ready != 0 ? ready : wait_timeout(r, r->rdx, "poll");
}

/* ---- select ---- */

/* Three sets, of which only as many words as FILE_MAX takes can have a bit. */
struct sets {
	uint64_t wanted[3], ready[3];
};

_Static_assert(FILE_MAX == 64, "one word holds a set");

/* Fill @s. Returns how many bits are set, or -errno. */
static int64_t select_look(uint64_t n, struct sets *s)
{
	static const uint32_t events[3] = { POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, 0 };
	int64_t count = 0;

	for (uint64_t fd = 0; fd < n; fd++) {
		const struct file *f = file_get(fd);
		uint64_t bit = 1ull << fd;

		for (unsigned int i = 0; i < 3; i++) {
			if (!(s->wanted[i] & bit))
				continue;
			if (!f)
				return -EBADF;
			if (events_of(f) & events[i]) {
				s->ready[i] |= bit;
				count++;
			}
		}
	}
	return count;
}

static int64_t select_start(const struct regs *r, struct sets *s)
{
	const uint64_t addrs[3] = { r->rsi, r->rdx, r->r10 };
	uint64_t n = (uint32_t)r->rdi < FILE_MAX ? (uint32_t)r->rdi : FILE_MAX;
	int64_t ready;

	if ((int32_t)r->rdi < 0)
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	for (unsigned int i = 0; i < 3; i++)
		if (addrs[i] && n && user_get(&s->wanted[i], addrs[i], sizeof(uint64_t)))
			return -EFAULT;
	ready = select_look(n, s);
	for (unsigned int i = 0; ready >= 0 && i < 3; i++)
		if (addrs[i] && n && user_put(addrs[i], &s->ready[i], sizeof(uint64_t)))
			return -EFAULT;
	return ready;
}

/* select(n, in, out, except, timeval) */
int64_t poll_select(const struct regs *r)
{
	struct sets s;
	int64_t tv[2], ready = select_start(r, &s);

	if (ready != 0)
		return ready;
	if (!r->r8)
		wait_forever(r, "select");
	if (user_get(tv, r->r8, sizeof(tv)))
		return -EFAULT;
	if (tv[0] < 0 || tv[1] < 0)
		return -EINVAL;
	if (tv[0] > INT32_MAX)
		tv[0] = INT32_MAX;
	wait_until(clock_mono_ns() + (uint64_t)tv[0] * (1000 * NS_PER_MS) +
		   (uint64_t)tv[1] % 1000000 * NS_PER_US);
	return 0;
}

int64_t poll_pselect(const struct regs *r)
{
	struct sets s;
	int64_t ready = select_start(r, &s);

	return ready != 0 ? ready : wait_timeout(r, r->r8, "select");
}
