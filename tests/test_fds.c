/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/fds.h"

Test(fds, the_limit_goes_as_far_as_it_may)
{
	struct rlimit limit;

	cr_assert(eq(int, getrlimit(RLIMIT_NOFILE, &limit), 0));
	limit.rlim_cur = 64;
	cr_assert(eq(int, setrlimit(RLIMIT_NOFILE, &limit), 0));
	cr_expect(eq(u64, fds_raise_limit(), limit.rlim_max));
	cr_assert(eq(int, getrlimit(RLIMIT_NOFILE, &limit), 0));
	cr_expect(eq(u64, limit.rlim_cur, limit.rlim_max));
}

Test(fds, reserving_leaves_nothing_open)
{
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

	close(before);
	fds_reserve(200);
	fds_reserve(0);
	cr_expect(lt(int, fcntl(199, F_GETFD), 0));
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cr_expect(eq(int, after, before));
	close(after);
}

Test(fds, one_is_waited_for_until_it_can_be_read_or_time_is_up)
{
	int ends[2];
	nsec_t from = clock_monotonic();

	cr_assert(eq(int, pipe(ends), 0));
	cr_expect(eq(int, fds_wait_readable(ends[0], 0), 0));
	cr_expect(eq(int, fds_wait_readable(ends[0], clock_deadline(20)), 0));
	cr_expect(ge(u64, clock_monotonic() - from, 20 * NSEC_PER_MSEC));
	cr_assert(eq(sz, (size_t)write(ends[1], "x", 1), 1));
	cr_expect(eq(int, fds_wait_readable(ends[0], 0), 1));
	cr_expect(eq(int, fds_wait_readable(ends[0], clock_deadline(20)), 1));
	close(ends[0]);
	close(ends[1]);
}

/* What is mapped to write stays so: it is asked some times, and then said. */
Test(fds, what_is_still_written_to_is_not_sealed, .timeout = 60)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	cr_assert(eq(int, ftruncate(fd, 4096), 0));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(map != MAP_FAILED);
	cr_expect(eq(int, fds_seal(fd, F_SEAL_WRITE), -1));
	cr_expect(eq(int, errno, EBUSY));
	munmap(map, 4096);
	cr_expect(eq(int, fds_seal(fd, F_SEAL_WRITE), 0));
	cr_expect(eq(int, (int)write(fd, "x", 1), -1));
	close(fd);
	cr_expect(eq(int, fds_seal(fd, F_SEAL_WRITE), -1));
	cr_expect(eq(int, errno, EBADF));
}
