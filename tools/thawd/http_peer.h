/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_peer.h - for http.c: connections, in the order in which their time is over. All are given
 * the same time, so whoever gets new time goes to the end.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "engine/clock.h"

struct http_peer {
	TAILQ_ENTRY(http_peer) link;
	nsec_t deadline;
	int fd;	       /* of the connection; libmicrohttpd closes it */
	bool is_timed; /* it is in the list */
	bool is_idle;  /* no request has begun since the last one, if any, ended */
};

TAILQ_HEAD(http_peers, http_peer);

/* The clock of @p starts, again. */
void http_peer_start(struct http_peers *list, struct http_peer *p, nsec_t patience);
void http_peer_stop(struct http_peers *list, struct http_peer *p);

/*
 * Cut those whose time is over; libmicrohttpd sees their end and closes. Returns how many.
 */
unsigned http_peers_expire(struct http_peers *list, nsec_t now);

/* Cut those that are idle and have sent nothing. */
void http_peers_cut_idle(struct http_peers *list);
