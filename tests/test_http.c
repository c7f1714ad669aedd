/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/helpers_http.h"
#include "tools/thawd/health.h"

#define MIB	       (1u << 20)
#define SHORT_PATIENCE (100 * NSEC_PER_MSEC)

/* Handlers: one that tells what came, and one that answers when the test says so. */

static struct http_request *held;
static unsigned cancelled;

static void answer_text(struct http_request *r, unsigned status, const char *text)
{
	http_answer(r, &(struct http_answer){
			       .status = status, .body = text, .len = strlen(text) });
}

static void on_echo(struct http_request *r, void *data)
{
	size_t len;
	const uint8_t *body = http_body(r, &len);

	(void)data;
	http_answer(r, &(struct http_answer){ .status = 200, .body = body, .len = len });
}

static void on_cancel(void *data)
{
	cr_expect(eq(ptr, data, &cancelled));
	cancelled++;
	held = NULL;
}

static void on_hold(struct http_request *r, void *data)
{
	(void)data;
	held = r;
	http_wait(r, on_cancel, &cancelled);
}

static void on_refusal(struct http_request *r, enum http_refusal why)
{
	static const unsigned status[] = { 404, 413, 429 };

	answer_text(r, status[why], "refused");
}

static const struct http_route routes[] = {
	{ "POST", "/echo/*", 2 * MIB, on_echo },
	{ "GET", "/hold", 0, on_hold },
	{ "POST", "/hold", MIB, on_hold },
};

static const struct http_routes tables[] = { { routes, ARRAY_SIZE(routes), NULL } };

static const struct http_config normal = {
	.tables = tables,
	.ntables = 1,
	.limits = { .connections = 100, .bodies = 4 * MIB, .patience = 60 * NSEC_PER_SEC },
	.refuse = on_refusal,
};

static struct http_host host;

static void start(void)
{
	http_host_start(&host, &normal, NULL);
}

static void start_impatient(void)
{
	struct http_config c = normal;

	c.limits.patience = SHORT_PATIENCE;
	http_host_start(&host, &c, NULL);
}

static void stop(void)
{
	http_host_stop(&host);
}

static void expect_answer(char *answer, int status, const char *payload)
{
	cr_expect(eq(int, http_status(answer), status), "%s", answer);
	cr_expect(eq(str, http_payload(answer), payload));
	free(answer);
}

static void ask(const char *request, int status, const char *payload)
{
	expect_answer(http_host_ask(&host, request), status, payload);
}

static void wait_for_held(void)
{
	for (int i = 0; i < 1000 && !held; i++)
		http_host_turn(&host, 10);
	cr_assert(ne(ptr, held, NULL));
}

#define HEAD "Host: x\r\n"

Test(http, answers_what_its_routes_say, .init = start, .fini = stop)
{
	ask("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nhi", 200, "hi");
	ask("POST /echo/a?b=/c HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n", 200, "");
	ask("POST /echo/a HTTP/1.1\r\n" HEAD
	    "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
	    200, "abc");
}

Test(http, refuses_what_no_route_fits, .init = start, .fini = stop)
{
	static const char *const targets[] = { "GET /",		 "GET /echo/a",
					       "POST /echo/",	 "POST /echo",
					       "POST /echo/a/b", "POST /echo/a/",
					       "DELETE /hold",	 "GET /1/2/3/4/5/6/7/8/9/10",
					       "GET /%2e",	 "GET /?a=b" };
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		snprintf(text, sizeof(text), "%s HTTP/1.1\r\n" HEAD "\r\n", targets[i]);
		ask(text, 404, "refused");
	}
	cr_expect(eq(u64, http_stats(host.http)->refused, ARRAY_SIZE(targets)));
}

Test(http, a_request_has_an_id_of_its_own, .init = start, .fini = stop)
{
	char *a = http_host_ask(&host, "GET / HTTP/1.1\r\n" HEAD "\r\n");
	char *b = http_host_ask(&host, "GET / HTTP/1.1\r\n" HEAD "\r\n");
	char *id = strcasestr(a, "x-amzn-RequestId: ");

	cr_assert(ne(ptr, id, NULL));
	id[18 + 36] = '\0';
	cr_expect(eq(int, id[18 + 14], '4'));
	cr_expect(eq(ptr, strstr(b, id + 18), NULL));
	free(a);
	free(b);
}

Test(http, one_connection_serves_many_also_pipelined, .init = start, .fini = stop)
{
	static const char two[] = "POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 1\r\n\r\n1"
				  "POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 1\r\n\r\n2";
	int fd = http_host_connect(&host);

	for (int i = 0; i < 20; i++) {
		cr_assert(http_host_send(&host, fd, two, strlen(two)));
		expect_answer(http_host_receive(&host, fd), 200, "1");
		expect_answer(http_host_receive(&host, fd), 200, "2");
	}
	cr_expect(eq(u64, http_stats(host.http)->connections, 1));
	cr_expect(eq(u64, http_stats(host.http)->requests, 40));
	close(fd);
}

