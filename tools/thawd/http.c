/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/http.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/err.h"
#include "tools/thawd/http_inside.h"

/* Ours: for a request that was sent before its client could know that we end. */
#define GRACE (100 * NSEC_PER_MSEC)

/* ---- what libmicrohttpd calls ---- */

static void *on_target(void *cls, const char *target, struct MHD_Connection *c)
{
	return http_request_create(cls, c, target);
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are libmicrohttpd's */
static enum MHD_Result on_step(void *cls, struct MHD_Connection *c, const char *url,
			       const char *method, const char *version, const char *upload,
			       size_t *len, void **request)
{
	(void)cls;
	(void)c;
	(void)url;
	(void)version;
	return *request ? http_request_step(*request, method, upload, len) : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **request,
			 enum MHD_RequestTerminationCode why)
{
	(void)cls;
	(void)c;
	(void)why;
	if (*request)
		http_request_destroy(*request);
	*request = NULL;
}

/* A client without a certificate that is vouched for gets no further than the handshake. */
static void demand_certificate(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *tls =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	if (!tls)
		return;
	gnutls_certificate_server_set_request(tls->tls_session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert(tls->tls_session, NULL, 0);
}

static void peer_begins(struct http *h, struct MHD_Connection *c, void **context)
{
	struct http_peer *p = calloc(1, sizeof(*p));

	*context = p; /* NULL: its requests are closed when they come */
	if (!p)
		return;
	p->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	p->is_idle = true;
	http_peer_start(&h->peers, p, h->config.limits.patience);
	h->stats.connections++;
	h->stats.open_connections++;
	demand_certificate(c);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *h = ((struct http_entry *)cls)->http;
	struct http_peer *p = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		peer_begins(h, c, context);
	} else if (p) {
		http_peer_stop(&h->peers, p);
		h->stats.open_connections--;
		free(p);
		*context = NULL;
	}
}

/* ---- what the loop calls ---- */

static void run(struct http_entry *e)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(e->daemon);
	/* It has no timeouts, so if it has one at all, it is 0: there is more to do. */
	e->is_pending = MHD_get_timeout(e->daemon, &timeout_ms) == MHD_YES;
}

static int on_door(struct loop_watch *w, uint32_t events)
{
	(void)events;
	run(container_of(w, struct http_entry, watch));
	return 0;
}

static int on_gone(struct loop_watch *w, uint32_t events)
{
	struct http *h = container_of(w, struct http, gone);
	struct epoll_event event;

	(void)events;
	while (epoll_wait(w->fd, &event, 1, 0) == 1) {
		h->stats.hung_up++;
		http_request_cancel(event.data.ptr);
	}
	return 0;
}

bool http_is_pending(const struct http *h)
{
	const struct http_entry *e;

	SLIST_FOREACH(e, &h->entries, link)
	if (e->is_pending)
		return true;
	return false;
}

nsec_t http_deadline(const struct http *h)
{
	const struct http_peer *peer = TAILQ_FIRST(&h->peers);
	const struct http_request *request = TAILQ_FIRST(&h->waiting);
	nsec_t at = h->cut_at;

	if (http_is_pending(h))
		return 1; /* long past */
	if (peer)
		at = clock_nearest(at, peer->deadline);
	return request ? clock_nearest(at, request->watched_from) : at;
}

/* Those that have sent something are left, and looked at now. */
static void cut_idle(struct http *h)
{
	struct http_entry *e;

	h->cut_at = 0;
	http_peers_cut_idle(&h->peers);
	SLIST_FOREACH(e, &h->entries, link)
	e->is_pending = true;
}

void http_tick(struct http *h)
{
	struct http_entry *e;
	nsec_t now = clock_monotonic();

	h->stats.timed_out += http_peers_expire(&h->peers, now);
	http_requests_watch(h, now);
	if (h->cut_at && now >= h->cut_at)
		cut_idle(h);
	SLIST_FOREACH(e, &h->entries, link)
	if (e->is_pending)
		run(e);
}

/* ---- making and ending ---- */

