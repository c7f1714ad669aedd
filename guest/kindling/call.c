/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/call.h"

#include <asm/unistd_64.h>
#include <linux/errno.h>
#include <stddef.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/clock.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/file.h"
#include "guest/kindling/log.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/pipe.h"
#include "guest/kindling/poll.h"
#include "guest/kindling/process.h"
#include "guest/kindling/random.h"
#include "guest/kindling/signal.h"
#include "guest/kindling/wait.h"

/* One string for each number from 0 up, empty where there is no call; made by kindling.mk
 * from the kernel's header. */
static const char names[] =
#include "call_names.h"
	;

#define NNUMBERS 512u /* ours: above the highest number with a name */

static int64_t call_clone(const struct regs *r)
{
	static int said;

	(void)r;
	if (!said)
		log_line("clone: a program has one thread and no children here: ENOSYS");
	said = 1;
	return -ENOSYS;
}

/* The C library asks for restartable sequences at its start and does without. */
static int64_t call_refuse(const struct regs *r)
{
	(void)r;
	return -ENOSYS;
}

static call_fn *const calls[] = {
	[__NR_read] = file_read,
	[__NR_write] = file_write,
	[__NR_readv] = file_readv,
	[__NR_writev] = file_writev,
	[__NR_pread64] = file_pread,
	[__NR_pwrite64] = file_pwrite,
	[__NR_sendfile] = file_send,
	[__NR_open] = file_open,
	[__NR_openat] = file_openat,
	[__NR_creat] = file_creat,
	[__NR_close] = file_close,
	[__NR_close_range] = file_close_range,
	[__NR_dup] = file_dup,
	[__NR_dup2] = file_dup2,
	[__NR_dup3] = file_dup3,
	[__NR_fcntl] = file_control,
	[__NR_flock] = file_lock,
	[__NR_ioctl] = file_ioctl,
	[__NR_lseek] = file_seek,
	[__NR_getdents64] = file_list,
	[__NR_getcwd] = file_getcwd,
	[__NR_chdir] = file_chdir,
	[__NR_fchdir] = file_fchdir,
	[__NR_umask] = file_umask,
	[__NR_stat] = file_stat,
	[__NR_lstat] = file_lstat,
	[__NR_fstat] = file_fstat,
	[__NR_newfstatat] = file_fstatat,
	[__NR_statx] = file_statx,
	[__NR_statfs] = file_statfs,
	[__NR_fstatfs] = file_fstatfs,
	[__NR_access] = file_access,
	[__NR_faccessat] = file_accessat,
	[__NR_faccessat2] = file_accessat,
	[__NR_readlink] = file_readlink,
	[__NR_readlinkat] = file_readlinkat,

	[__NR_mkdir] = file_mkdir,
	[__NR_mkdirat] = file_mkdirat,
	[__NR_rmdir] = file_rmdir,
	[__NR_unlink] = file_unlink,
	[__NR_unlinkat] = file_unlinkat,
	[__NR_symlink] = file_symlink,
	[__NR_symlinkat] = file_symlinkat,
	[__NR_link] = file_link,
	[__NR_linkat] = file_link,
	[__NR_rename] = file_rename,
	[__NR_renameat] = file_renameat,
	[__NR_renameat2] = file_renameat2,
	[__NR_truncate] = file_truncate,
	[__NR_ftruncate] = file_ftruncate,
	[__NR_chmod] = file_chmod,
	[__NR_fchmod] = file_fchmod,
	[__NR_fchmodat] = file_fchmodat,
	[__NR_chown] = file_chown,
	[__NR_lchown] = file_lchown,
	[__NR_fchown] = file_fchown,
	[__NR_fchownat] = file_fchownat,
	[__NR_utimensat] = file_utimensat,
	[__NR_fsync] = file_sync,
	[__NR_fdatasync] = file_sync,
	[__NR_fadvise64] = file_sync,
	[__NR_sync] = process_zero,

	[__NR_pipe] = pipe_make,
	[__NR_pipe2] = pipe_make2,
	[__NR_eventfd] = pipe_count,
	[__NR_eventfd2] = pipe_count2,
	[__NR_poll] = poll_poll,
	[__NR_ppoll] = poll_ppoll,
	[__NR_select] = poll_select,
	[__NR_pselect6] = poll_pselect,

	[__NR_brk] = memory_brk,
	[__NR_mmap] = memory_map,
	[__NR_munmap] = memory_unmap,
	[__NR_mremap] = memory_remap,
	[__NR_mprotect] = memory_protect,
	[__NR_madvise] = memory_advise,

	[__NR_clock_gettime] = clock_get,
	[__NR_clock_getres] = clock_getres,
	[__NR_gettimeofday] = clock_get_day,
	[__NR_time] = clock_get_time,
	[__NR_nanosleep] = wait_nanosleep,
	[__NR_clock_nanosleep] = wait_clock,
	[__NR_futex] = wait_futex,
	[__NR_getrandom] = random_get,

	[__NR_rt_sigaction] = signal_action,
	[__NR_rt_sigprocmask] = signal_mask,
	[__NR_rt_sigpending] = signal_pending,
	[__NR_rt_sigsuspend] = signal_suspend,
	[__NR_rt_sigtimedwait] = signal_wait,
	[__NR_rt_sigqueueinfo] = signal_queue,
	[__NR_sigaltstack] = signal_stack,
	[__NR_pause] = signal_pause,
	[__NR_kill] = signal_kill,
	[__NR_tkill] = signal_tkill,
	[__NR_tgkill] = signal_tgkill,

	[__NR_getpid] = process_id,
	[__NR_gettid] = process_id,
	[__NR_getpgrp] = process_id,
	[__NR_set_tid_address] = process_id,
	[__NR_getppid] = process_zero,
	[__NR_getuid] = process_zero,
	[__NR_geteuid] = process_zero,
	[__NR_getgid] = process_zero,
	[__NR_getegid] = process_zero,
	[__NR_getgroups] = process_zero,
	[__NR_getresuid] = process_ids,
	[__NR_getresgid] = process_ids,
	[__NR_set_robust_list] = process_zero,
	[__NR_sched_yield] = process_zero,
	[__NR_sched_getaffinity] = process_cpus,
	[__NR_exit] = process_exit,
	[__NR_exit_group] = process_exit,
	[__NR_arch_prctl] = process_arch,
	[__NR_prctl] = process_control,
	[__NR_uname] = process_name,
	[__NR_sysinfo] = process_info,
	[__NR_getrlimit] = process_limit,
	[__NR_prlimit64] = process_limit64,
	[__NR_getrusage] = process_usage,
	[__NR_times] = process_times,

	[__NR_wait4] = process_wait,
	[__NR_waitid] = process_wait,
	[__NR_clone] = call_clone,
	[__NR_clone3] = call_clone,
	[__NR_fork] = call_clone,
	[__NR_vfork] = call_clone,
	[__NR_rseq] = call_refuse,
};

