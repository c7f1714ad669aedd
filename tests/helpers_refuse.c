/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_refuse.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "engine/util.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
/* Skips @n instructions unless the value loaded is @k. */
#define UNLESS(k, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (n))

static void install(const struct sock_filter *filter, size_t n)
{
	const struct sock_fprog prog = { (unsigned short)n,
					 (struct sock_filter *)(uintptr_t)filter };

	cr_assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	cr_assert(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

void refuse_io_uring(void)
{
	static const struct sock_filter filter[] = { LOAD(nr), UNLESS(SYS_io_uring_setup, 1),
						     REFUSE, ALLOW };

	install(filter, ARRAY_SIZE(filter));
}

void refuse_userfaultfd(void)
{
	static const struct sock_filter filter[] = {
		LOAD(nr),      UNLESS(SYS_userfaultfd, 1),
		REFUSE,	       UNLESS(SYS_ioctl, 3),
		LOAD(args[1]), UNLESS(0xaa00, 1), /* USERFAULTFD_IOC_NEW */
		REFUSE,	       ALLOW,
	};

	install(filter, ARRAY_SIZE(filter));
}
