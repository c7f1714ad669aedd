/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fds.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "engine/util.h"

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
