/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.c - signals with handlers. Behaves the same on Linux. Prints "ok" and ends with
 * status 0.
 */
#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/guest/check.h"

static volatile int calls, last_signal, last_code, depth, deepest;
static void *volatile last_addr;
static volatile uint64_t last_value;
static sigjmp_buf out;

static void note(int sig, siginfo_t *info, void *context)
{
	(void)context;
	calls++;
	last_signal = sig;
	last_code = info->si_code;
	last_addr = info->si_addr;
	last_value = (uint64_t)info->si_value.sival_ptr;
}

static void set_handler(int sig, void (*fn)(int, siginfo_t *, void *), unsigned int flags)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = (int)(SA_SIGINFO | flags) };

	sigemptyset(&sa.sa_mask);
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void own_signals(void)
{
	union sigval v = { .sival_ptr = (void *)0x1234567890 };

	set_handler(SIGUSR1, note, 0);
	CHECK(raise(SIGUSR1) == 0 && calls == 1 && last_signal == SIGUSR1);
	CHECK(last_code == SI_TKILL);
	CHECK(kill(getpid(), SIGUSR1) == 0 && calls == 2 && last_code == SI_USER);
	CHECK(sigqueue(getpid(), SIGUSR1, v) == 0 && calls == 3 && last_code == SI_QUEUE);
	CHECK(last_value == 0x1234567890);
	CHECK(kill(getpid(), 0) == 0 && calls == 3);
}

static void nest(int sig, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	depth++;
	deepest = depth > deepest ? depth : deepest;
	if (calls++ < 3)
		raise(sig);
	depth--;
}

static void nesting(void)
{
	calls = deepest = 0;
	set_handler(SIGUSR2, nest, 0); /* its own signal waits until it returns */
	CHECK(raise(SIGUSR2) == 0 && calls == 4 && deepest == 1);
	calls = deepest = 0;
	set_handler(SIGUSR2, nest, SA_NODEFER);
	CHECK(raise(SIGUSR2) == 0 && calls == 4 && deepest == 4);
}

static void reset(void)
{
	struct sigaction sa;

	calls = 0;
	set_handler(SIGUSR2, note, SA_RESETHAND);
	CHECK(raise(SIGUSR2) == 0 && calls == 1);
	CHECK(sigaction(SIGUSR2, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
}

static void masks(void)
{
	sigset_t set, old;
	siginfo_t info;
	struct timespec no_time = { 0 };

	calls = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0 && calls == 0);
	CHECK(sigpending(&set) == 0 && sigismember(&set, SIGUSR1));
	CHECK(sigsuspend(&old) == -1 && errno == EINTR && calls == 1);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGUSR1));
	CHECK(sigpending(&set) == 0 && !sigismember(&set, SIGUSR1));
	CHECK(raise(SIGUSR1) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigtimedwait(&set, &info, &no_time) == SIGUSR1 && info.si_code <= 0);
	CHECK_FAILS(sigtimedwait(&set, &info, &no_time), EAGAIN);
	CHECK(raise(SIGUSR1) == 0 && calls == 1);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && calls == 2);
}

static uint64_t stack_low, stack_high;
static volatile int on_stack;

static void look_at_stack(int sig, siginfo_t *info, void *context)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);
	stack_t now;

	(void)sig;
	(void)info;
	(void)context;
	on_stack = here >= stack_low && here < stack_high;
	CHECK(sigaltstack(NULL, &now) == 0 && (now.ss_flags == SS_ONSTACK) == on_stack);
	now.ss_flags = 0;
	if (on_stack)
		CHECK_FAILS(sigaltstack(&now, NULL), EPERM);
}

static void alternate_stack(void)
{
	static char memory[65536];
	stack_t s = { .ss_sp = memory, .ss_size = sizeof(memory) };
	stack_t small = { .ss_sp = memory, .ss_size = 1000 };

	stack_low = (uintptr_t)memory;
	stack_high = stack_low + sizeof(memory);
	CHECK_FAILS(sigaltstack(&small, NULL), ENOMEM);
	CHECK(sigaltstack(&s, NULL) == 0);
	set_handler(SIGUSR1, look_at_stack, 0);
	CHECK(raise(SIGUSR1) == 0 && !on_stack);
	set_handler(SIGUSR1, look_at_stack, SA_ONSTACK);
	CHECK(raise(SIGUSR1) == 0 && on_stack);
}

static void jump(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	siglongjmp(out, 1);
}

static int deeper(int n)
{
	volatile char frame[1024];

	frame[0] = (char)n;
	return n ? deeper(n + 1) + frame[0] : 0;
}

/* Faults, and the way out of them. */
static void faults(void)
{
	static const char constant[] = "read-only";

	set_handler(SIGSEGV, jump, SA_ONSTACK);
	set_handler(SIGFPE, jump, 0);
	set_handler(SIGILL, jump, 0);
	set_handler(SIGTRAP, note, 0);
	if (!sigsetjmp(out, 1))
		*nowhere() = 1;
	CHECK(last_signal == SIGSEGV && last_code == SEGV_MAPERR && last_addr == nowhere());
	if (!sigsetjmp(out, 1))
		__asm__ volatile("movb $0, (%0)" ::"r"(constant) : "memory");
	CHECK(last_code == SEGV_ACCERR && last_addr == (void *)(uintptr_t)constant);
	if (!sigsetjmp(out, 1))
		__asm__ volatile("movb $0, (%0)" ::"r"(1ul << 63) : "memory");
	CHECK(last_signal == SIGSEGV && last_code == SI_KERNEL && last_addr == NULL);
	if (!sigsetjmp(out, 1))
		__asm__ volatile("xor %%ecx, %%ecx; divl %%ecx" ::: "rax", "rcx", "rdx");
	CHECK(last_signal == SIGFPE && last_code == FPE_INTDIV);
	if (!sigsetjmp(out, 1))
		__asm__ volatile("ud2");
	CHECK(last_signal == SIGILL && last_code == ILL_ILLOPN);
	__asm__ volatile("int3");
	CHECK(last_signal == SIGTRAP && last_code == SI_KERNEL);
	if (!sigsetjmp(out, 1))
		deeper(1); /* to the end of the stack: the handler has another one */
	CHECK(last_signal == SIGSEGV);
}