Test(http, an_answer_may_come_later, .init = start, .fini = stop)
{
	static const char first[] = "POST /hold HTTP/1.1\r\n" HEAD "Content-Length: 1\r\n\r\n1";
	static const char second[] =
		"POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 1\r\n\r\n2";
	int fd = http_host_connect(&host), other = http_host_connect(&host);

	cr_assert(http_host_send(&host, fd, first, strlen(first)));
	cr_assert(http_host_send(&host, fd, second, strlen(second)));
	wait_for_held();
	cr_assert(http_host_send(&host, other, second, strlen(second)));
	expect_answer(http_host_receive(&host, other), 200, "2");
	cr_expect(eq(u32, http_stats(host.http)->waiting, 1));
	answer_text(held, 200, "late");
	expect_answer(http_host_receive(&host, fd), 200, "late");
	expect_answer(http_host_receive(&host, fd), 200, "2");
	cr_expect(eq(u32, http_stats(host.http)->waiting, 0));
	cr_expect(eq(u32, cancelled, 0));
	close(fd);
	close(other);
}

Test(http, a_client_that_hangs_up_is_told, .init = start, .fini = stop)
{
	static const char request[] = "GET /hold HTTP/1.1\r\n" HEAD "\r\n";
	int fd = http_host_connect(&host);

	cr_assert(http_host_send(&host, fd, request, strlen(request)));
	wait_for_held();
	close(fd);
	for (int i = 0; i < 1000 && http_stats(host.http)->open_connections; i++)
		http_host_turn(&host, 10);
	cr_expect(eq(u32, cancelled, 1));
	cr_expect(eq(u64, http_stats(host.http)->hung_up, 1));
	cr_expect(eq(u32, http_stats(host.http)->waiting, 0));
	cr_expect(eq(u32, http_stats(host.http)->open_connections, 0));
}

/* The one that is answered in the same turn as another goes must not be mixed up with it. */
Test(http, many_hang_up_at_once, .init = start, .fini = stop)
{
	static const char request[] = "GET /hold HTTP/1.1\r\n" HEAD "\r\n";
	int fds[50];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		held = NULL;
		fds[i] = http_host_connect(&host);
		cr_assert(http_host_send(&host, fds[i], request, strlen(request)));
		wait_for_held();
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	answer_text(held, 200, "too late");
	for (int i = 0; i < 1000 && http_stats(host.http)->open_connections; i++)
		http_host_turn(&host, 10);
	cr_expect(eq(u32, cancelled, ARRAY_SIZE(fds) - 1));
	cr_expect(eq(u32, http_stats(host.http)->open_connections, 0));
}

Test(http, ends_while_requests_wait, .init = start)
{
	static const char request[] = "GET /hold HTTP/1.1\r\n" HEAD "\r\n";
	int fd = http_host_connect(&host);

	cr_assert(http_host_send(&host, fd, request, strlen(request)));
	wait_for_held();
	http_host_stop(&host);
	cr_expect(eq(u32, cancelled, 1));
	close(fd);
}

/* ---- bodies ---- */

static char *post(size_t len, bool has_length)
{
	static char chunk[1000];
	int fd = http_host_connect(&host);
	char text[200], *answer;
	bool is_open = true;

	memset(chunk, 'x', sizeof(chunk));
	if (has_length)
		snprintf(text, sizeof(text),
			 "POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: %zu\r\n\r\n", len);
	else
		snprintf(text, sizeof(text),
			 "POST /echo/a HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n");
	http_host_send(&host, fd, text, strlen(text));
	for (size_t at = 0; at < len && is_open; at += sizeof(chunk)) {
		size_t n = MIN(len - at, sizeof(chunk));

		if (!has_length) {
			snprintf(text, sizeof(text), "%zx\r\n", n);
			http_host_send(&host, fd, text, strlen(text));
		}
		is_open = http_host_send(&host, fd, chunk, n);
		if (!has_length)
			http_host_send(&host, fd, "\r\n", 2);
	}
	if (!has_length)
		http_host_send(&host, fd, "0\r\n\r\n", 5);
	answer = http_host_receive(&host, fd);
	close(fd);
	return answer;
}

Test(http, a_body_may_have_so_many_bytes_and_no_more, .init = start, .fini = stop,
     .timeout = 60)
{
	for (int has_length = 0; has_length <= 1; has_length++) {
		char *answer = post(2 * MIB, has_length);

		cr_expect(eq(int, http_status(answer), 200));
		cr_expect(eq(sz, strlen(http_payload(answer)), 2 * MIB));
		free(answer);
		answer = post(2 * MIB + 1, has_length);
		cr_expect(eq(int, http_status(answer), 413));
		free(answer);
	}
	cr_expect(eq(sz, http_stats(host.http)->body_bytes, 0));
}

