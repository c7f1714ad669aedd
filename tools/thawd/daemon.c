/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#define LOG "thawd"
#include "engine/err.h"
#include "engine/fds.h"
#include "engine/log.h"
#include "engine/loop.h"
#include "engine/thread.h"
#include "snapshot/account.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/admin.h"
#include "tools/thawd/catalogue.h"
#include "tools/thawd/health.h"
#include "tools/thawd/jobs.h"
#include "tools/thawd/lambda.h"
#include "tools/thawd/listen.h"
#include "tools/thawd/manager.h"
#include "tools/thawd/pressure.h"
#include "tools/thawd/queue.h"
#include "tools/thawd/sigv4.h"
#include "tools/thawd/store.h"

/* Users that systemd and its containers leave alone (systemd, docs/UIDS-GIDS.md). Twice as many as
 * there may be slots. */
#define CELLS_FIRST 1879048192u
#define CELLS	    131072u
/* Ours, all of them. */
#define FUNCTIONS   10000u
#define CONNECTIONS 4096u
#define BODIES	    (512ull << 20)
#define PATIENCE    (60 * NSEC_PER_SEC)
#define LINGER	    (100 * NSEC_PER_MSEC)
#define TURN	    (100 * NSEC_PER_MSEC)
#define GLANCE	    (1 * NSEC_PER_MSEC)
#define START_TIME  (60 * NSEC_PER_SEC) /* for a shell and a machine in it, or a rewind */

#define TURN_ROUNDS 4 /* before other descriptors are looked at */

enum { TABLE_HEALTH, TABLE_ADMIN, TABLE_LAMBDA, TABLES };

struct daemon {
	const struct daemon_config *config;
	char *log_dir;
	struct thaw_zygote *zygote;
	struct loop loop;
	struct loop_watch signals, zygote_end;
	struct pressure pressure;
	struct store *store;
	struct queue *queue;
	struct jobs *jobs;
	struct manager *manager;
	struct health health;
	struct admin admin;
	struct lambda lambda;
	struct http_routes tables[TABLES];
	struct http *http;
	struct doors inherited;
	int doors[DOORS_MAX];
	struct listen_tls tls;
	struct http_tls pem;
	struct sigv4_keys *keys;
	struct sigv4 sigv4;
	struct http_guard guard;
	nsec_t stop_by; /* 0: nobody said stop */
	bool goes_on_anew;
};

void daemon_config_default(struct daemon_config *c)
{
	*c = (struct daemon_config){
		.slots = 1000,
		/* One more than can run: there is always one to go on with. */
		.running = thread_cpus() + 1,
		.ahead = 2,
		.drain_ms = 30000,
		.cells = { .first_id = CELLS_FIRST, .count = CELLS }
	};
}

/* ---- what others ask for ---- */

static json_t *get_function(const char *name, const char *qualifier, void *data)
{
	const struct daemon *d = data;

	return catalogue_get(d->store, name, qualifier);
}

static json_t *list_functions(const struct lambda_page *page, void *data)
{
	const struct daemon *d = data;

	return catalogue_list(d->store, page);
}

static void invoke(struct call *call, void *data)
{
	const struct daemon *d = data;

	manager_invoke(call, d->manager);
}

static void cancel(struct call *call, void *data)
{
	const struct daemon *d = data;

	manager_cancel(call, d->manager);
}

static const struct lambda_ops lambda_ops = {
	.calls = { .invoke = invoke, .cancel = cancel },
	.get_function = get_function,
	.list_functions = list_functions,
};

static const char *not_ready(void *data)
{
	const struct daemon *d = data;

	return d->stop_by ? "it stops" : NULL;
}

static char *metrics(size_t *len, void *data)
{
	const struct daemon *d = data;

	return manager_metrics(d->manager, len);
}

/* ---- opening ---- */

/* A client that comes now is refused, and not left to wait for somebody who never looks. */
static void close_doors(struct daemon *d)
{
	for (uint32_t i = 0; i < DOORS_MAX; i++) {
		fd_cleanup(&d->doors[i]);
		d->doors[i] = -1;
	}
}

static int on_signal(struct loop_watch *w, uint32_t events)
{
	struct daemon *d = container_of(w, struct daemon, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || d->stop_by)
		return 0;
	d->goes_on_anew = info.ssi_signo == SIGUSR2;
	log_info("%s: %u requests are under way", d->goes_on_anew ? "begin anew" : "stop",
		 http_stats(d->http)->unfinished);
	d->stop_by = clock_monotonic() + d->config->drain_ms * NSEC_PER_MSEC;
	http_drain(d->http);
	manager_stop(d->manager);
	if (!d->goes_on_anew)
		close_doors(d);
	return 0;
}

