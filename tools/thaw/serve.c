/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG "serve"
#include "engine/log.h"
#include "engine/loop.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/guest_io.h"
#include "tools/thaw/wire.h"

#define MAX_CLIENTS 64u /* ours: bounds the memory for requests */
#define MAX_WRITERS 4u	/* ours: bounds the memory for copies of changed pages */

enum writer_state { WRITER_FREE, WRITER_BUSY, WRITER_DONE };

/* A thread that writes one snapshot and answers who asked for it. */
struct writer {
	atomic_int state;
	pthread_t thread;
	int fd; /* of the client */
	struct thaw_snapshot *snapshot;
	bool sync;
	char *dir;
};

struct server {
	const struct serve_plan *plan;
	struct thaw_clone *clone;
	struct loop loop;
	struct loop_watch listener, signals;
	unsigned int nclients;
	sigset_t ending; /* the signals that end us; blocked but while an event is handled */
	bool asked_to_stop;
	struct writer writers[MAX_WRITERS];
	int ret; /* negative: how the clone ended */
	struct thaw_err *err;
};

struct client {
	struct loop_watch watch;
	struct server *server;
	struct wire_header header;
	size_t got; /* bytes of the header, then of what follows it */
	uint8_t *data;
};

static int answer(int fd, int code, const void *data, size_t len)
{
	struct wire_header h = { .len = (uint32_t)len, .kind = (uint16_t)code };
	struct err err = { 0 };
	int ret = wire_send(fd, &h, data, &err);

	if (ret < 0)
		log_debug("a client got no reply: %s", err.text);
	return ret;
}

static int answer_error(int fd, int ret, const struct err *err)
{
	return answer(fd, exit_code(ret), err->text, strlen(err->text));
}

/* ---- snapshots ---- */

static void tell_snapshot(const struct writer *w)
{
	struct thaw_snapshot_stats s;
	char *text;
	json_t *doc;

	thaw_snapshot_stats(w->snapshot, &s);
	doc = json_pack("{ss sf sI sI sI}", "layer", w->dir, "pause_us",
			(double)s.pause_ns / 1e3, "pages_copied", (json_int_t)s.pages_copied,
			"pages_stored", (json_int_t)s.pages_stored, "size_bytes",
			(json_int_t)s.size);
	text = doc ? json_dumps(doc, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
	json_decref(doc);
	answer(w->fd, EXIT_OK, text ? text : "{}", text ? strlen(text) : 2);
	free(text);
}

static void writer_clear(struct writer *w)
{
	thaw_snapshot_close(w->snapshot);
	w->snapshot = NULL;
	fd_cleanup(&w->fd);
	w->fd = -1;
	free(w->dir);
	w->dir = NULL;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct thaw_err err = { 0 };
	int ret = thaw_snapshot_write(w->snapshot, w->dir, w->sync, &err);

	if (ret < 0)
		answer_error(w->fd, ret, cmd_err(&err));
	else
		tell_snapshot(w);
	writer_clear(w);
	atomic_store(&w->state, WRITER_DONE);
	return NULL;
}

/* A writer that has nothing to do, or NULL. */
static struct writer *writer_find(struct server *s)
{
	for (unsigned int i = 0; i < MAX_WRITERS; i++) {
		struct writer *w = &s->writers[i];

		if (atomic_load(&w->state) == WRITER_DONE) {
			pthread_join(w->thread, NULL);
			atomic_store(&w->state, WRITER_FREE);
		}
		if (atomic_load(&w->state) == WRITER_FREE)
			return w;
	}
	return NULL;
}

static void writers_join(struct server *s)
{
	for (unsigned int i = 0; i < MAX_WRITERS; i++) {
		if (atomic_load(&s->writers[i].state) != WRITER_FREE)
			pthread_join(s->writers[i].thread, NULL);
	}
}

/* Signals are the loop's. */
static int writer_start(struct writer *w, struct err *err)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	atomic_store(&w->state, WRITER_BUSY);
	ret = pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret == 0)
		return 0;
	atomic_store(&w->state, WRITER_FREE);
	return err_set(err, ret, "no thread to write a snapshot");
}