/* It need not even come: the announcement is enough. */
Test(http, a_huge_body_is_refused_before_it_comes, .init = start, .fini = stop)
{
	ask("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 99999999999\r\n\r\n", 413,
	    "refused");
	ask("POST /unknown HTTP/1.1\r\n" HEAD "Content-Length: 99999999999\r\n\r\n", 404,
	    "refused");
}

Test(http, an_endless_body_is_cut_off, .init = start, .fini = stop, .timeout = 60)
{
	expect_answer(post(17 * MIB, false), 0, "");
	cr_expect(eq(sz, http_stats(host.http)->body_bytes, 0));
}

Test(http, all_bodies_together_have_a_limit, .init = start, .fini = stop, .timeout = 60)
{
	static const char begin[] =
		"POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 2097152\r\n\r\n";
	static char half[MIB + 1];
	int fds[2];

	for (int i = 0; i < 2; i++) { /* that takes two MiB each */
		fds[i] = http_host_connect(&host);
		cr_assert(http_host_send(&host, fds[i], begin, strlen(begin)));
		cr_assert(http_host_send(&host, fds[i], half, sizeof(half)));
		for (int j = 0; j < 100; j++)
			http_host_turn(&host, 1);
	}
	cr_expect(eq(sz, http_stats(host.http)->body_bytes, 4 * MIB));
	ask("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nhi", 429, "refused");
	close(fds[0]);
	for (int i = 0; i < 1000 && http_stats(host.http)->open_connections > 1; i++)
		http_host_turn(&host, 10);
	ask("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nhi", 200, "hi");
	close(fds[1]);
}

/* ---- hostile clients ---- */

Test(http, garbage_is_refused_or_cut, .init = start, .fini = stop)
{
	static const char *const garbage[] = {
		"\r\n\r\n\r\nGET\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", /* no Host */
		"POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: -1\r\n\r\n",
		"POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 1x\r\n\r\nx",
		"POST /echo/a HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		char *answer = http_host_ask(&host, garbage[i]);
		int status = http_status(answer);

		cr_expect(status == 0 || (status >= 400 && status < 600), "%zu: %s", i, answer);
		free(answer);
	}
	ask("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nhi", 200, "hi");
}

Test(http, headers_without_end_are_refused, .init = start, .fini = stop)
{
	int fd = http_host_connect(&host);
	bool is_open = http_host_send(&host, fd, "GET / HTTP/1.1\r\n", 16);
	char *answer, line[100];
	int n = 0;

	for (; is_open && n < 10000; n++) {
		snprintf(line, sizeof(line), "X-%d: %060d\r\n", n, n);
		is_open = http_host_send(&host, fd, line, strlen(line));
		http_host_turn(&host, 1);
	}
	answer = http_host_receive(&host, fd);
	cr_expect(lt(int, n, 10000));
	cr_expect(http_status(answer) == 0 || http_status(answer) == 431, "%s", answer);
	free(answer);
	close(fd);
}

/* Whoever takes too long is cut, also when bytes drip all the time. */
static void drip(const char *text)
{
	nsec_t begin = clock_monotonic();
	int fd = http_host_connect(&host);
	bool is_open = http_host_send(&host, fd, text, strlen(text));

	while (is_open && clock_monotonic() - begin < 10 * NSEC_PER_SEC) {
		for (nsec_t until = clock_deadline(20); clock_monotonic() < until;)
			http_host_turn(&host, 5);
		is_open = http_host_send(&host, fd, "x", 1);
	}
	cr_expect(eq(int, is_open, false), "%s", text);
	cr_expect(ge(u64, clock_monotonic() - begin, SHORT_PATIENCE));
	close(fd);
}

Test(http, slow_clients_are_cut, .init = start_impatient, .fini = stop, .timeout = 60)
{
	drip("");
	drip("GET /");
	drip("GET / HTTP/1.1\r\nX: ");
	drip("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 100000\r\n\r\n");
	drip("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 1\r\n\r\n1");
	cr_expect(eq(u64, http_stats(host.http)->timed_out, 5));
	cr_expect(eq(u32, http_stats(host.http)->open_connections, 0));
}

