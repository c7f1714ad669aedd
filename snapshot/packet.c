/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/packet.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Room for descriptors, aligned as the kernel wants it. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(int) * PACKET_MAX_FDS)];
};

/* @row: what is sent beside them. */
static ssize_t send_descriptors(int fd, struct iovec *row, const struct packet_parts *parts,
				int flags)
{
	size_t size = sizeof(int) * parts->nfds;
	union control control = { .align = { .cmsg_level = SOL_SOCKET,
					     .cmsg_type = SCM_RIGHTS,
					     .cmsg_len = CMSG_LEN(size) } };
	const struct msghdr h = { .msg_iov = row,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(size) };

	memcpy(CMSG_DATA(&control.align), parts->fds, size);
	return sendmsg(fd, &h, flags);
}

int packet_offer(int fd, const struct packet_msg *msg, const struct packet_parts *parts,
		 int flags)
{
	uint8_t bytes[sizeof(*msg) + PACKET_MAX_DATA];
	struct iovec row = { .iov_base = bytes, .iov_len = sizeof(*msg) };
	ssize_t n;

	memcpy(bytes, msg, sizeof(*msg));
	if (parts && parts->len > 0) {
		assert(parts->len <= PACKET_MAX_DATA);
		memcpy(bytes + sizeof(*msg), parts->data, parts->len);
		row.iov_len += parts->len;
	}
	flags |= MSG_NOSIGNAL;
	/* Two calls, because a shell has only the one that cannot send descriptors (filter.c). */
	if (parts && parts->nfds > 0)
		n = send_descriptors(fd, &row, parts, flags);
	else
		n = send(fd, row.iov_base, row.iov_len, flags);
	return n < 0 ? -errno : 0;
}

int packet_send(int fd, const struct packet_msg *msg, const struct packet_parts *parts,
		int flags)
{
	int ret;

	do
		ret = packet_offer(fd, msg, parts, flags);
	while (ret == -EINTR);
	return ret;
}

static void take_fds(struct msghdr *h, struct packet_parts *parts)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	/* The kernel gives no more than there is room for, and closes the rest. */
	parts->nfds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(parts->fds, CMSG_DATA(c), parts->nfds * sizeof(int));
}

static ssize_t receive(int fd, struct msghdr *h, int flags)
{
	ssize_t n;

	do
		n = recvmsg(fd, h, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	return n;
}

int packet_recv(int fd, struct packet_msg *msg, struct packet_parts *parts, void *buf,
		int flags)
{
	struct iovec iov[2] = { { .iov_base = msg, .iov_len = sizeof(*msg) },
				{ .iov_base = buf, .iov_len = PACKET_MAX_DATA } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = parts ? 2 : 1 };
	union control control;
	ssize_t n;

	if (parts) {
		/* The length, not the space: its padding is room for one more. */
		if (parts->nfds > 0) {
			h.msg_control = &control;
			h.msg_controllen = CMSG_LEN(sizeof(int) * parts->nfds);
		}
		*parts = (struct packet_parts){ .data = buf };
	}
	n = receive(fd, &h, flags);
	/* Told once when the other end went without reading all; what it sent is still there. */
	if (n < 0 && errno == ECONNRESET)
		n = receive(fd, &h, flags);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (parts)
		take_fds(&h, parts);
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(*msg) || h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		if (parts)
			packet_close_fds(parts);
		return -EPROTO;
	}
	if (parts)
		parts->len = (size_t)n - sizeof(*msg);
	msg->err.text[sizeof(msg->err.text) - 1] = '\0';
	if (msg->ret > 0 || msg->ret < -4095) /* the kernel's largest errno */
		msg->ret = -EPROTO;
	return 1;
}

void packet_close_fds(struct packet_parts *parts)
{
	for (unsigned int i = 0; i < parts->nfds; i++)
		close(parts->fds[i]);
	parts->nfds = 0;
}