/* The client gets its answer from the writer. */
static int snapshot_begin(struct client *c, struct thaw_err *err)
{
	struct writer *w = writer_find(c->server);
	struct err *e = cmd_err(err);
	int ret;

	if (!w)
		return err_set(e, EBUSY, "%u snapshots are being written already", MAX_WRITERS);
	if (c->header.len == 0 || c->data[0] != '/' || memchr(c->data, '\0', c->header.len))
		return err_set(e, EINVAL, "a snapshot's directory is an absolute path");
	w->dir = strndup((const char *)c->data, c->header.len);
	if (!w->dir)
		return err_set(e, ENOMEM, "no memory for a path");
	w->sync = !(c->header.flags & WIRE_NO_SYNC);
	w->fd = fcntl(c->watch.fd, F_DUPFD_CLOEXEC, 0);
	ret = w->fd < 0 ? err_sys(e, "duplicate the client's descriptor")
			: thaw_snapshot_begin(&w->snapshot, c->server->clone, err);
	if (ret == 0)
		ret = writer_start(w, e);
	if (ret < 0)
		writer_clear(w);
	return ret;
}

/* ---- clients ---- */

static void client_free(struct client *c)
{
	loop_remove(&c->server->loop, &c->watch);
	close(c->watch.fd);
	c->server->nclients--;
	free(c->data);
	free(c);
}

/* Returns 1: there may be another request of this client; 0: it is to be freed. */
static int obey_snapshot(struct client *c)
{
	struct thaw_err err = { 0 };
	int ret = snapshot_begin(c, &err);

	return ret < 0 ? answer_error(c->watch.fd, ret, cmd_err(&err)) == 0 : 0;
}

static int obey_event(struct client *c)
{
	struct server *s = c->server;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	int ret;

	/* A machine that never answers must not keep us from being ended. */
	pthread_sigmask(SIG_UNBLOCK, &s->ending, NULL);
	ret = thaw_clone_invoke(s->clone, c->data, c->header.len, s->plan->timeout_ms, &reply,
				&err);
	pthread_sigmask(SIG_BLOCK, &s->ending, NULL);
	if (ret == 0)
		return answer(c->watch.fd, EXIT_OK, reply.data, reply.len) == 0;
	answer_error(c->watch.fd, ret, cmd_err(&err));
	s->ret = ret;
	*s->err = err;
	return 0;
}

static int obey(struct client *c)
{
	struct err err = { 0 };
	int ret;

	switch (c->header.kind) {
	case WIRE_EVENT:
		ret = obey_event(c);
		break;
	case WIRE_SNAPSHOT:
		ret = obey_snapshot(c);
		break;
	default:
		ret = err_set(&err, EINVAL, "request is of kind %u, expected %u or %u",
			      c->header.kind, WIRE_EVENT, WIRE_SNAPSHOT);
		answer_error(c->watch.fd, ret, &err);
		ret = 0;
	}
	free(c->data);
	c->data = NULL;
	c->got = 0;
	c->header = (struct wire_header){ 0 };
	return ret;
}

/* The header is there: room for what follows. Returns as obey. */
static int begin_data(struct client *c)
{
	struct err err = { 0 };
	int ret = 0;

	if (c->header.len > THAW_EVENT_MAX) {
		ret = err_set(&err, EMSGSIZE, "request has %u bytes, largest allowed is %u",
			      c->header.len, THAW_EVENT_MAX);
	} else {
		c->data = malloc(c->header.len + 1);
		if (!c->data)
			ret = err_set(&err, ENOMEM, "no memory for a request of %u bytes",
				      c->header.len);
	}
	if (ret < 0)
		answer_error(c->watch.fd, ret, &err);
	return ret == 0;
}

