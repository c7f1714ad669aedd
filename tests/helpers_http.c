/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_http.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "engine/err.h"
#include "tools/thaw/blob.h"
#include "tools/thawd/listen.h"

#define PATIENCE_MS 10000u

void http_host_start(struct http_host *h, const struct http_config *config,
		     const struct http_guard *guard)
{
	struct listen_address a;
	struct err err = { 0 };

	cr_assert(eq(int, loop_init(&h->loop, &err), 0), "%s", err.text);
	cr_assert(eq(int, listen_parse(&a, "127.0.0.1:0", &err), 0), "%s", err.text);
	h->fd = listen_open(&a, false, &err);
	cr_assert(ge(int, h->fd, 0), "%s", err.text);
	cr_assert(eq(int, http_create(&h->http, &h->loop, config, &err), 0), "%s", err.text);
	cr_assert(
		eq(int,
		   http_open(h->http, &(struct http_door){ .fd = h->fd, .guard = guard }, &err),
		   0),
		"%s", err.text);
}

void http_host_stop(struct http_host *h)
{
	http_destroy(h->http);
	loop_fini(&h->loop);
	close(h->fd);
}

int http_host_port(const struct http_host *h)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	cr_assert(eq(int, getsockname(h->fd, (struct sockaddr *)&a, &len), 0));
	return ntohs(a.sin_port);
}

int http_host_connect(const struct http_host *h)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)http_host_port(h)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert(ge(int, fd, 0));
	cr_assert(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS);
	return fd;
}

void http_host_turn(struct http_host *h, unsigned ms)
{
	nsec_t until = clock_deadline(ms), mine = http_deadline(h->http);

	cr_assert(ge(int, loop_wait(&h->loop, mine && mine < until ? mine : until), 0));
	http_tick(h->http);
}

bool http_host_send(struct http_host *h, int fd, const void *bytes, size_t len)
{
	nsec_t deadline = clock_deadline(PATIENCE_MS);
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		at += n < 0 ? 0 : n;
		len -= n < 0 ? 0 : (size_t)n;
		if (len == 0)
			break;
		cr_assert(clock_monotonic() < deadline, "it reads nothing");
		http_host_turn(h, 1);
	}
	return true;
}

/* Bytes of the answer at @text, 0: there is more to come. */
static size_t whole(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "\r\nContent-Length:");
	int status = http_status(text);

	if (!end)
		return 0;
	if (status == 100)
		return (size_t)(end + 4 - text);
	return (size_t)(end + 4 - text) +
	       (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

/* Append what @fd has, at most @len bytes, before the NUL. Returns what recv says. */
static ssize_t append(struct blob *b, int fd, size_t len)
{
	static char bytes[65536];
	ssize_t n = recv(fd, bytes, MIN(len, sizeof(bytes)), 0);

	if (n <= 0)
		return n;
	b->size--;
	cr_assert(eq(int, blob_append(b, bytes, (size_t)n, 16u << 20, NULL), 0));
	cr_assert(eq(int, blob_append(b, "", 1, 16u << 20, NULL), 0));
	return n;
}

char *http_host_receive(struct http_host *h, int fd)
{
	nsec_t deadline = clock_deadline(PATIENCE_MS);
	struct blob b = { 0 };
	size_t size = 0; /* of the answer; 0: not known yet */
	ssize_t n = -1;

	cr_assert(eq(int, blob_append(&b, "", 1, 1, NULL), 0));
	while (n != 0 && (size == 0 || b.size - 1 < size)) {
		/* Byte by byte up to the end of the headers: behind it may be the next answer. */
		n = append(&b, fd, size == 0 ? 1 : size - (b.size - 1));
		if (n > 0 && size == 0) {
			size = whole((char *)b.data);
		} else if (n < 0 && errno == EAGAIN) {
			cr_assert(clock_monotonic() < deadline, "no answer");
			http_host_turn(h, 10);
		} else if (n < 0) {
			n = 0;
		}
	}
	return (char *)b.data;
}

char *http_host_ask(struct http_host *h, const char *request)
{
	int fd = http_host_connect(h);
	char *answer;

	http_host_turn(h, 1000);
	http_host_send(h, fd, request, strlen(request));
	answer = http_host_receive(h, fd);
	close(fd);
	return answer;
}

int http_status(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

bool http_has(const char *answer, const char *line)
{
	char text[7000]; /* a log has 5,464 */

	snprintf(text, sizeof(text), "\r\n%s\r\n", line);
	return strcasestr(answer, text) != NULL;
}

const char *http_payload(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	return end ? end + 4 : "";
}
