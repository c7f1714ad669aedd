/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/process.h"

#include <asm/prctl.h>
#include <linux/errno.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/clock.h"
#include "guest/kindling/file.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/log.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/program.h"
#include "guest/kindling/user.h"

#define COMM_SIZE 16u /* of a thread's name, with the NUL: as Linux */

int64_t process_id(const struct regs *r)
{
	(void)r;
	return PROCESS_ID;
}

int64_t process_zero(const struct regs *r)
{
	(void)r;
	return 0;
}

int64_t process_exit(const struct regs *r)
{
	log_exit(r->rdi & 0xff);
}

int64_t process_arch(const struct regs *r)
{
	uint64_t base;

	switch (r->rdi) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (r->rsi >= LAYOUT_KERNEL_END) /* a base that is not canonical would fault */
			return -EPERM;
		if (r->rdi == ARCH_SET_FS)
			__asm__ volatile("wrfsbase %0" ::"r"(r->rsi));
		else
			__asm__ volatile("wrgsbase %0" ::"r"(r->rsi));
		return 0;
	case ARCH_GET_FS:
		__asm__ volatile("rdfsbase %0" : "=r"(base));
		return user_put(r->rsi, &base, sizeof(base));
	case ARCH_GET_GS:
		__asm__ volatile("rdgsbase %0" : "=r"(base));
		return user_put(r->rsi, &base, sizeof(base));
	default:
		return -EINVAL;
	}
}

int64_t process_name(const struct regs *r)
{
	/* The release is the Linux whose system calls these are like: C libraries check it. */
	static const struct new_utsname name = {
		.sysname = "Linux",
		.nodename = "kindling",
		.release = "6.1.0-kindling",
		.version = "#1",
		.machine = "x86_64",
		.domainname = "(none)",
	};

	return user_put(r->rdi, &name, sizeof(name));
}

int64_t process_info(const struct regs *r)
{
	struct sysinfo info = {
		.uptime = (int64_t)(clock_mono_ns() / 1000000000),
		.totalram = program.arena_size + program.stack_size,
		.freeram = memory_free(),
		.procs = 1,
		.mem_unit = 1,
	};

	return user_put(r->rdi, &info, sizeof(info));
}

static int64_t limit_put(uint64_t addr, uint64_t resource)
{
	struct rlimit64 limit = { .rlim_cur = RLIM64_INFINITY, .rlim_max = RLIM64_INFINITY };

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (resource == RLIMIT_STACK)
		limit.rlim_cur = limit.rlim_max = program.stack_size;
	else if (resource == RLIMIT_NOFILE)
		limit.rlim_cur = limit.rlim_max = FILE_MAX;
	else if (resource == RLIMIT_NPROC)
		limit.rlim_cur = limit.rlim_max = 1;
	else if (resource == RLIMIT_CORE)
		limit.rlim_cur = limit.rlim_max = 0;
	return user_put(addr, &limit, sizeof(limit));
}

int64_t process_limit(const struct regs *r)
{
	return limit_put(r->rsi, (uint32_t)r->rdi);
}

/* prlimit64(pid, resource, new, old): limits are facts here, not wishes. */
int64_t process_limit64(const struct regs *r)
{
	if (r->rdi != 0 && r->rdi != PROCESS_ID)
		return -ESRCH;
	if (r->rdx)
		return -EPERM;
	return r->r10 ? limit_put(r->r10, (uint32_t)r->rsi) : 0;
}

int64_t process_wait(const struct regs *r)
{
	(void)r;
	return -ECHILD;
}

int64_t process_ids(const struct regs *r)
{
	static const uint32_t root;

	if (user_put(r->rdi, &root, sizeof(root)) || user_put(r->rsi, &root, sizeof(root)))
		return -EFAULT;
	return user_put(r->rdx, &root, sizeof(root));
}

/* prctl: a thread's name, and a wish that is always true. */
int64_t process_control(const struct regs *r)
{
	static char name[COMM_SIZE];
	char new[COMM_SIZE];
	int64_t len;

	switch (r->rdi) {
	case PR_SET_NAME:
		len = user_get_string(new, r->rsi, sizeof(new));
		if (len == -EFAULT)
			return len;
		memcpy(name, new, sizeof(name) - 1);
		return 0;
	case PR_GET_NAME:
		return user_put(r->rsi, name, sizeof(name));
	case PR_SET_DUMPABLE:
	case PR_SET_NO_NEW_PRIVS:
		return 0;
	default:
		return -EINVAL;
	}
}

/* sched_getaffinity(pid, size, mask): one processor. Returns bytes written. */
int64_t process_cpus(const struct regs *r)
{
	static const uint64_t one = 1;

	if ((uint32_t)r->rdi > PROCESS_ID)
		return -ESRCH;
	if ((uint32_t)r->rsi < sizeof(one))
		return -EINVAL;
	return user_put(r->rdx, &one, sizeof(one)) ? -EFAULT : (int64_t)sizeof(one);
}

/* The processor's time is all the time that there was: nobody else ran. */
int64_t process_usage(const struct regs *r)
{
	uint64_t now = clock_mono_ns();
	struct rusage usage = {
		.ru_utime = { (int64_t)(now / 1000000000), (int64_t)(now / 1000 % 1000000) },
		.ru_maxrss = (int64_t)((program.arena_size - memory_free()) / 1024),
	};

	switch ((int32_t)r->rdi) {
	case RUSAGE_CHILDREN:
		usage = (struct rusage){ 0 };
		break;
	case RUSAGE_SELF:
	case RUSAGE_THREAD:
		break;
	default:
		return -EINVAL;
	}
	return user_put(r->rsi, &usage, sizeof(usage));
}

int64_t process_times(const struct regs *r)
{
	int64_t ticks = (int64_t)(clock_mono_ns() / (1000000000 / CLOCK_TICKS));
	int64_t times[4] = { ticks }; /* the program's, the system's, and of children */

	return r->rdi && user_put(r->rdi, times, sizeof(times)) ? -EFAULT : ticks;
}
