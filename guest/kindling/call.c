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
#include "guest/kindling/process.h"
#include "guest/kindling/random.h"
#include "guest/kindling/signal.h"

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
	[__NR_open] = file_open,
	[__NR_openat] = file_openat,
	[__NR_close] = file_close,
	[__NR_dup] = file_dup,
	[__NR_dup2] = file_dup2,
	[__NR_dup3] = file_dup3,
	[__NR_fcntl] = file_control,
	[__NR_ioctl] = file_ioctl,
	[__NR_lseek] = file_seek,
	[__NR_getdents64] = file_list,
	[__NR_getcwd] = file_getcwd,
	[__NR_stat] = file_stat,
	[__NR_lstat] = file_lstat,
	[__NR_fstat] = file_fstat,
	[__NR_newfstatat] = file_fstatat,
	[__NR_access] = file_access,
	[__NR_faccessat] = file_accessat,
	[__NR_readlink] = file_readlink,
	[__NR_readlinkat] = file_readlinkat,

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
	[__NR_getrandom] = random_get,

	[__NR_rt_sigaction] = signal_action,
	[__NR_rt_sigprocmask] = signal_mask,
	[__NR_sigaltstack] = signal_stack,
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
	[__NR_set_robust_list] = process_zero,
	[__NR_sched_yield] = process_zero,
	[__NR_exit] = process_exit,
	[__NR_exit_group] = process_exit,
	[__NR_arch_prctl] = process_arch,
	[__NR_uname] = process_name,
	[__NR_sysinfo] = process_info,
	[__NR_getrlimit] = process_limit,
	[__NR_prlimit64] = process_limit64,

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

int64_t call_serve(struct regs *r)
{
	uint64_t number = r->rax;

	if (number < sizeof(calls) / sizeof(calls[0]) && calls[number])
		return calls[number](r);
	return call_unknown(number);
}
