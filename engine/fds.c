/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "engine/util.h"

#define SEAL_TRIES 10 /* ours */

uint64_t fds_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max;
}

void fds_reserve(uint64_t n)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)n - 1);

	fd_cleanup(&fd);
}

int fds_poll(struct pollfd *p, unsigned int n, nsec_t until)
{
	int ret;

	do {
		nsec_t now = clock_monotonic();
		nsec_t left = until > now ? until - now : 0;

		ret = poll(p, n,
			   (int)MIN((left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC,
				    (nsec_t)INT32_MAX));
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

int fds_wait_readable(int fd, nsec_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fds_poll(&p, 1, until);
}

int fds_seal(int fd, int seals)
{
	int ret = -1;

	for (int i = 0; i < SEAL_TRIES && ret < 0; i++) {
		ret = fcntl(fd, F_ADD_SEALS, seals);
		if (ret < 0 && errno != EBUSY)
			break;
	}
	return ret;
}
