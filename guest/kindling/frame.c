/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/frame.h"

#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <linux/errno.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/fpu.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/regs.h"
#include "guest/kindling/user.h"

#define RED_ZONE   128u	      /* below RSP, the program's (System V ABI 3.2.2) */
#define FLAGS_USER 0x254dd5ul /* CF PF AF ZF SF TF DF OF NT RF AC ID: what a program may set */
#define FLAGS_ONE  0x2ul
#define FLAGS_OFF  0x10500ul /* RF DF TF: clear when a handler starts */

struct frame_memory {
	uint64_t restorer;
	struct ucontext uc;
	siginfo_t info;
};

int frame_on_stack(const stack_t *s, uint64_t sp)
{
	return sp - (uintptr_t)s->ss_sp - 1 < s->ss_size;
}

uint64_t frame_size(void)
{
	return RED_ZONE + fpu_size() + FPU_ALIGN + sizeof(struct frame_memory) + 16;
}

static void context_save(struct sigcontext *c, const struct regs *r, uint64_t mask,
			 const siginfo_t *info)
{
	int fault = (uint32_t)r->vector != REGS_NO_VECTOR;

	*c = (struct sigcontext){
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.rdi = r->rdi,
		.rsi = r->rsi,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.rdx = r->rdx,
		.rax = r->rax,
		.rcx = r->rcx,
		.rsp = r->rsp,
		.rip = r->rip,
		.eflags = r->rflags,
		.cs = LAYOUT_USER_CS,
		.ss = LAYOUT_USER_SS,
		.err = r->error_code,
		.trapno = fault ? r->vector : 0,
		.oldmask = mask,
		.cr2 = fault ? (uintptr_t)info->si_addr : 0,
	};
}

static void context_load(struct regs *r, const struct sigcontext *c)
{
	*r = (struct regs){
		.r8 = c->r8,
		.r9 = c->r9,
		.r10 = c->r10,
		.r11 = c->r11,
		.r12 = c->r12,
		.r13 = c->r13,
		.r14 = c->r14,
		.r15 = c->r15,
		.rdi = c->rdi,
		.rsi = c->rsi,
		.rbp = c->rbp,
		.rbx = c->rbx,
		.rdx = c->rdx,
		.rax = c->rax,
		.rcx = c->rcx,
		.rsp = c->rsp,
		.rip = c->rip,
		.rflags = (c->eflags & FLAGS_USER) | FLAGS_ONE,
		.cs = LAYOUT_USER_CS,
		.ss = LAYOUT_USER_SS,
		.vector = REGS_NO_VECTOR,
	};
}

/* Where the frame starts from: the alternate stack's top if it is wanted and not in use. */
static uint64_t frame_top(const struct regs *r, const struct frame *f)
{
	const stack_t *s = &f->stack;

	if (f->action.flags & SA_ONSTACK && s->ss_size && !frame_on_stack(s, r->rsp))
		return (uintptr_t)s->ss_sp + s->ss_size;
	return r->rsp - RED_ZONE;
}

int frame_push(struct regs *r, const struct frame *f)
{
	uint64_t top = frame_top(r, f);
	uint64_t fp = bytes_round_down(top - fpu_size(), FPU_ALIGN);
	uint64_t sp = bytes_round_down(fp - sizeof(struct frame_memory), 16) - 8;
	struct frame_memory *m = (struct frame_memory *)sp;

	if (!(f->action.flags & SA_RESTORER) || !user_can_write(sp, top - sp))
		return -EFAULT;
	m->restorer = f->action.restorer;
	m->info = f->info;
	m->uc.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	m->uc.uc_link = NULL;
	m->uc.uc_stack = f->stack;
	m->uc.uc_sigmask = f->mask;
	context_save(&m->uc.uc_mcontext, r, f->mask, &f->info);
	fpu_save((void *)fp);
	m->uc.uc_mcontext.fpstate = (struct _fpstate *)fp;
	fpu_reset();

	r->rip = f->action.handler;
	r->rsp = sp;
	r->rdi = (uint32_t)f->info.si_signo;
	r->rsi = (uintptr_t)&m->info;
	r->rdx = (uintptr_t)&m->uc;
	r->rax = 0;
	r->rflags &= ~FLAGS_OFF;
	return 0;
}

int frame_pop(struct regs *r, uint64_t *mask, stack_t *stack)
{
	const struct frame_memory *m = (const void *)(r->rsp - 8); /* RET took the restorer */
	uint64_t fp;

	if (!user_can_read((uintptr_t)m, sizeof(*m)))
		return -EFAULT;
	fp = (uintptr_t)m->uc.uc_mcontext.fpstate;
	if (fp && (!user_can_read(fp, fpu_size()) || fpu_load((const void *)fp)))
		return -EFAULT;
	if (!fp)
		fpu_reset();
	*mask = m->uc.uc_sigmask;
	*stack = m->uc.uc_stack;
	context_load(r, &m->uc.uc_mcontext);
	return 0;
}