static ssize_t receive(struct client *c)
{
	const size_t head = sizeof(c->header);
	bool at_header = c->got < head;
	uint8_t *at = at_header ? (uint8_t *)&c->header : c->data;
	size_t done = at_header ? c->got : c->got - head;

	return recv(c->watch.fd, at + done, (at_header ? head : c->header.len) - done, 0);
}

/* Take what there is of a request. Returns as obey. */
static int client_read(struct client *c)
{
	const size_t head = sizeof(c->header);
	ssize_t n = receive(c);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n <= 0)
		return 0;
	c->got += (size_t)n;
	if (c->got == head && !begin_data(c))
		return 0;
	return c->got >= head && c->got == head + c->header.len ? obey(c) : 1;
}

static int on_client(struct loop_watch *w, uint32_t events)
{
	struct client *c = container_of(w, struct client, watch);

	(void)events;
	if (client_read(c) == 0)
		client_free(c);
	return 0;
}

static int client_add(struct server *s, int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	struct err err;
	int ret;

	if (!c)
		return -ENOMEM;
	c->server = s;
	c->watch = (struct loop_watch){ .fd = fd, .callback = on_client };
	ret = loop_add(&s->loop, &c->watch, EPOLLIN, &err);
	if (ret < 0)
		free(c);
	else
		s->nclients++;
	return ret;
}

/* ---- the server ---- */

static int on_listener(struct loop_watch *w, uint32_t events)
{
	struct server *s = container_of(w, struct server, listener);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err = { 0 };

	(void)events;
	if (fd < 0)
		return 0;
	if (s->nclients < MAX_CLIENTS && client_add(s, fd) == 0)
		return 0;
	answer_error(fd, err_set(&err, EBUSY, "%u clients are there already", MAX_CLIENTS),
		     &err);
	close(fd);
	return 0;
}

static int on_signal(struct loop_watch *w, uint32_t events)
{
	(void)events;
	container_of(w, struct server, signals)->asked_to_stop = true;
	return 0;
}

static int server_open(struct server *s, struct err *err)
{
	int ret;

	s->listener = (struct loop_watch){ .fd = -1, .callback = on_listener };
	s->signals = (struct loop_watch){ .callback = on_signal };
	sigemptyset(&s->ending);
	sigaddset(&s->ending, SIGINT);
	sigaddset(&s->ending, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &s->ending, NULL);
	s->signals.fd = signalfd(-1, &s->ending, SFD_CLOEXEC | SFD_NONBLOCK);
	ret = s->signals.fd < 0 ? err_sys(err, "signalfd") : loop_init(&s->loop, err);
	if (ret < 0)
		return ret;
	s->listener.fd = wire_listen(s->plan->socket, err);
	ret = MIN(s->listener.fd, 0);
	if (ret == 0)
		ret = loop_add(&s->loop, &s->listener, EPOLLIN, err);
	if (ret == 0)
		ret = loop_add(&s->loop, &s->signals, EPOLLIN, err);
	return ret;
}

static int server_run(struct server *s, struct err *err)
{
	while (s->ret == 0 && !s->asked_to_stop) {
		int ret = loop_wait(&s->loop, 0);

		if (ret < 0 && ret != -EINTR)
			return err_set(err, -ret, "wait for events: %s", strerrordesc_np(-ret));
	}
	return s->ret;
}

/* Clients that are there lose their connections with the process. */
static void server_close(struct server *s)
{
	if (s->listener.fd >= 0) {
		unlink(s->plan->socket);
		close(s->listener.fd);
	}
	writers_join(s);
	fd_cleanup(&s->signals.fd);
	loop_fini(&s->loop);
	thaw_clone_close(s->clone);
	guest_log_end();
}

int serve(const struct serve_plan *plan, struct thaw_err *err)
{
	struct server s = { .plan = plan, .loop.epoll_fd = -1, .err = err };
	int ret = server_open(&s, cmd_err(err));

	if (ret == 0)
		ret = thaw_clone_open(&s.clone, plan->template, guest_log, NULL, err);
	if (ret == 0)
		ret = server_run(&s, cmd_err(err));
	server_close(&s);
	return ret;
}
