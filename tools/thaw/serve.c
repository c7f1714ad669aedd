/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/loop.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/guest_io.h"
#include "tools/thaw/serve_request.h"

#define MAX_CLIENTS 64u /* ours: bounds the memory for requests */

struct server {
	struct serve_machine machine;
	struct loop loop;
	struct loop_watch listener, signals;
	unsigned int nclients;
	bool asked_to_stop;
};

struct client {
	struct loop_watch watch;
	struct server *server;
	struct wire_header header;
	size_t got; /* bytes of the header, then of what follows it */
	uint8_t *data;
};

/* ---- clients ---- */

static void client_free(struct client *c)
{
	loop_remove(&c->server->loop, &c->watch);
	close(c->watch.fd);
	c->server->nclients--;
	free(c->data);
	free(c);
}

/* All of a request is there. Returns false when the client is to be freed. */
static bool obey(struct client *c)
{
	struct serve_request r = { c->watch.fd, c->header, c->data };
	bool stays = serve_request(&c->server->machine, &r);

	free(c->data);
	c->data = NULL;
	c->got = 0;
	c->header = (struct wire_header){ 0 };
	return stays;
}

/* The header is there: room for what follows. Returns as obey. */
static bool begin_data(struct client *c)
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
		serve_refuse(c->watch.fd, ret, &err);
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
static bool client_read(struct client *c)
{
	const size_t head = sizeof(c->header);
	ssize_t n = receive(c);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	c->got += (size_t)n;
	if (c->got == head && !begin_data(c))
		return false;
	return c->got < head + c->header.len || obey(c);
}

static int on_client(struct loop_watch *w, uint32_t events)
{
	struct client *c = container_of(w, struct client, watch);

	(void)events;
	if (!client_read(c))
		client_free(c);
	return 0;
}

/* @fd: the client's, from here on, if there is no error. */
static int client_add(struct server *s, int fd, struct err *err)
{
	struct client *c;
	int ret;

	if (s->nclients == MAX_CLIENTS)
		return err_set(err, EBUSY, "%u clients are there already", MAX_CLIENTS);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(err, ENOMEM, "no memory for another client");
	c->server = s;
	c->watch = (struct loop_watch){ .fd = fd, .callback = on_client };
	ret = loop_add(&s->loop, &c->watch, EPOLLIN, err);
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
	int ret;

	(void)events;
	if (fd < 0)
		return 0;
	ret = client_add(s, fd, &err);
	if (ret < 0) {
		serve_refuse(fd, ret, &err);
		close(fd);
	}
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
	sigemptyset(&s->machine.ending);
	sigaddset(&s->machine.ending, SIGINT);
	sigaddset(&s->machine.ending, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &s->machine.ending, NULL);
	s->signals.fd = signalfd(-1, &s->machine.ending, SFD_CLOEXEC | SFD_NONBLOCK);
	ret = s->signals.fd < 0 ? err_sys(err, "signalfd") : loop_init(&s->loop, err);
	if (ret < 0)
		return ret;
	s->listener.fd = wire_listen(s->machine.plan->socket, err);
	ret = MIN(s->listener.fd, 0);
	if (ret == 0)
		ret = loop_add(&s->loop, &s->listener, EPOLLIN, err);
	if (ret == 0)
		ret = loop_add(&s->loop, &s->signals, EPOLLIN, err);
	return ret;
}

static int server_run(struct server *s, struct err *err)
{
	while (s->machine.ret == 0 && !s->asked_to_stop) {
		int ret = loop_wait(&s->loop, 0);

		if (ret < 0 && ret != -EINTR)
			return err_set(err, -ret, "wait for events: %s", strerrordesc_np(-ret));
	}
	return s->machine.ret;
}

/* Clients that are there lose their connections with the process. */
static void server_close(struct server *s)
{
	if (s->listener.fd >= 0) {
		unlink(s->machine.plan->socket);
		close(s->listener.fd);
	}
	serve_join(&s->machine);
	fd_cleanup(&s->signals.fd);
	loop_fini(&s->loop);
	thaw_clone_close(s->machine.clone);
	guest_log_end();
}

int serve(const struct serve_plan *plan, struct thaw_err *err)
{
	struct server s = { .machine = { .plan = plan, .err = err }, .loop.epoll_fd = -1 };
	int ret = server_open(&s, cmd_err(err));

	if (ret == 0)
		ret = thaw_clone_open(&s.machine.clone, plan->template, guest_log, NULL, err);
	if (ret == 0)
		ret = server_run(&s, cmd_err(err));
	server_close(&s);
	return ret;
}
