/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/thawd/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "engine/err.h"
#include "engine/loop.h"

#define SHOWN 3u /* wrong replies that are shown; ours */

struct lane {
	struct loop_watch watch;
	struct load *load;
	struct client client;
	struct blob event;
	bool is_busy;
	bool wants_out; /* its request is not all sent */
	nsec_t from;	/* its request was due */
};

struct load {
	const struct load_config *config;
	struct tally *tally;
	struct loop loop;
	struct loop_watch timer; /* fixed rate: the next request is due */
	struct lane *lanes;
	uint32_t nbusy, nlanes; /* lanes that have a connection */
	uint64_t seed;
	nsec_t began, ends; /* ends 0: by number */
};

/* ---- which requests there are, and when ---- */

static nsec_t due(const struct load *l, uint64_t i)
{
	return l->config->rate ? l->began + i * NSEC_PER_SEC / l->config->rate : 0;
}

static bool is_over(const struct load *l)
{
	uint64_t most = l->config->requests;

	return (most && l->tally->sent >= most) || (l->ends && clock_monotonic() >= l->ends);
}

static bool is_due(const struct load *l)
{
	return !is_over(l) && clock_monotonic() >= due(l, l->tally->sent);
}

static int set_timer(struct load *l)
{
	nsec_t at = due(l, l->tally->sent);
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(at / NSEC_PER_SEC),
						 .tv_nsec = (long)(at % NSEC_PER_SEC) } };

	if (!l->config->rate)
		return 0;
	return timerfd_settime(l->timer.fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
}

/* A JSON string, so that a function in Lua or the like takes it, too. */
static int make_event(struct lane *n, uint64_t i)
{
	static const char filling[] =
		"thawthawthawthawthawthawthawthawthawthawthawthawthawthaw";
	const struct load_config *c = n->load->config;
	char text[256];
	int len = snprintf(text, sizeof(text), "\"%.150s %016llx.%llu ", c->verb,
			   (unsigned long long)n->load->seed, (unsigned long long)i);
	int ret;

	n->event.size = 0;
	ret = blob_append(&n->event, text, (size_t)len, UINT32_MAX, NULL);
	while (ret == 0 && n->event.size + 1 < c->size)
		ret = blob_append(&n->event, filling,
				  MIN(sizeof(filling) - 1, c->size - 1 - n->event.size),
				  UINT32_MAX, NULL);
	return ret < 0 ? ret : blob_append(&n->event, "\"", 1, UINT32_MAX, NULL);
}

/* ---- a lane ---- */

static int on_lane(struct loop_watch *w, uint32_t events);

static int lane_watch(struct lane *n, bool wants_out)
{
	loop_remove(&n->load->loop, &n->watch);
	n->wants_out = wants_out;
	return loop_add(&n->load->loop, &n->watch, wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN,
			NULL);
}

static int lane_open(struct lane *n, struct err *err)
{
	int ret = client_connect(&n->client, n->load->config->address, err);

	if (ret < 0)
		return ret;
	n->load->nlanes++;
	n->wants_out = false;
	n->watch = (struct loop_watch){ .fd = n->client.fd, .callback = on_lane };
	return loop_add(&n->load->loop, &n->watch, EPOLLIN, err);
}

static void lane_close(struct lane *n)
{
	if (n->client.fd < 0)
		return;
	loop_remove(&n->load->loop, &n->watch);
	client_close(&n->client);
	n->load->nlanes--;
}

static void lane_end_request(struct lane *n)
{
	n->is_busy = false;
	n->load->nbusy--;
}

/* Its connection has ended, or is not to be trusted any more; the next one may not come. */
static void lane_lose(struct lane *n)
{
	if (n->is_busy) {
		n->load->tally->lost++;
		lane_end_request(n);
	}
	lane_close(n);
}

/* The next request, if one is due. */
static int lane_ask(struct lane *n)
{
	struct load *l = n->load;
	uint64_t i = l->tally->sent;
	int ret;

	if (!is_due(l))
		return 0;
	if (n->client.fd < 0 && lane_open(n, NULL) < 0)
		return 0; /* it takes no more */
	n->from = l->config->rate ? due(l, i) : clock_monotonic();
	ret = make_event(n, i);
	if (ret < 0)
		return ret;
	l->tally->sent++;
	n->is_busy = true;
	l->nbusy++;
	ret = client_post(&n->client, l->config->paths[i % l->config->npaths], n->event.data,
			  n->event.size);
	if (ret < 0 && ret != -EAGAIN)
		lane_lose(n);
	else if (ret == -EAGAIN)
		return lane_watch(n, true);
	return set_timer(l);
}

static void show(const struct lane *n, const struct client_reply *r)
{
	if (n->load->tally->wrong < SHOWN)
		fprintf(stderr, "load: wrong: status %u, '%.*s' for '%.*s'\n", r->status,
			(int)MIN(r->len, 200u), (const char *)r->body,
			(int)MIN(n->event.size, 200u), (const char *)n->event.data);
}