static void skip_ud2(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	note(sig, info, context);
	CHECK(info->si_addr == (void *)uc->uc_mcontext.gregs[REG_RIP]);
	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RBX] ^= 0xff;
}

/* The context is the program's to read and to change; all registers come back. */
static void contexts(void)
{
	uint64_t rbx = 0x1100, rcx = 0x22, r11 = 0x33, rax = 0x44;

	set_handler(SIGILL, skip_ud2, 0);
	__asm__ volatile("mov %3, %%r11; stc; ud2; jnc 1f; mov %%r11, %3; jmp 2f; 1: ud2; 2:"
			 : "+b"(rbx), "+c"(rcx), "+a"(rax), "+r"(r11)
			 :
			 : "r11", "cc");
	CHECK(rbx == 0x11ff && rcx == 0x22 && r11 == 0x33 && rax == 0x44);
}

static void floats(int sig, siginfo_t *info, void *context)
{
	volatile double x = 1.5;

	note(sig, info, context);
	for (int i = 0; i < 100; i++)
		x = x * 3.25 + 1;
	__asm__ volatile("pcmpeqb %%xmm0, %%xmm0; movdqa %%xmm0, %%xmm7; movdqa %%xmm0, "
			 "%%xmm15; fninit; fld1; fld1" ::
				 : "xmm0", "xmm7", "xmm15");
}

__attribute__((target("avx"))) static void wide_registers(void)
{
	uint64_t in[4] = { 1, 2, 3, 4 }, got[4];

	if (!__builtin_cpu_supports("avx"))
		return;
	__asm__ volatile("vmovdqu %1, %%ymm7; ud2; vmovdqu %%ymm7, %0"
			 : "=m"(got)
			 : "m"(in)
			 : "xmm7");
	CHECK(memcmp(in, got, sizeof(in)) == 0);
}

static void skip_and_float(int sig, siginfo_t *info, void *context)
{
	floats(sig, info, context);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
#ifdef __GLIBC__
	__asm__ volatile("vzeroall" ::: "xmm0", "xmm7", "xmm15");
#endif
}

/* Vector registers, x87 stack and MXCSR are the program's again after a handler. */
static void vectors(void)
{
	uint64_t in = 0x0123456789abcdef, got;
	uint32_t mxcsr = 0x3f80, mxcsr_got;
	double fp = 2.75, fp_got;

	set_handler(SIGILL, skip_and_float, 0);
	__asm__ volatile("movq %3, %%xmm7; ldmxcsr %4; fldl %5; ud2; movq %%xmm7, %0; stmxcsr "
			 "%1; fstpl %2"
			 : "=r"(got), "=m"(mxcsr_got), "=m"(fp_got)
			 : "r"(in), "m"(mxcsr), "m"(fp)
			 : "xmm7");
	CHECK(got == in && mxcsr_got == mxcsr && fp_got == fp);
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
	wide_registers();
}

static void float_faults(void)
{
	static const uint32_t mxcsr = 0x1f80 & ~0x200; /* dividing by zero is not masked */

	set_handler(SIGFPE, jump, 0);
	if (!sigsetjmp(out, 1))
		__asm__ volatile("ldmxcsr %0; mov $1, %%eax; cvtsi2sd %%eax, %%xmm0; xorpd "
				 "%%xmm1, %%xmm1; divsd %%xmm1, %%xmm0" ::"m"(mxcsr)
				 : "rax", "xmm0", "xmm1");
	CHECK(last_signal == SIGFPE && last_code == FPE_FLTDIV);
}

static void pipes(void)
{
	int end[2];

	set_handler(SIGPIPE, note, SA_RESTART);
	CHECK(pipe(end) == 0 && close(end[0]) == 0);
	CHECK_FAILS(write(end[1], "x", 1), EPIPE);
	CHECK(last_signal == SIGPIPE);
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	CHECK_FAILS(write(end[1], "x", 1), EPIPE);
	CHECK(close(end[1]) == 0);
}

static volatile long steps;

static void step(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	steps++;
}

/* A program that steps through a system call gets the step after it. */
static void single_steps(void)
{
	set_handler(SIGTRAP, step, 0);
	steps = 0;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop; pushfq; andl $~0x100, "
			 "(%%rsp); popfq" ::
				 : "cc", "memory");
	CHECK(steps >= 4);
	steps = 0;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; mov $39, %%eax; syscall; nop; "
			 "pushfq; andl $~0x100, (%%rsp); popfq" ::
				 : "cc", "memory", "rax", "rcx", "r11");
	CHECK(steps >= 5);
}

/* "sse": only what needs a CPU that raises SSE exceptions; "no-sse": all but that. */
int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "sse") == 0) {
		float_faults();
		return 0;
	}
	own_signals();
	nesting();
	reset();
	masks();
	alternate_stack();
	faults();
	contexts();
	vectors();
	if (strcmp(what, "no-sse") != 0)
		float_faults();
	pipes();
	single_steps();
	puts("ok");
	return 0;
}
