/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frontend ADDRESS [keys FILE] [tls CERTIFICATE KEY TRUST] - thawd's frontend before functions that
 * are made up, for real clients. Prints its port, serves until SIGTERM, and prints its counters.
 *
 *	echo	replies what came		fail	ends with an error
 *	busy	is always throttled		log	prints what came
 *	never	does not reply
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "engine/loop.h"
#include "tools/thawd/health.h"
#include "tools/thawd/lambda.h"
#include "tools/thawd/listen.h"
#include "tools/thawd/sigv4.h"

static volatile sig_atomic_t is_over;

static void on_signal(int sig)
{
	(void)sig;
	is_over = 1;
}

/* ---- functions ---- */

static const char *const names[] = { "busy", "echo", "fail", "log", "never" };

static bool is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void on_invoke(struct call *call, void *data)
{
	struct outcome o = { .body = call->payload, .len = call->len };

	(void)data;
	if (!is_known(call->function))
		o = (struct outcome){ .error = AWS_RESOURCE_NOT_FOUND,
				      .message = "Function not found" };
	else if (strcmp(call->function, "busy") == 0)
		o = (struct outcome){ .error = AWS_TOO_MANY_REQUESTS,
				      .message = "Rate Exceeded.",
				      .reason = AWS_REASON_CONCURRENT };
	else if (strcmp(call->function, "fail") == 0)
		o = (struct outcome){ .function_error = "Unhandled",
				      .error_type = "Runtime.ExitError",
				      .message = "exit status 1" };
	else if (strcmp(call->function, "log") == 0)
		o = (struct outcome){ .log = (const char *)call->payload,
				      .log_len = call->len };
	if (strcmp(call->function, "never") != 0)
		call_done(call, &o);
}

static void on_cancel(struct call *call, void *data)
{
	(void)call;
	(void)data;
}

static json_t *configuration(const char *name, const char *qualifier)
{
	return json_pack("{s:s, s:s, s:s}", "FunctionName", name, "Version",
			 *qualifier ? qualifier : "$LATEST", "State", "Active");
}

static json_t *get_function(const char *name, const char *qualifier, void *data)
{
	(void)data;
	return is_known(name) ? json_pack("{s:o, s:{}}", "Configuration",
					  configuration(name, qualifier), "Code")
			      : NULL;
}

/* The marker is the name of the function that the page before ended with. */
static json_t *list_functions(const struct lambda_page *page, void *data)
{
	json_t *functions = json_array();
	const char *last = page->marker;
	bool is_more = false;

	(void)data;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], page->marker) <= 0)
			continue;
		is_more = json_array_size(functions) == page->max;
		if (is_more)
			break;
		json_array_append_new(functions, configuration(names[i], ""));
		last = names[i];
	}
	return json_pack("{s:o, s:s*}", "Functions", functions, "NextMarker",
			 is_more ? last : NULL);
}

static const struct lambda_ops ops = { .calls = { on_invoke, on_cancel },
				       .get_function = get_function,
				       .list_functions = list_functions };

static const char *not_ready(void *data)
{
	(void)data;
	return NULL;
}

static char *metrics(size_t *len, void *data)
{
	const struct http_stats *s = http_stats(*(struct http **)data);
	char *text = NULL;
	int n = asprintf(&text, "requests %llu\n", (unsigned long long)s->requests);

	*len = n > 0 ? (size_t)n : 0;
	return n > 0 ? text : NULL;
}

/* ---- doors ---- */

struct doors {
	struct sigv4 sigv4;
	struct sigv4_keys *keys;
	struct http_guard guard;
	struct listen_tls files;
	struct http_tls tls;
	bool has_tls;
};

static int read_arguments(struct doors *d, char **at, struct err *err)
{
	int ret = 0;

	for (; ret == 0 && *at; at++) {
		if (strcmp(*at, "keys") == 0 && at[1]) {
			ret = sigv4_keys_read(&d->keys, *++at, err);
		} else if (strcmp(*at, "tls") == 0 && at[1] && at[2] && at[3]) {
			ret = listen_tls_read(&d->files, (const char *const *)at + 1, err);
			d->has_tls = true;
			at += 3;
		} else {
			ret = err_set(err, EINVAL, "unknown argument %s", *at);
		}
	}
	d->sigv4 = (struct sigv4){ .keys = d->keys, .service = "lambda", .is_tls = d->has_tls };
	d->guard = sigv4_guard(&d->sigv4);
	d->tls = listen_tls_pem(&d->files);
	return ret;
}

static int open_door(struct http *h, const struct doors *d, const char *text, struct err *err)
{
	struct listen_address a;
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);
	auto_close int fd = -1;
	int ret = listen_parse(&a, text, err);

	if (ret == 0)
		ret = fd = listen_open(&a, d->keys || d->has_tls, err);
	if (ret < 0)
		return ret;
	ret = http_open(h,
			&(struct http_door){ .fd = fd,
					     .tls = d->has_tls ? &d->tls : NULL,
					     .guard = d->keys ? &d->guard : NULL },
			err);
	getsockname(fd, (struct sockaddr *)&in, &len);
	printf("port %d\n", in.sin_family == AF_INET ? ntohs(in.sin_port) : 0);
	fflush(stdout);
	return ret;
}

static int serve(char **argv, struct err *err)
{
	struct loop loop;
	struct http *h = NULL;
	struct doors d = { 0 };
	struct lambda lambda = { .ops = &ops };
	struct health health = { not_ready, metrics, &h };
	struct http_routes tables[] = { lambda_routes(&lambda), health_routes(&health) };
	struct http_config config = {
		.tables = tables,
		.ntables = ARRAY_SIZE(tables),
		.limits = { 1000, 0, 64u << 20, 10 * NSEC_PER_SEC },
		.refuse = lambda_refuse,
	};
	int ret = read_arguments(&d, argv + 2, err);

	if (ret == 0)
		ret = loop_init(&loop, err);
	if (ret == 0)
		ret = http_create(&h, &loop, &config, err);
	if (ret == 0)
		ret = open_door(h, &d, argv[1], err);
	while (ret >= 0 && !is_over) {
		nsec_t soon = clock_deadline(100), mine = http_deadline(h);

		/* Not longer: a signal may come just before it waits. */
		ret = loop_wait(&loop, mine && mine < soon ? mine : soon);
		ret = ret == -EINTR ? 0 : ret;
		http_tick(h);
	}
	if (h)
		printf("hung_up %llu\nwaiting %u\n", (unsigned long long)http_stats(h)->hung_up,
		       http_stats(h)->waiting);
	http_destroy(h);
	loop_fini(&loop);
	sigv4_keys_free(d.keys);
	listen_tls_free(&d.files);
	return ret;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct err err;
	int ret;

	if (argc < 2)
		return 2;
	sigaction(SIGTERM, &sa, NULL);
	ret = serve(argv, &err);
	if (ret < 0)
		fprintf(stderr, "frontend: %s\n", err.text);
	return ret < 0;
}
