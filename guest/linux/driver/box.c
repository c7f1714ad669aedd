// SPDX-License-Identifier: GPL-2.0
/* box.c - finds the mailbox; the end of its program. */
#include "thaw.h"

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/miscdevice.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/irqflags.h>
#include <asm/ptrace.h>
#include <asm/trapnr.h>

struct abi_mailbox *thaw_box;
void __iomem *thaw_doorbells;

static struct pid *owner;

/* Nobody answers at these addresses in another VMM: all ones, and no magic. */
bool __init thaw_find(void)
{
	void *window;

	if (thaw_box)
		return true;
	if (page_is_ram(ABI_MAILBOX_WINDOW_GPA >> PAGE_SHIFT))
		return false;
	window = memremap(ABI_MAILBOX_WINDOW_GPA, ABI_WINDOW_SIZE, MEMREMAP_WB);
	if (!window)
		return false;
	thaw_doorbells = ioremap(ABI_MAILBOX_REGS_GPA, PAGE_SIZE);
	if (thaw_doorbells &&
	    READ_ONCE(((struct abi_mailbox *)window)->magic) == ABI_MAILBOX_MAGIC) {
		thaw_box = window;
		return true;
	}
	if (thaw_doorbells)
		iounmap(thaw_doorbells);
	memunmap(window);
	return false;
}

void __noreturn thaw_end(u32 doorbell)
{
	local_irq_disable();
	thaw_ring(doorbell);
	for (;;)
		native_halt();
}

int thaw_own(struct inode *inode, struct file *file)
{
	put_pid(owner);
	owner = get_pid(task_tgid(current));
	file->f_mode &= ~(FMODE_PREAD | FMODE_PWRITE); /* it has a size, but no positions */
	return 0;
}

/*
 * An exception leaves orig_ax at -1, a system call its number: a program that dies in one raised
 * the signal itself, or was sent it.
 */
static void crash_fill(struct abi_crash *c, u32 signal)
{
	const struct pt_regs *r = task_pt_regs(current);
	bool trapped = (long)r->orig_ax == -1 && current->thread.trap_nr < 32;

	c->signal = signal;
	c->vector = trapped ? current->thread.trap_nr : ~0u;
	c->error_code = trapped ? current->thread.error_code : 0;
	c->address = trapped && c->vector == X86_TRAP_PF ? current->thread.cr2 : 0;
	c->rip = r->ip, c->rsp = r->sp, c->rflags = r->flags;
	c->rax = trapped ? r->ax : r->orig_ax;
	c->rbx = r->bx, c->rcx = r->cx, c->rdx = r->dx;
	c->rsi = r->si, c->rdi = r->di, c->rbp = r->bp;
	c->r8 = r->r8, c->r9 = r->r9, c->r10 = r->r10, c->r11 = r->r11;
	c->r12 = r->r12, c->r13 = r->r13, c->r14 = r->r14, c->r15 = r->r15;
	c->fs_base = current->thread.fsbase; /* the register is clear by now */
}

int thaw_closed(struct file *file, void *id)
{
	u32 signal = current->exit_code & 0x7f;

	if (!(current->flags & PF_EXITING) || !signal || task_tgid(current) != owner)
		return 0;
	crash_fill(&thaw_box->crash, signal);
	thaw_end(ABI_DOORBELL_CRASH);
}

/* Written by init: the program's exit status in digits. */
static ssize_t exit_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	u32 status;
	int ret = kstrtou32_from_user(buf, size, 10, &status);

	if (ret < 0)
		return ret;
	thaw_box->exit_status = status;
	thaw_end(ABI_DOORBELL_EXIT);
}

static const struct file_operations exit_fops = { .write = exit_write };
static struct miscdevice exit_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "thaw-exit",
	.fops = &exit_fops,
	.mode = 0200,
};

static int __init box_init(void)
{
	return thaw_find() ? misc_register(&exit_device) : 0;
}
device_initcall(box_init);
