// SPDX-License-Identifier: GPL-2.0
/*
 * event.c - the event stream /dev/thaw-event and the reply stream /dev/thaw-reply, which init gives
 * a program as descriptors 3 and 4. A read that finds nothing left of the last event hands over the
 * reply, and stops the machine until there is another event; if the machine is a copy by then, it
 * gets a time of day and random numbers of its own, and the program's hooks are called, before the
 * event is delivered. All in the program's own context: where KVM emulates the kernel, each
 * instruction counts, and a switch to another process is thousands of them.
 */
#include "thaw.h"

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uio.h>
#include <asm/msr.h>
#include <asm/ptrace.h>

static DEFINE_MUTEX(lock); /* of all below: a program may have threads */
static u64 generation;
static size_t event_size; /* bytes of the event last started */
static size_t event_left; /* bytes of it not read yet */
static size_t reply_size; /* bytes of the reply so far */
static bool event_seen;	  /* has there been an event? */

/* A read that was interrupted by a hook, and will be made again when the hook has returned. */
static struct {
	bool runs;
	bool held; /* an event has arrived and waits for the hook to end */
	unsigned long ip, sp;
} hook;

/* ---- copies ---- */

static void clock_renew(void)
{
	struct abi_clock c = thaw_box->clock;
	u64 tsc = rdtsc();
	u64 elapsed = tsc > c.tsc_base ? mul_u64_u32_shr(tsc - c.tsc_base, c.mult, c.shift) : 0;
	struct timespec64 now = ns_to_timespec64(c.real_ns + elapsed);

	if (do_settimeofday64(&now))
		pr_warn_once("thaw: the host's time of day is not possible\n");
}

/* Takes the bytes, so that nobody reads them there afterwards. */
static void entropy_take(u64 secret[8])
{
	memcpy(secret, thaw_box->entropy, ABI_ENTROPY_SIZE);
	memzero_explicit(thaw_box->entropy, ABI_ENTROPY_SIZE);
}

static void entropy_renew(void)
{
	u64 secret[ABI_ENTROPY_SIZE / sizeof(u64)];

	entropy_take(secret);
	add_clone_randomness(secret);
	memzero_explicit(secret, sizeof(secret));
}

/* ---- hooks ---- */

/*
 * Send the hook signal, if the program has a handler.
 * Returns true when the read is to be left for it, and will be made again.
 */
static bool hook_send(int what)
{
	const struct pt_regs *r = task_pt_regs(current);
	__sighandler_t handler = current->sighand->action[ABI_HOOK_SIGNAL - 1].sa.sa_handler;
	struct kernel_siginfo info;

	if (handler == SIG_DFL || handler == SIG_IGN)
		return false;
	clear_siginfo(&info);
	info.si_signo = ABI_HOOK_SIGNAL;
	info.si_code = SI_QUEUE;
	info.si_int = what;
	if (send_sig_info(ABI_HOOK_SIGNAL, &info, current))
		return false;
	if (sigismember(&current->blocked, ABI_HOOK_SIGNAL))
		return false;
	hook.runs = true;
	hook.ip = r->ip;
	hook.sp = r->sp;
	return true;
}

/* Is this the read that a hook interrupted? One that the hook makes has another stack. */
static bool hook_returned(void)
{
	const struct pt_regs *r = task_pt_regs(current);

	return r->ip == hook.ip && r->sp == hook.sp;
}

/* ---- the streams ---- */

/*
 * Hand over the reply, and wait for an event, with interrupts off: nothing may run between a thaw
 * and what parts the copies.
 * Returns true when this is another machine than before.
 */
static bool event_next(void)
{
	unsigned long flags;
	bool copied;

	thaw_box->reply_size = reply_size;
	local_irq_save(flags);
	thaw_ring(ABI_DOORBELL_NEXT);
	thaw_box->first_tsc = rdtsc();
	copied = thaw_box->generation != generation;
	if (copied)
		entropy_renew();
	local_irq_restore(flags);
	generation = thaw_box->generation;
	event_size = min_t(u64, thaw_box->event_size, ABI_EVENT_MAX);
	event_left = event_size;
	reply_size = 0;
	event_seen = true;
	return copied;
}