int http_create(struct http **out, struct loop *loop, const struct http_config *config,
		struct err *err)
{
	auto_close int fd = epoll_create1(EPOLL_CLOEXEC);
	auto_free struct http *h = fd < 0 ? NULL : calloc(1, sizeof(*h));
	int ret;

	if (!h)
		return err_sys(err, "epoll for a server");
	h->loop = loop;
	h->config = *config;
	h->gone = (struct loop_watch){ .fd = fd, .callback = on_gone };
	TAILQ_INIT(&h->peers);
	TAILQ_INIT(&h->waiting);
	TAILQ_INIT(&h->watched);
	ret = loop_add(loop, &h->gone, EPOLLIN, err);
	if (ret < 0)
		return ret;
	fd_take(&fd);
	*out = h;
	h = NULL;
	return 0;
}

static void close_entry(struct http_entry *e)
{
	loop_remove(e->http->loop, &e->watch);
	MHD_stop_daemon(e->daemon); /* resumes what http_request_cancel wants resumed */
	free(e);
}

void http_destroy(struct http *h)
{
	struct http_request *r;
	struct http_entry *e;

	if (!h)
		return;
	while ((r = TAILQ_FIRST(&h->waiting)) || (r = TAILQ_FIRST(&h->watched)))
		http_request_cancel(r);
	while ((e = SLIST_FIRST(&h->entries))) {
		SLIST_REMOVE_HEAD(&h->entries, link);
		close_entry(e);
	}
	loop_remove(h->loop, &h->gone);
	close(h->gone.fd);
	free(h);
}

/* Pairs of option and value; MHD_OPTION_END in place of an option is the end. */
static struct MHD_Daemon *start(struct http_entry *e, int fd, const struct http_tls *tls)
{
	const struct http_limits *l = &e->http->config.limits;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0);
	/* clang-format off */
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_HEADERS_MAX, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)l->connections, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)l->per_address, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, 0, NULL }, /* we have our own, see http_peer.h */
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, e },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, e },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, e },
		{ tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, tls ? (void *)(uintptr_t)tls->certificate : NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? (void *)(uintptr_t)tls->key : NULL },
		{ MHD_OPTION_HTTPS_MEM_TRUST, 0, tls ? (void *)(uintptr_t)tls->trust : NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	/* clang-format on */

	return MHD_start_daemon(flags, 0, NULL, NULL, on_step, e, MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

int http_open(struct http *h, const struct http_door *door, struct err *err)
{
	auto_close int fd = fcntl(door->fd, F_DUPFD_CLOEXEC, 0);
	auto_free struct http_entry *e = fd < 0 ? NULL : calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return err_sys(err, "open a door at descriptor %d", door->fd);
	e->http = h;
	if (door->guard)
		e->guard = *door->guard;
	e->daemon = start(e, fd_take(&fd), door->tls);
	if (!e->daemon) /* which has closed the descriptor, or not: nothing tells */
		return err_set(err, EINVAL, "libmicrohttpd does not start%s",
			       door->tls ? ": are certificate and key PEM, and a pair?" : "");
	e->watch = (struct loop_watch){
		.fd = MHD_get_daemon_info(e->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		.callback = on_door,
	};
	ret = loop_add(h->loop, &e->watch, EPOLLIN, err);
	if (ret < 0) {
		MHD_stop_daemon(e->daemon);
		return ret;
	}
	e->is_pending = true; /* the first run makes it listen */
	SLIST_INSERT_HEAD(&h->entries, e, link);
	e = NULL;
	return 0;
}

void http_drain(struct http *h)
{
	struct http_entry *e;
	int fd;

	if (h->is_draining)
		return;
	SLIST_FOREACH(e, &h->entries, link)
	{
		fd = MHD_quiesce_daemon(e->daemon);
		fd_cleanup(&fd);
		e->is_pending = true;
	}
	h->cut_at = clock_monotonic() + GRACE;
	h->is_draining = true;
}

bool http_is_drained(const struct http *h)
{
	return h->stats.unfinished == 0 && (h->stats.open_connections == 0 || !h->cut_at);
}

const struct http_stats *http_stats(const struct http *h)
{
	return &h->stats;
}
