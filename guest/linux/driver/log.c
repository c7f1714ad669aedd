// SPDX-License-Identifier: GPL-2.0
/*
 * log.c - the machine's words on their way to the host: those of the kernel (`console=thaw` on the
 * command line), and of the program's descriptors 1 and 2 (/dev/thaw-log1, /dev/thaw-log2).
 */
#include "thaw.h"

#include <linux/console.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

/* Of the log area; the kernel speaks in any context. */
static DEFINE_RAW_SPINLOCK(lock);

static void say(u32 stream, size_t size)
{
	thaw_box->log_stream = stream;
	thaw_box->log_size = size;
	thaw_ring(ABI_DOORBELL_LOG);
}

static void kernel_say(struct console *console, const char *text, unsigned int size)
{
	unsigned long flags;
	bool locked = true;

	size = min(size, ABI_WINDOW_LOG_SIZE);
	/* who panics may hold the lock */
	if (oops_in_progress)
		locked = raw_spin_trylock_irqsave(&lock, flags);
	else
		raw_spin_lock_irqsave(&lock, flags);
	memcpy(thaw_area(ABI_WINDOW_LOG), text, size);
	say(ABI_LOG_KERNEL, size);
	if (locked)
		raw_spin_unlock_irqrestore(&lock, flags);
}

static struct console thaw_console = {
	.name = "thaw",
	.write = kernel_say,
	.flags = CON_PRINTBUFFER,
	.index = -1,
};

/*
 * From user memory straight into the log area, where the kernel's words may not come in between: so
 * nothing may fault under the lock, and what is not there is brought before.
 */
static ssize_t log_some(u32 stream, struct iov_iter *from)
{
	size_t size = min(iov_iter_count(from), ABI_WINDOW_LOG_SIZE);
	unsigned long flags;

	if (fault_in_iov_iter_readable(from, size) == size)
		return -EFAULT;
	raw_spin_lock_irqsave(&lock, flags);
	pagefault_disable();
	size = copy_from_iter(thaw_area(ABI_WINDOW_LOG), size, from);
	if (size)
		say(stream, size);
	pagefault_enable();
	raw_spin_unlock_irqrestore(&lock, flags);
	return size;
}

static ssize_t log_write(u32 stream, struct iov_iter *from)
{
	ssize_t done = 0;

	while (iov_iter_count(from)) {
		ssize_t n = log_some(stream, from);

		if (n < 0)
			return done ? done : n;
		done += n;
	}
	return done;
}

static ssize_t write_out(struct kiocb *iocb, struct iov_iter *from)
{
	return log_write(ABI_LOG_STDOUT, from);
}

static ssize_t write_err(struct kiocb *iocb, struct iov_iter *from)
{
	return log_write(ABI_LOG_STDERR, from);
}

static const struct file_operations out_fops = { .write_iter = write_out };
static const struct file_operations err_fops = { .write_iter = write_err };

/* The numbers are those of the program's descriptors. */
static struct miscdevice out_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "thaw-log1",
	.fops = &out_fops,
	.mode = 0222,
};
static struct miscdevice err_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "thaw-log2",
	.fops = &err_fops,
	.mode = 0222,
};

static int __init log_init_console(void)
{
	if (thaw_find())
		register_console(&thaw_console);
	return 0;
}
console_initcall(log_init_console);

static int __init log_init(void)
{
	int ret = thaw_find() ? misc_register(&out_device) : 0;

	return thaw_box && !ret ? misc_register(&err_device) : ret;
}
device_initcall(log_init);
