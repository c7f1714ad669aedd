/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/http_peer.h"

#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void http_peer_stop(struct http_peers *list, struct http_peer *p)
{
	if (p->is_timed)
		TAILQ_REMOVE(list, p, link);
	p->is_timed = false;
}

void http_peer_start(struct http_peers *list, struct http_peer *p, nsec_t patience)
{
	http_peer_stop(list, p);
	p->deadline = clock_monotonic() + patience;
	p->is_timed = true;
	TAILQ_INSERT_TAIL(list, p, link);
}

static void cut(struct http_peers *list, struct http_peer *p)
{
	http_peer_stop(list, p);
	shutdown(p->fd, SHUT_RDWR);
}

unsigned http_peers_expire(struct http_peers *list, nsec_t now)
{
	struct http_peer *p;
	unsigned n = 0;

	while ((p = TAILQ_FIRST(list)) && p->deadline <= now) {
		cut(list, p);
		n++;
	}
	return n;
}

/* A request that nobody has looked at yet: its client may take it for accepted. */
static bool has_unread(const struct http_peer *p)
{
	int n;

	return ioctl(p->fd, FIONREAD, &n) == 0 && n > 0;
}

void http_peers_cut_idle(struct http_peers *list)
{
	struct http_peer *next;

	for (struct http_peer *p = TAILQ_FIRST(list); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->is_idle && !has_unread(p))
			cut(list, p);
	}
}