static void lane_take(struct lane *n, const struct client_reply *r)
{
	const char *expected = n->load->config->expected;
	struct tally *t = n->load->tally;
	char name[VERDICT_NAME_SIZE];

	switch (verdict_of(r, expected ? (const void *)expected : n->event.data,
			   expected ? strlen(expected) : n->event.size, name)) {
	case VERDICT_RIGHT:
		tally_right(t, clock_monotonic() - n->from);
		break;
	case VERDICT_ERROR:
		tally_error(t, name);
		break;
	case VERDICT_WRONG:
		show(n, r);
		t->wrong++;
		break;
	}
}

/* Between two requests a server may end a connection, but has nothing to say. */
static void hear_idle(struct lane *n)
{
	char byte;

	if (recv(n->client.fd, &byte, 1, 0) > 0)
		n->load->tally->stray++;
	lane_close(n);
}

static int hear_reply(struct lane *n)
{
	struct client_reply r;
	int ret = client_receive(&n->client, &r);

	if (ret == -EAGAIN || ret == -ENOMEM)
		return ret == -ENOMEM ? ret : 0;
	if (ret < 0) {
		lane_lose(n);
	} else {
		lane_take(n, &r);
		lane_end_request(n);
		if (r.is_last)
			lane_close(n);
	}
	return lane_ask(n);
}

static int on_lane(struct loop_watch *w, uint32_t events)
{
	struct lane *n = container_of(w, struct lane, watch);

	if (n->wants_out && (events & EPOLLOUT)) {
		int ret = client_flush(&n->client);

		if (ret == 0)
			ret = lane_watch(n, false);
		if (ret < 0 && ret != -EAGAIN) {
			lane_lose(n);
			return lane_ask(n);
		}
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return 0;
	if (n->is_busy)
		return hear_reply(n);
	hear_idle(n);
	return 0;
}

/* ---- the run ---- */

/* Whoever has nothing to do takes what is due. */
static int ask_all(struct load *l)
{
	int ret = 0;

	for (uint32_t i = 0; i < l->config->connections && ret == 0 && is_due(l); i++) {
		if (!l->lanes[i].is_busy)
			ret = lane_ask(&l->lanes[i]);
	}
	return ret;
}

static int on_timer(struct loop_watch *w, uint32_t events)
{
	uint64_t times;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) < 0)
		return errno == EAGAIN ? 0 : -errno;
	return ask_all(container_of(w, struct load, timer));
}

static void lose_late(struct load *l)
{
	nsec_t now = clock_monotonic();

	for (uint32_t i = 0; i < l->config->connections; i++) {
		if (l->lanes[i].is_busy && now > l->lanes[i].from + l->config->patience)
			lane_lose(&l->lanes[i]);
	}
}

static int open_lanes(struct load *l, struct err *err)
{
	int ret = 0;

	l->lanes = calloc(l->config->connections, sizeof(*l->lanes));
	if (!l->lanes)
		return err_set(err, ENOMEM, "no memory for connections");
	for (uint32_t i = 0; i < l->config->connections; i++) {
		l->lanes[i].load = l;
		l->lanes[i].client.fd = -1;
	}
	for (uint32_t i = 0; i < l->config->connections && ret == 0; i++)
		ret = lane_open(&l->lanes[i], err);
	return ret;
}

static int load_open(struct load *l, struct err *err)
{
	int ret = loop_init(&l->loop, err);

	if (ret < 0)
		return ret;
	if (getrandom(&l->seed, sizeof(l->seed), 0) < 0)
		return err_sys(err, "getrandom");
	l->timer = (struct loop_watch){ .fd = timerfd_create(CLOCK_MONOTONIC,
							     TFD_CLOEXEC | TFD_NONBLOCK),
					.callback = on_timer };
	if (l->timer.fd < 0)
		return err_sys(err, "timerfd_create");
	ret = loop_add(&l->loop, &l->timer, EPOLLIN, err);
	return ret < 0 ? ret : open_lanes(l, err);
}

static void load_close(struct load *l)
{
	for (uint32_t i = 0; l->lanes && i < l->config->connections; i++) {
		client_free(&l->lanes[i].client);
		blob_free(&l->lanes[i].event);
	}
	free(l->lanes);
	fd_cleanup(&l->timer.fd);
	loop_fini(&l->loop);
}

/* The loop looks up once in a while, for lanes that wait too long. */
static int load_loop(struct load *l)
{
	int ret = ask_all(l);

	while (ret >= 0 && (l->nbusy > 0 || (!is_over(l) && l->nlanes > 0))) {
		ret = loop_wait(&l->loop, clock_monotonic() + 100 * NSEC_PER_MSEC);
		lose_late(l);
		if (ret >= 0)
			ret = ask_all(l);
	}
	return ret < 0 ? ret : 0;
}

int load_run(const struct load_config *config, struct tally *t, nsec_t *took, struct err *err)
{
	struct load l = { .config = config, .tally = t, .loop.epoll_fd = -1, .timer.fd = -1 };
	int ret = load_open(&l, err);

	l.began = clock_monotonic();
	l.ends = config->time ? l.began + config->time : 0;
	if (ret == 0) {
		ret = load_loop(&l);
		if (ret < 0)
			err_set(err, -ret, "the run: %s", strerrordesc_np(-ret));
	}
	*took = clock_monotonic() - l.began;
	load_close(&l);
	return ret;
}