static int watch_signals(struct daemon *d, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (d->config->program)
		sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	d->signals = (struct loop_watch){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
					  .callback = on_signal };
	if (d->signals.fd < 0)
		return err_sys(err, "signalfd");
	return loop_add(&d->loop, &d->signals, EPOLLIN, err);
}

/* Without it there is no machine to be had: whoever started us does it again. */
static int on_zygote_end(struct loop_watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	return -EPIPE;
}

static int watch_zygote(struct daemon *d, struct err *err)
{
	d->zygote_end = (struct loop_watch){ .fd = pidfd_open(thaw_zygote_pid(d->zygote), 0),
					     .callback = on_zygote_end };
	if (d->zygote_end.fd < 0)
		return err_sys(err, "pidfd_open of the zygote");
	return loop_add(&d->loop, &d->zygote_end, EPOLLIN, err);
}

static int open_dirs(struct daemon *d, struct err *err)
{
	int ret = store_open(&d->store, d->config->dir, err);

	if (ret < 0)
		return ret;
	if (asprintf(&d->log_dir, "%s/logs", d->config->dir) < 0) {
		d->log_dir = NULL;
		return err_set(err, ENOMEM, "no memory for a path");
	}
	if (mkdir(d->log_dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "%s", d->log_dir);
	return 0;
}

static int open_queue(struct daemon *d, struct err *err)
{
	auto_free char *path = NULL, *letters = NULL;
	struct queue_config config;

	if (asprintf(&path, "%s/queue.db", d->config->dir) < 0)
		path = NULL;
	if (asprintf(&letters, "%s/dead-letters.jsonl", d->config->dir) < 0)
		letters = NULL;
	if (!path || !letters)
		return err_set(err, ENOMEM, "no memory for a path");
	queue_config_default(&config);
	config.path = path;
	config.dead_letters = letters;
	return queue_open(&d->queue, &config, err);
}

static int open_manager(struct daemon *d, struct err *err)
{
	struct manager_config config = { .loop = &d->loop,
					 .store = d->store,
					 .queue = d->queue,
					 .jobs = d->jobs,
					 .zygote = d->zygote,
					 .limits = { .slots = d->config->slots,
						     .functions = FUNCTIONS,
						     .running = d->config->running,
						     .ahead = d->config->ahead,
						     .linger = LINGER,
						     .turn = TURN,
						     .glance = GLANCE,
						     .patience = START_TIME },
					 .log_dir = d->log_dir };
	struct account account;
	int ret = account_init(&account, d->config->memory, err);

	if (ret < 0)
		return ret;
	config.limits.memory = account.limit;
	return manager_open(&d->manager, &config, err);
}

static int open_http(struct daemon *d, struct err *err)
{
	const struct http_config config = { .tables = d->tables,
					    .ntables = TABLES,
					    .limits = { .connections = CONNECTIONS,
							.bodies = BODIES,
							.patience = PATIENCE },
					    .refuse = lambda_refuse };

	d->health = (struct health){ .not_ready = not_ready, .metrics = metrics, .data = d };
	d->admin = (struct admin){
		.store = d->store, .manager = d->manager, .jobs = d->jobs, .log_dir = d->log_dir
	};
	d->lambda = (struct lambda){ .ops = &lambda_ops, .data = d };
	d->tables[TABLE_HEALTH] = health_routes(&d->health);
	d->tables[TABLE_ADMIN] = admin_routes(&d->admin);
	d->tables[TABLE_LAMBDA] = lambda_routes(&d->lambda);
	return http_create(&d->http, &d->loop, &config, err);
}

/* ---- who may come in ---- */

static int read_secrets(struct daemon *d, struct err *err)
{
	const struct daemon_config *c = d->config;
	int ret = 0;

	if (c->tls[0])
		ret = listen_tls_read(&d->tls, c->tls, err);
	if (ret == 0 && c->tls[0])
		d->pem = listen_tls_pem(&d->tls);
	if (ret == 0 && c->keys)
		ret = sigv4_keys_read(&d->keys, c->keys, err);
	d->sigv4 = (struct sigv4){ .keys = d->keys,
				   .service = "lambda",
				   .is_tls = c->tls[0] != NULL };
	d->guard = sigv4_guard(&d->sigv4);
	return ret;
}

static int open_door(struct daemon *d, uint32_t i, struct err *err)
{
	const struct daemon_config *c = d->config;
	bool knows_clients = c->keys || c->tls[0];
	struct http_door door = { 0 };
	struct listen_address address;
	int ret = listen_parse(&address, c->listen[i], err);

	if (ret < 0)
		return ret;
	d->doors[i] = doors_inherit(&d->inherited, c->listen[i]);
	if (d->doors[i] < 0)
		d->doors[i] = listen_open(&address, knows_clients, err);
	if (d->doors[i] < 0)
		return d->doors[i];
	door.fd = d->doors[i];
	if (!address.path) { /* the file system says who may connect there */
		door.tls = c->tls[0] ? &d->pem : NULL;
		door.guard = c->keys ? &d->guard : NULL;
	}
	return http_open(d->http, &door, err);
}

static int open_doors(struct daemon *d, struct err *err)
{
	int ret = read_secrets(d, err);

	for (uint32_t i = 0; i < d->config->nlisten && ret == 0; i++)
		ret = open_door(d, i, err);
	doors_close(&d->inherited);
	return ret;
}

/* ---- all of it ---- */

static int daemon_open(struct daemon *d, struct err *err)
{
	int ret;

	/* First: what is opened from here on, no shell has. */
	fds_raise_limit();
	ret = thaw_zygote_open(&d->zygote, 0, d->config->cells.count ? &d->config->cells : NULL,
			       cmd_thaw_err(err));
	if (ret == 0)
		ret = loop_init(&d->loop, err);
	if (ret == 0)
		ret = watch_signals(d, err);
	if (ret == 0)
		ret = watch_zygote(d, err);
	if (ret == 0)
		ret = open_dirs(d, err);
	if (ret == 0)
		ret = jobs_open(&d->jobs, &d->loop, err);
	if (ret == 0)
		ret = open_queue(d, err);
	if (ret == 0)
		ret = open_manager(d, err);
	if (ret == 0)
		ret = manager_preload(d->manager, err);
	if (ret == 0)
		ret = pressure_open(&d->pressure, &d->loop, err);
	if (ret == 0)
		ret = open_http(d, err);
	return ret < 0 ? ret : open_doors(d, err);
}

static void daemon_close(struct daemon *d)
{
	/* Requests first, then who answers them: jobs tell the manager. */
	http_destroy(d->http);
	jobs_close(d->jobs);
	manager_close(d->manager);
	pressure_close(&d->pressure);
	queue_close(d->queue);
	store_close(d->store);
	fd_cleanup(&d->signals.fd);
	fd_cleanup(&d->zygote_end.fd);
	loop_fini(&d->loop);
	listen_tls_free(&d->tls);
	sigv4_keys_free(d->keys);
	thaw_zygote_close(d->zygote);
	free(d->log_dir);
}

/* ---- the loop ---- */

static bool goes_on(const struct daemon *d)
{
	if (d->stop_by == 0)
		return true;
	return clock_monotonic() < d->stop_by &&
	       (!http_is_drained(d->http) || !manager_is_idle(d->manager));
}

static nsec_t next_deadline(const struct daemon *d)
{
	nsec_t at = clock_nearest(http_deadline(d->http), manager_deadline(d->manager));

	return clock_nearest(clock_nearest(at, pressure_deadline(&d->pressure)), d->stop_by);
}

/* What came is answered first, then machines go on, then libmicrohttpd gets its connections ready for
 * what comes next, in which it may find that that is there. */
static void take_turn(struct daemon *d)
{
	enum policy_pressure pressure;

	if (pressure_changed(&d->pressure, &pressure))
		manager_pressure(d->manager, pressure);
	for (int i = 0; i < TURN_ROUNDS; i++) {
		http_tick(d->http);
		manager_step(d->manager);
		if (!http_is_pending(d->http))
			break;
	}
	log_flush(STDERR_FILENO);
}

static int daemon_loop(struct daemon *d, struct err *err)
{
	while (goes_on(d)) {
		int ret = loop_wait(&d->loop, next_deadline(d));

		if (ret == -EPIPE)
			return err_set(err, EPIPE,
				       "the zygote has died, and all machines with it");
		if (ret < 0 && ret != -EINTR)
			return err_set(err, -ret, "the loop: %s", strerrordesc_np(-ret));
		take_turn(d);
	}
	return 0;
}

/* Returns only if it cannot. */
static int begin_anew(const struct daemon *d, struct err *err)
{
	const struct daemon_config *c = d->config;
	sigset_t none;
	int ret = doors_bequeath(d->doors, c->listen, c->nlisten, err);

	if (ret < 0)
		return ret;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(c->program, c->argv);
	return err_sys(err, "execute %s", c->program);
}

int daemon_run(const struct daemon_config *c, struct err *err)
{
	struct daemon d = {
		.config = c, .loop.epoll_fd = -1, .signals.fd = -1, .zygote_end.fd = -1
	};
	int ret;

	memset(d.doors, -1, sizeof(d.doors));
	doors_take(&d.inherited);
	ret = daemon_open(&d, err);
	if (ret == 0) {
		printf("thawd: ready\n");
		fflush(stdout);
		ret = daemon_loop(&d, err);
	}
	daemon_close(&d);
	if (ret == 0 && d.goes_on_anew)
		ret = begin_anew(&d, err);
	close_doors(&d);
	return ret;
}