/*
 * The machine is about to be frozen: as soon after a timer's tick as can be. Who thaws it has all of
 * the time to the next one, whose handler is as long as the rest of an event's way. So is a round of
 * the random pool's hash.
 */
static void settle(void)
{
	unsigned long now = jiffies;

	while (jiffies == now)
		cpu_relax();
	settle_clone_randomness();
}

/* Returns 0 when there is something to deliver, or what the read returns. */
static int event_start(void)
{
	static bool frozen; /* the hooks before the freeze have been called */

	if (hook.runs) {
		if (!hook_returned())
			return -EDEADLK;
		hook.runs = false;
	}
	if (hook.held) {
		hook.held = false;
		return 0;
	}
	if (event_left)
		return 0;
	if (!frozen) {
		frozen = true;
		if (hook_send(ABI_HOOK_BEFORE_FREEZE))
			return -ERESTARTNOINTR;
	}
	if (!event_seen)
		settle();
	if (!event_next())
		return 0;
	clock_renew();
	hook.held = hook_send(ABI_HOOK_AFTER_THAW);
	return hook.held ? -ERESTARTNOINTR : 0;
}

static ssize_t event_copy(struct iov_iter *to)
{
	size_t size = min(iov_iter_count(to), event_left);
	const u8 *from = (u8 *)thaw_area(ABI_WINDOW_EVENT) + event_size - event_left;
	size_t done = size ? copy_to_iter(from, size, to) : 0;

	event_left -= done;
	return size && !done ? -EFAULT : done;
}

static ssize_t event_read(struct kiocb *iocb, struct iov_iter *to)
{
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	mutex_lock(&lock);
	ret = event_start();
	if (!ret)
		ret = event_copy(to);
	mutex_unlock(&lock);
	return ret;
}

/* How long is this event? */
static loff_t event_seek(struct file *file, loff_t offset, int whence)
{
	return offset == 0 && whence == SEEK_END ? event_size : -ESPIPE;
}

static __poll_t event_poll(struct file *file, struct poll_table_struct *table)
{
	return EPOLLIN | EPOLLRDNORM;
}

static ssize_t reply_take(struct iov_iter *from)
{
	size_t done, size = iov_iter_count(from);

	if (!event_seen)
		return -EPIPE;
	if (size > ABI_REPLY_MAX - reply_size)
		return -EMSGSIZE;
	done = copy_from_iter(thaw_area(ABI_WINDOW_REPLY) + reply_size, size, from);
	reply_size += done;
	return size && !done ? -EFAULT : done;
}

static ssize_t reply_write(struct kiocb *iocb, struct iov_iter *from)
{
	ssize_t ret;

	mutex_lock(&lock);
	ret = reply_take(from);
	mutex_unlock(&lock);
	return ret;
}

static const struct file_operations event_fops = {
	.open = thaw_own,
	.read_iter = event_read,
	.llseek = event_seek,
	.poll = event_poll,
	.flush = thaw_closed,
};
static const struct file_operations reply_fops = { .write_iter = reply_write };

static struct miscdevice event_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "thaw-event",
	.fops = &event_fops,
	.mode = 0400,
};
static struct miscdevice reply_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "thaw-reply",
	.fops = &reply_fops,
	.mode = 0200,
};

/* The machine begins with a time of day, and with random numbers that nothing has to wait for. */
static int __init event_init(void)
{
	u64 secret[ABI_ENTROPY_SIZE / sizeof(u64)];
	int ret;

	if (!thaw_find())
		return 0;
	generation = thaw_box->generation;
	clock_renew();
	entropy_take(secret);
	add_bootloader_randomness(secret, sizeof(secret));
	memzero_explicit(secret, sizeof(secret));
	ret = misc_register(&event_device);
	return ret ? ret : misc_register(&reply_device);
}
device_initcall(event_init);
