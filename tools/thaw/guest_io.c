/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/guest_io.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/util.h"
#include "guest/abi.h"

/* What one machine may print on our stderr; ours: a guest must not fill a disk. */
#define GUEST_OUTPUT_MAX (16u << 20)

static size_t printed, dropped; /* bytes, by the machine of this process */

/* A signal during the write is the machine's deadline: the rest of the piece is lost, and so it
 * is when nobody reads any more. There is no better place to tell. */
static void write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

/* The guest kernel's own lines say whose they are. */
static void write_prefix(uint32_t stream)
{
	static const char prefix[] = "kernel: ";

	if (stream == ABI_LOG_KERNEL)
		write_all(STDERR_FILENO, prefix, sizeof(prefix) - 1);
}

void guest_terminal(void *arg, uint32_t stream, const void *data, size_t len)
{
	(void)arg;
	write_prefix(stream);
	write_all(stream == ABI_LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO, data, len);
}

void guest_log(void *arg, uint32_t stream, const void *data, size_t len)
{
	size_t room = MIN(len, GUEST_OUTPUT_MAX - printed);

	(void)arg;
	dropped += len - room;
	printed += room;
	if (room == 0)
		return;
	write_prefix(stream);
	write_all(STDERR_FILENO, data, room);
}

void guest_log_end(void)
{
	if (dropped > 0)
		fprintf(stderr, "thaw: the guest printed %zu bytes more than the %u shown\n",
			dropped, GUEST_OUTPUT_MAX);
	printed = dropped = 0;
}

ssize_t guest_input(void *arg, void *buf, size_t len)
{
	ssize_t n;

	(void)arg;
	do {
		n = read(STDIN_FILENO, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
