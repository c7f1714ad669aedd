/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/err.h"
#include "tools/thaw/wire.h"

#define BACKLOG	  1024	     /* ours: clients that come at once */
#define PEM_MAX	  (1u << 20) /* ours */
#define UNIX_WORD "unix:"

/* ---- addresses ---- */

static int bad(const char *text, struct err *err)
{
	return err_set(err, EINVAL,
		       "address '%.80s': expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH",
		       text);
}

static bool parse_port(const char *text, in_port_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long n = strtoul(text, NULL, 10);

	if (digits == 0 || digits > 5 || text[digits] || n > UINT16_MAX)
		return false;
	*port = htons((uint16_t)n);
	return true;
}

static bool parse_v4(struct listen_address *a, const char *host, const char *port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->storage;

	in->sin_family = AF_INET;
	a->len = sizeof(*in);
	return inet_pton(AF_INET, host, &in->sin_addr) == 1 && parse_port(port, &in->sin_port);
}

static bool parse_v6(struct listen_address *a, const char *host, const char *port)
{
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)&a->storage;

	in->sin6_family = AF_INET6;
	a->len = sizeof(*in);
	return inet_pton(AF_INET6, host, &in->sin6_addr) == 1 &&
	       parse_port(port, &in->sin6_port);
}

int listen_parse(struct listen_address *a, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2] = "";
	size_t len = colon ? (size_t)(colon - text) : 0;

	*a = (struct listen_address){ .path = NULL };
	if (strncmp(text, UNIX_WORD, strlen(UNIX_WORD)) == 0) {
		a->path = text + strlen(UNIX_WORD);
		return a->path[0] == '/' ? 0 : bad(text, err);
	}
	if (len == 0 || len >= sizeof(host))
		return bad(text, err);
	memcpy(host, text, len);
	if (host[0] != '[')
		return parse_v4(a, host, colon + 1) ? 0 : bad(text, err);
	if (host[len - 1] != ']')
		return bad(text, err);
	host[len - 1] = '\0';
	return parse_v6(a, host + 1, colon + 1) ? 0 : bad(text, err);
}

/* Whether only processes of this host can connect. */
static bool is_local(const struct listen_address *a)
{
	if (a->path)
		return true;
	if (a->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(
			&((const struct sockaddr_in6 *)&a->storage)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)&a->storage)->sin_addr.s_addr) >> 24 ==
	       IN_LOOPBACKNET;
}

static int open_tcp(const struct listen_address *a, struct err *err)
{
	auto_close int fd =
		socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return err_sys(err, "socket");
	/* Connections of a server before us that have not faded yet do not count. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return err_sys(err, "SO_REUSEADDR");
	if (a->any.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return err_sys(err, "IPV6_V6ONLY");
	if (bind(fd, &a->any, a->len) < 0)
		return err_sys(err, "bind");
	if (listen(fd, BACKLOG) < 0)
		return err_sys(err, "listen");
	return fd_take(&fd);
}

int listen_open(const struct listen_address *a, bool knows_clients, struct err *err)
{
	if (!is_local(a) && !knows_clients)
		return err_set(err, EPERM,
			       "not a loopback address: that needs keys or certificates of "
			       "clients");
	return a->path ? wire_listen(a->path, err) : open_tcp(a, err);
}

/* ---- secrets ---- */

int listen_read_secret(struct blob *b, const char *path, uint64_t max, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, EPERM, "%s has mode %04o, expected 0600 or 0400", path,
			       (unsigned)st.st_mode & 07777);
	ret = blob_read_fd(b, fd, path, max, err);
	return ret < 0 ? ret : blob_append(b, "", 1, max + 1, err);
}

static int read_public(struct blob *b, const char *path, struct err *err)
{
	int ret = blob_read(b, path, PEM_MAX, err);

	return ret < 0 ? ret : blob_append(b, "", 1, PEM_MAX + 1, err);
}

int listen_tls_read(struct listen_tls *t, const char *const paths[3], struct err *err)
{
	int ret;

	*t = (struct listen_tls){ 0 };
	ret = read_public(&t->certificate, paths[0], err);
	if (ret == 0)
		ret = listen_read_secret(&t->key, paths[1], PEM_MAX, err);
	if (ret == 0)
		ret = read_public(&t->trust, paths[2], err);
	if (ret < 0)
		listen_tls_free(t);
	return ret;
}

void listen_tls_free(struct listen_tls *t)
{
	if (t->key.data)
		explicit_bzero(t->key.data, t->key.size);
	blob_free(&t->certificate);
	blob_free(&t->key);
	blob_free(&t->trust);
}

struct http_tls listen_tls_pem(const struct listen_tls *t)
{
	return (struct http_tls){ .certificate = (const char *)t->certificate.data,
				  .key = (const char *)t->key.data,
				  .trust = (const char *)t->trust.data };
}