static const char *call_name(uint64_t number)
{
	const char *name = names;

	for (; number && name < names + sizeof(names) - 1; number--)
		name += strlen(name) + 1;
	return *name ? name : "no name";
}

/* Say once for each number that it is not there, and once for all that never were. */
static int64_t call_unknown(uint64_t number)
{
	static uint64_t said[NNUMBERS / 64];
	uint64_t n = number < NNUMBERS ? number : NNUMBERS - 1;

	if (!(said[n / 64] >> n % 64 & 1))
		log_line("system call %ld (%s) is not supported: ENOSYS", (int64_t)number,
			 call_name(n));
	said[n / 64] |= 1ull << n % 64;
	return -ENOSYS;
}

static int64_t call_one(const struct regs *r, uint64_t number)
{
	if (number < sizeof(calls) / sizeof(calls[0]) && calls[number])
		return calls[number](r);
	return call_unknown(number);
}

/* A call that is to be done again finds its number still in RAX. */
void call_serve(struct regs *r)
{
	int restart = 0;
	int64_t ret;

	if (r->rax == __NR_rt_sigreturn) {
		signal_return(r);
	} else {
		ret = call_one(r, r->rax);
		restart = ret == CALL_RESTART;
		if (restart)
			r->rip -= CALL_SIZE;
		else
			r->rax = (uint64_t)ret;
	}
	signal_deliver(r, restart);
}