Test(http, an_answer_that_nobody_reads_is_given_up, .init = start_impatient, .fini = stop,
     .timeout = 60)
{
	static const char head[] =
		"POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 2097152\r\n\r\n";
	static char body[2 * MIB];
	int fd = http_host_connect(&host), small = 4096;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 8; i++) {
		if (!http_host_send(&host, fd, head, strlen(head)) ||
		    !http_host_send(&host, fd, body, sizeof(body)))
			break;
	}
	for (int i = 0; i < 1000 && http_stats(host.http)->open_connections; i++)
		http_host_turn(&host, 10);
	cr_expect(eq(u32, http_stats(host.http)->open_connections, 0));
	close(fd);
}

/* It is ours to be slow then. */
Test(http, who_waits_for_us_is_not_cut, .init = start_impatient, .fini = stop)
{
	static const char request[] = "GET /hold HTTP/1.1\r\n" HEAD "\r\n";
	int fd = http_host_connect(&host);

	cr_assert(http_host_send(&host, fd, request, strlen(request)));
	wait_for_held();
	for (nsec_t until = clock_deadline(300); clock_monotonic() < until;)
		http_host_turn(&host, 10);
	answer_text(held, 200, "at last");
	expect_answer(http_host_receive(&host, fd), 200, "at last");
	close(fd);
}

Test(http, connections_have_a_limit)
{
	struct http_config c = normal;
	int fds[4];

	c.limits.per_address = 3;
	http_host_start(&host, &c, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = http_host_connect(&host);
	for (int i = 0; i < 20; i++)
		http_host_turn(&host, 1);
	cr_expect(eq(u32, http_stats(host.http)->open_connections, 3));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	http_host_stop(&host);
}

/* ---- the end ---- */

Test(http, draining_finishes_what_is_under_way, .init = start, .fini = stop)
{
	static const char request[] = "GET /hold HTTP/1.1\r\n" HEAD "\r\n";
	int fd = http_host_connect(&host), idle = http_host_connect(&host), late;
	char *answer;

	cr_assert(http_host_send(&host, fd, request, strlen(request)));
	wait_for_held();
	http_drain(host.http);
	late = http_host_connect(&host);
	expect_answer(http_host_receive(&host, idle), 0, "");
	cr_expect(eq(u64, http_stats(host.http)->connections, 2));
	answer_text(held, 200, "still");
	answer = http_host_receive(&host, fd);
	cr_expect(http_has(answer, "Connection: close"));
	expect_answer(answer, 200, "still");
	for (int i = 0; i < 1000 && http_stats(host.http)->open_connections; i++)
		http_host_turn(&host, 10);
	cr_expect(eq(u32, http_stats(host.http)->open_connections, 0));
	close(fd);
	close(idle);
	close(late);
}

static bool admit(struct http_request *r, const struct digest *body, void *data)
{
	struct digest want;
	size_t len;
	const uint8_t *bytes = http_body(r, &len);

	cr_expect(eq(ptr, data, &host));
	cr_assert(eq(int, digest_of(&want, bytes, len, NULL), 0));
	cr_expect(digest_equal(&want, body));
	if (http_header(r, "X-Pass"))
		return true;
	answer_text(r, 403, "who are you");
	return false;
}

Test(http, a_guard_is_asked_first)
{
	http_host_start(&host, &normal, &(struct http_guard){ admit, &host });
	ask("POST /echo/a HTTP/1.1\r\n" HEAD "X-Pass: 1\r\nContent-Length: 2\r\n\r\nhi", 200,
	    "hi");
	ask("POST /echo/a HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nhi", 403, "who are you");
	ask("GET /hold HTTP/1.1\r\n" HEAD "\r\n", 403, "who are you");
	ask("GET /unknown HTTP/1.1\r\n" HEAD "\r\n", 403, "who are you");
	ask("GET /unknown HTTP/1.1\r\n" HEAD "X-Pass: 1\r\n\r\n", 404, "refused");
	http_host_stop(&host);
}

/* ---- health.h ---- */

static const char *not_ready(void *data)
{
	return data ? "no slot has started yet" : NULL;
}

static char *metrics(size_t *len, void *data)
{
	(void)data;
	*len = 6;
	return strdup("a_b 1\n");
}

Test(http, operators_see_how_it_is)
{
	struct health h = { not_ready, metrics, NULL };
	struct http_routes t = health_routes(&h);
	struct http_config c = normal;

	c.tables = &t;
	http_host_start(&host, &c, NULL);
	ask("GET /healthz HTTP/1.1\r\n" HEAD "\r\n", 200, "ok\n");
	ask("GET /readyz HTTP/1.1\r\n" HEAD "\r\n", 200, "ok\n");
	h.data = &h;
	ask("GET /readyz HTTP/1.1\r\n" HEAD "\r\n", 503, "no slot has started yet");
	ask("GET /metrics HTTP/1.1\r\n" HEAD "\r\n", 200, "a_b 1\n");
	ask("POST /thaw/constant HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\nhi", 200, "{}");
	http_host_stop(&host);
}
