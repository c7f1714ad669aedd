/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"

/* clang-format off */
static const int allowed[] = {
	/* the machine, the pages of this process */
	SCMP_SYS(ioctl), SCMP_SYS(pread64),
	/* the caller */
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	/* memory; mmap and mprotect are below */
	SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(close),
	/* a vCPU's deadline; a guest that sleeps */
	SCMP_SYS(timer_create), SCMP_SYS(timer_settime), SCMP_SYS(timer_delete),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(tgkill), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(ppoll),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),
	SCMP_SYS(futex), SCMP_SYS(sched_yield),
	/* uniqueness */
	SCMP_SYS(getrandom),
	/* the end, and what an assertion says on stderr before it */
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* size and seals of what is handed over, pages of the mailbox */
	SCMP_SYS(lseek), SCMP_SYS(fcntl),
};
/* clang-format on */

static int add_rules(scmp_filter_ctx ctx)
{
	const int mappings[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	int ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && ret == 0; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(mappings) && ret == 0; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, mappings[i], 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return ret;
}

/* libseccomp writes the program to a descriptor only. */
static int compile(scmp_filter_ctx ctx, struct filter *f, struct err *err)
{
	auto_close int fd = memfd_create("thaw-filter", MFD_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0)
		return err_sys(err, "memfd_create for a filter");
	ret = seccomp_export_bpf(ctx, fd);
	if (ret < 0)
		return err_set(err, -ret, "compile the filter of system calls (%d)", ret);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat a filter");
	f->prog.filter = malloc((size_t)st.st_size);
	if (!f->prog.filter)
		return err_set(err, ENOMEM, "no memory for a filter");
	f->prog.len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
	if (pread(fd, f->prog.filter, (size_t)st.st_size, 0) != st.st_size)
		return err_set(err, EIO, "read back a filter of %lld bytes",
			       (long long)st.st_size);
	return 0;
}

int filter_init(struct filter *f, struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret;

	*f = (struct filter){ 0 };
	if (!ctx)
		return err_set(err, ENOMEM, "no memory for a filter of system calls");
	ret = add_rules(ctx);
	ret = ret < 0 ? err_set(err, -ret, "build the filter of system calls (%d)", ret)
		      : compile(ctx, f, err);
	seccomp_release(ctx);
	if (ret < 0)
		filter_fini(f);
	return ret;
}

void filter_fini(struct filter *f)
{
	free(f->prog.filter);
	*f = (struct filter){ 0 };
}

int filter_enter(const struct filter *f, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "PR_SET_NO_NEW_PRIVS");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f->prog, 0, 0) < 0)
		return err_sys(err, "PR_SET_SECCOMP");
	return 0;
}
