/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/thaw.h"

#define BACKLOG 64 /* ours */

static int set_address(struct sockaddr_un *a, const char *path, struct err *err)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path))
		return err_set(err, ENAMETOOLONG,
			       "socket %.60s...: path of %zu bytes, longest allowed is %zu",
			       path, strlen(path), sizeof(a->sun_path) - 1);
	memcpy(a->sun_path, path, strlen(path) + 1);
	return 0;
}

static int connect_to(int fd, const struct sockaddr_un *a)
{
	return connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? -errno : 0;
}

int wire_connect(const char *path, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	int ret = set_address(&a, path, err);

	if (ret < 0)
		return ret;
	if (fd < 0)
		return err_sys(err, "socket");
	ret = connect_to(fd, &a);
	if (ret < 0)
		return err_set(err, -ret, "connect to %s: %s", path, strerrordesc_np(-ret));
	return fd_take(&fd);
}

/* The name may be free, or that of a server which is no more: nobody answers there. */
static int clear_name(const struct sockaddr_un *a, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0)
		return err_sys(err, "socket");
	if (lstat(a->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s", a->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s exists and is no socket", a->sun_path);
	if (connect_to(fd, a) != -ECONNREFUSED)
		return err_set(err, EADDRINUSE, "somebody listens at %s already", a->sun_path);
	return unlink(a->sun_path) < 0 ? err_sys(err, "remove %s", a->sun_path) : 0;
}

int wire_listen(const char *path, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;
	mode_t mask;
	int ret = set_address(&a, path, err);

	if (ret == 0)
		ret = clear_name(&a, err);
	if (ret < 0)
		return ret;
	if (fd < 0)
		return err_sys(err, "socket");
	mask = umask(0177); /* from its first moment on it is nobody else's */
	ret = bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	if (ret < 0)
		return err_set(err, -ret, "bind %s: %s", path, strerrordesc_np(-ret));
	if (listen(fd, BACKLOG) < 0)
		return err_sys(err, "listen at %s", path);
	return fd_take(&fd);
}

static int send_all(int fd, const void *data, size_t len, struct err *err)
{
	const uint8_t *at = data;

	while (len > 0) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_sys(err, "send");
		if (poll(&p, 1, WIRE_PATIENCE_MS) == 0)
			return err_set(err, ETIMEDOUT, "the peer does not read");
	}
	return 0;
}

int wire_send(int fd, const struct wire_header *h, const void *data, struct err *err)
{
	int ret = send_all(fd, h, sizeof(*h), err);

	return ret < 0 ? ret : send_all(fd, data, h->len, err);
}

static int receive_all(int fd, void *data, size_t len, struct err *err)
{
	uint8_t *at = data;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "receive");
		if (n == 0)
			return err_set(err, ECONNRESET,
				       "the machine's process closed the connection");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int wire_call(int fd, const struct wire_header *h, const void *data, struct blob *reply,
	      struct err *err)
{
	struct wire_header r;
	int ret = wire_send(fd, h, data, err);

	/* What it had to say may be there, though it reads no more. */
	if (ret < 0 && ret != -EPIPE)
		return ret;
	ret = receive_all(fd, &r, sizeof(r), err);
	if (ret < 0)
		return ret;
	if (r.len > THAW_EVENT_MAX)
		return err_set(err, EPROTO, "a reply of %u bytes, largest allowed is %u", r.len,
			       THAW_EVENT_MAX);
	*reply = (struct blob){ .data = malloc(r.len + 1), .size = r.len, .cap = r.len + 1 };
	if (!reply->data)
		return err_set(err, ENOMEM, "no memory for a reply of %u bytes", r.len);
	reply->data[r.len] = '\0';
	ret = receive_all(fd, reply->data, r.len, err);
	return ret < 0 ? ret : r.kind;
}
