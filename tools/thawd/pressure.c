/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/pressure.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/err.h"

#define PSI_MEMORY "/proc/pressure/memory"
/* Ours: microseconds of waiting in a window of so many that are worth telling. The kernel has windows of
 * half a second to ten, and lets only root have those that are no multiples of two seconds. */
#define SOME "some 200000 2000000"
#define FULL "full 200000 2000000"
/* The kernel tells once in a window, as long as it lasts. */
#define LASTS (3 * NSEC_PER_SEC)
#define AGAIN (100 * NSEC_PER_MSEC)

static int on_some(struct loop_watch *w, uint32_t events)
{
	struct pressure *p = container_of(w, struct pressure, some);

	if (events & EPOLLPRI)
		p->tight_until = clock_monotonic() + LASTS;
	return 0;
}

static int on_full(struct loop_watch *w, uint32_t events)
{
	struct pressure *p = container_of(w, struct pressure, full);

	if (events & EPOLLPRI)
		p->critical_until = clock_monotonic() + LASTS;
	return 0;
}

/* -1: not to be had. */
static int open_trigger(const char *what)
{
	int fd = open(PSI_MEMORY, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || write(fd, what, strlen(what) + 1) > 0)
		return fd;
	close(fd);
	return -1;
}

static int watch(struct pressure *p, struct loop_watch *w, const char *what,
		 loop_callback *callback, struct err *err)
{
	int ret;

	*w = (struct loop_watch){ .fd = open_trigger(what), .callback = callback };
	if (w->fd < 0)
		return 0;
	ret = loop_add(p->loop, w, EPOLLPRI, err);
	if (ret < 0) {
		close(w->fd);
		w->fd = -1;
	}
	return ret;
}

int pressure_open(struct pressure *p, struct loop *loop, struct err *err)
{
	int ret;

	*p = (struct pressure){ .loop = loop, .some.fd = -1, .full.fd = -1 };
	ret = watch(p, &p->some, SOME, on_some, err);
	return ret < 0 ? ret : watch(p, &p->full, FULL, on_full, err);
}

static void unwatch(struct pressure *p, struct loop_watch *w)
{
	if (w->fd < 0)
		return;
	loop_remove(p->loop, w);
	close(w->fd);
	w->fd = -1;
}

void pressure_close(struct pressure *p)
{
	if (!p->loop)
		return;
	unwatch(p, &p->some);
	unwatch(p, &p->full);
}

static enum policy_pressure pressure_at(const struct pressure *p, nsec_t now)
{
	if (now < p->critical_until)
		return POLICY_CRITICAL;
	return now < p->tight_until ? POLICY_TIGHT : POLICY_CALM;
}

bool pressure_changed(struct pressure *p, enum policy_pressure *pressure)
{
	nsec_t now = clock_monotonic();

	*pressure = pressure_at(p, now);
	if (*pressure == p->told && (p->told == POLICY_CALM || now < p->tell_at))
		return false;
	p->told = *pressure;
	p->tell_at = now + AGAIN;
	return true;
}

nsec_t pressure_deadline(const struct pressure *p)
{
	return p->told == POLICY_CALM ? 0 : p->tell_at;
}
