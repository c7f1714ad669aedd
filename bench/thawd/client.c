/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/thawd/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "engine/err.h"
#include "tools/thaw/wire.h"
#include "tools/thawd/listen.h"

#define PIECE	4096u	    /* ours: bytes that are received at once */
#define OUT_MAX (64u << 20) /* ours: beyond every limit of a server */

/* ---- the connection ---- */

static int connect_tcp(const struct listen_address *a, struct err *err)
{
	auto_close int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return err_sys(err, "socket");
	if (connect(fd, &a->any, a->len) < 0)
		return err_sys(err, "connect");
	/* Else a body would wait for the server to acknowledge the headers. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return err_sys(err, "TCP_NODELAY");
	return fd_take(&fd);
}

int client_connect(struct client *c, const char *address, struct err *err)
{
	struct listen_address a;
	int ret = listen_parse(&a, address, err);

	if (ret < 0)
		return ret;
	c->in.size = c->out.size = c->sent = 0;
	c->fd = a.path ? wire_connect(a.path, err) : connect_tcp(&a, err);
	if (c->fd < 0)
		return c->fd;
	return fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ? err_sys(err, "O_NONBLOCK") : 0;
}

void client_close(struct client *c)
{
	fd_cleanup(&c->fd);
	c->fd = -1;
}

void client_free(struct client *c)
{
	client_close(c);
	blob_free(&c->in);
	blob_free(&c->out);
}

/* ---- a request ---- */

int client_flush(struct client *c)
{
	while (c->sent < c->out.size) {
		ssize_t n =
			send(c->fd, c->out.data + c->sent, c->out.size - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		c->sent += (size_t)n;
	}
	return 0;
}

int client_post(struct client *c, const char *path, const void *body, size_t len)
{
	char head[512];
	int n = snprintf(head, sizeof(head),
			 "POST %s HTTP/1.1\r\nHost: thawd\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
			 path, len);

	c->in.size = c->out.size = c->sent = 0;
	if (n < 0 || (size_t)n >= sizeof(head) ||
	    blob_append(&c->out, head, (size_t)n, OUT_MAX, NULL) < 0 ||
	    blob_append(&c->out, body, len, OUT_MAX, NULL) < 0)
		return -ENOMEM;
	return client_flush(c);
}

/* ---- the reply ---- */

static int receive_some(struct client *c)
{
	char piece[PIECE];
	ssize_t n = recv(c->fd, piece, sizeof(piece), 0);

	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	return blob_append(&c->in, piece, (size_t)n, OUT_MAX, NULL) < 0 ? -ENOMEM : 0;
}

static int take_field(struct client_reply *r, char *line)
{
	char *value = strchr(line, ':');

	if (!value)
		return -EPROTO;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "Content-Length") == 0)
		r->len = strtoul(value, NULL, 10);
	else if (strcasecmp(line, "Connection") == 0)
		r->is_last = strcasecmp(value, "close") == 0;
	else if (strcasecmp(line, "x-amzn-ErrorType") == 0)
		r->error_type = value;
	else if (strcasecmp(line, "X-Amz-Function-Error") == 0)
		r->function_error = value;
	return 0;
}

/* @head ends with a NUL in place of the empty line, and is cut into lines. */
static int parse_head(struct client_reply *r, char *head)
{
	char *rest, *line = strtok_r(head, "\r\n", &rest);
	int ret = 0;

	if (!line || sscanf(line, "HTTP/1.1 %u ", &r->status) != 1)
		return -EPROTO;
	while (ret == 0 && (line = strtok_r(NULL, "\r\n", &rest)))
		ret = take_field(r, line);
	return ret;
}

/* The bytes of the head, or 0: the empty line has not come yet. */
static size_t head_size(const struct blob *in)
{
	const char *end = memmem(in->data, in->size, "\r\n\r\n", 4);

	return end ? (size_t)(end + 4 - (const char *)in->data) : 0;
}

/* The head is parsed in a copy until all is there, then in place, where it stays. */
static int parse(struct client *c, struct client_reply *r)
{
	size_t head = c->in.size > 0 ? head_size(&c->in) : 0;
	auto_free char *copy = head > 0 ? strndup((const char *)c->in.data, head) : NULL;
	int ret;

	if (head == 0)
		return -EAGAIN;
	if (!copy)
		return -ENOMEM;
	*r = (struct client_reply){ 0 };
	ret = parse_head(r, copy);
	if (ret < 0)
		return ret;
	if (c->in.size - head != r->len)
		return c->in.size - head < r->len ? -EAGAIN : -EPROTO;
	*r = (struct client_reply){ .body = c->in.data + head };
	c->in.data[head - 1] = '\0';
	return parse_head(r, (char *)c->in.data);
}

int client_receive(struct client *c, struct client_reply *r)
{
	int ret = receive_some(c);

	while (ret == 0 && (ret = parse(c, r)) == -EAGAIN)
		ret = receive_some(c);
	return ret;
}
