/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/packet.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Room for descriptors, aligned as the kernel wants it. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(int) * PACKET_MAX_FDS)];
};

int packet_send(int fd, const struct packet_msg *msg, const struct packet_parts *parts,
		int flags)
{
	struct iovec iov[2] = { { .iov_base = (void *)(uintptr_t)msg,
				  .iov_len = sizeof(*msg) } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = 1 };
	union control control;

	if (parts && parts->len > 0)
		iov[h.msg_iovlen++] =
			(struct iovec){ .iov_base = (void *)(uintptr_t)parts->data,
					.iov_len = parts->len };
	if (parts && parts->nfds > 0) {
		size_t size = sizeof(int) * parts->nfds;

		memset(&control, 0, sizeof(control));
		control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(size) };
		memcpy(CMSG_DATA(&control.align), parts->fds, size);
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(size);
	}
	return sendmsg(fd, &h, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
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
	n = recvmsg(fd, &h, flags | MSG_CMSG_CLOEXEC);
	/* Told once when the other end went without reading all; what it sent is still there. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(fd, &h, flags | MSG_CMSG_CLOEXEC);
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
