/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_top.c - `thaw top`: what a thawd does, once a second. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/thaw/client.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/guard.h"
#include "tools/thaw/look_table.h"
#include "tools/thaw/terminal.h"

#define EVERY_S		  1u
#define EVERY		  (EVERY_S * NSEC_PER_SEC)
#define ANSWER_TIMEOUT_MS 2000u /* ours */

enum { OPT_ONCE = CLIENT_OPTIONS_END, OPT_JSON };

static const struct option options[] = {
	CLIENT_OPTIONS,
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ 0 },
};

struct top {
	struct client_place place;
	bool once, json;
	struct client client;
	struct terminal terminal;
	struct look looks[2]; /* by turns */
	unsigned int now;     /* which of them is the later one */
	struct look_change *changes;
};

/* ---- looking ---- */

static int look(struct top *t, struct err *err)
{
	const struct client_ask ask = { .method = "GET",
					.path = "/metrics",
					.timeout_ms = ANSWER_TIMEOUT_MS };
	struct look *l = &t->looks[!t->now];
	struct blob text = { 0 };
	int ret = client_call(&t->client, &ask, &text, err);

	if (ret == 0)
		ret = blob_append(&text, "", 1, UINT64_MAX, err);
	l->at = clock_monotonic();
	if (ret == 0)
		ret = look_read(l, (const char *)text.data, err);
	blob_free(&text);
	if (ret == 0)
		t->now = !t->now;
	return ret;
}

/* And what is different from the look before. */
static int look_again(struct top *t, struct err *err)
{
	const struct look *now;
	int ret = look(t, err);

	if (ret < 0)
		return ret;
	now = &t->looks[t->now];
	free(t->changes);
	t->changes = calloc(now->n + 1, sizeof(*t->changes));
	if (!t->changes)
		return err_set(err, ENOMEM, "no memory for %zu functions", now->n);
	look_compare(t->changes, &t->looks[!t->now], now);
	return 0;
}

/* ---- showing ---- */

static void print_table(FILE *to, const struct top *t)
{
	look_table(to, t->client.at, &t->looks[t->now], t->changes, terminal_columns());
}

static json_t *microseconds(double seconds)
{
	return isnan(seconds) ? json_null() : json_real(seconds * 1e6);
}

static json_t *function_json(const struct look_change *c)
{
	const struct look_function *f = c->function;
	json_t *machines = json_object();
	json_t *doc = json_pack("{s:s, s:s, s:f, s:f, s:I, s:o}", "function", f->name,
				"version", f->version, "invocations_per_s",
				c->invocations_per_s, "errors_per_s", c->errors_per_s, "queued",
				(json_int_t)f->queued, "machines", machines);

	for (size_t i = 0; i < LOOK_MACHINES; i++)
		json_object_set_new(machines, look_machines[i],
				    json_integer((json_int_t)f->machines[i]));
	for (size_t i = 0; i < LOOK_TIMES; i++)
		json_object_set_new(doc, look_times[i],
				    json_pack("{s:o, s:o}", "p50_us",
					      microseconds(c->times[i].p50_s), "p99_us",
					      microseconds(c->times[i].p99_s)));
	return doc;
}

static int print_json(const struct top *t)
{
	const struct look *now = &t->looks[t->now], *before = &t->looks[!t->now];
	json_t *functions = json_array();

	for (size_t i = 0; i < now->n; i++)
		json_array_append_new(functions, function_json(&t->changes[i]));
	return cmd_print_json(
		stdout, json_pack("{s:s, s:f, s:I, s:o}", "at", t->client.at, "interval_s",
				  (double)(now->at - before->at) / 1e9, "memory_bytes",
				  (json_int_t)now->memory_bytes, "functions", functions));
}

/* ---- once ---- */

static int run_once(struct top *t)
{
	struct err err;
	int ret = look(t, &err);

	if (ret == 0) {
		sleep(EVERY_S);
		ret = look_again(t, &err);
	}
	if (ret < 0)
		return cmd_fail(ret, &err);
	if (t->json)
		return print_json(t);
	print_table(stdout, t);
	return EXIT_OK;
}

/* ---- on a terminal ---- */

static int draw(struct top *t, struct err *err)
{
	auto_free char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return err_sys(err, "a table");
	/* thawd may come back. */
	if (look_again(t, err) < 0)
		fprintf(to, "%s\n", err->text);
	else
		print_table(to, t);
	if (fclose(to) != 0)
		return err_sys(err, "a table");
	terminal_show(text);
	return 0;
}

/* In a process of its own, which may be killed. */
static int watch(void *arg)
{
	struct top *t = arg;
	nsec_t next = clock_monotonic() + EVERY;
	struct err err;
	int ret = look(t, &err);

	if (ret == 0)
		ret = terminal_take(&t->terminal, &err);
	if (ret == 0)
		terminal_show("q: quit\n");
	while (ret == 0 && terminal_wait(&t->terminal, next)) {
		ret = draw(t, &err);
		next = MAX(next + EVERY, clock_monotonic());
	}
	terminal_leave(&t->terminal);
	return ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
}

static int run_watch(struct top *t)
{
	struct err err;
	int code, ret = terminal_init(&t->terminal, &err);

	if (ret < 0)
		return cmd_fail(ret, &err);
	code = guard_run(watch, t);
	/* Who was killed has not put it in order. */
	t->terminal.is_taken = code > 128;
	terminal_leave(&t->terminal);
	return code;
}

static int take_options(struct top *t, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (client_take(&t->place, opt, optarg))
			continue;
		if (opt == OPT_ONCE)
			t->once = true;
		else if (opt == OPT_JSON)
			t->json = true;
		else
			return cmd_usage(&cmd_top, "unknown option");
	}
	return optind < argc ? cmd_usage(&cmd_top, "unexpected '%s'", argv[optind]) : 0;
}

static int run_top(int argc, char **argv)
{
	struct top t = { 0 };
	struct err err;
	int ret, code = take_options(&t, argc, argv);

	if (code != 0)
		return code;
	ret = client_open(&t.client, &t.place, &err);
	if (ret < 0)
		code = cmd_fail(ret, &err);
	else
		code = t.once || t.json || !terminal_is_there() ? run_once(&t) : run_watch(&t);
	client_close(&t.client);
	look_fini(&t.looks[0]);
	look_fini(&t.looks[1]);
	free(t.changes);
	return code;
}

const struct cmd cmd_top = {
	.name = "top",
	.run = run_top,
	.usage = "[OPTION]...",
	.summary = "watch what thawd does",
	.options = CLIENT_USAGE
	"  --once             one table, of one second; so it is where there is no\n"
	"                     terminal. Else once a second, until q\n"
	"  --json             one JSON object on stdout, once\n",
};
