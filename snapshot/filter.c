/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/pages.h"

/* clang-format off */
static const int allowed[] = {
	/* the pages of this process, and its faults */
	SCMP_SYS(pread64), SCMP_SYS(getrusage),
	/* the caller: not sendmsg, because descriptors on the way count as those of our user, who
	 * may have no more of them than he may have open (unix(7), ETOOMANYREFS) */
	SCMP_SYS(recvmsg), SCMP_SYS(sendto),
	/* memory */
	SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(close),
	/* a vCPU's deadline; a guest that sleeps */
	SCMP_SYS(timer_create), SCMP_SYS(timer_settime), SCMP_SYS(timer_delete),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
	/* to itself: enter_own */
	SCMP_SYS(tgkill), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(ppoll),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),
	SCMP_SYS(futex), SCMP_SYS(sched_yield),
	/* the device thread; drives, by a ring that can do nothing else (block_io.c), or without */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_ctl), SCMP_SYS(read), SCMP_SYS(timerfd_settime),
	SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(preadv),
	/* uniqueness */
	SCMP_SYS(getrandom),
	/* the end, and what an assertion says before it */
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* a fork */
	SCMP_SYS(pwrite64),
	/* size of what is handed over, pages of the mailbox */
	SCMP_SYS(lseek),
};

/* Allowed where one argument is right; more than one line of a call: any of them. */
static const struct {
	int call;
	struct scmp_arg_cmp arg;
} bounded[] = {
	{ SCMP_SYS(ioctl), { 1, SCMP_CMP_MASKED_EQ, 0xff00, KVMIO << 8 } },
	{ SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, PAGES_IOCTL, 0 } },
	{ SCMP_SYS(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ SCMP_SYS(mprotect), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_GET_SEALS, 0 } },
};
/* clang-format on */

static int add_rules(scmp_filter_ctx ctx)
{
	int ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && ret == 0; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(bounded) && ret == 0; i++)
		ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, bounded[i].call, 1,
					     &bounded[i].arg);
	/* The one of a start comes first. */
	return ret < 0 ? ret : seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), UINT8_MAX);
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

/* For all threads that there are. */
static int install(const struct sock_fprog *prog, struct err *err)
{
	long ret =
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, prog);

	if (ret < 0)
		return err_sys(err, "seccomp");
	return ret == 0 ? 0 : err_set(err, EBUSY, "seccomp: thread %ld keeps out of it", ret);
}

/* Signals go to this process only. A filter of its own, because the other one was compiled
 * before this process was there; where two filters differ, the stricter one wins. */
static int enter_own(struct err *err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	return install(&prog, err);
}

int filter_enter(const struct filter *f, struct err *err)
{
	int ret;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "PR_SET_NO_NEW_PRIVS");
	ret = enter_own(err);
	return ret < 0 ? ret : install(&f->prog, err);
}
