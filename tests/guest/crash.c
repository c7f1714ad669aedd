/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.c KIND - die in one of these ways. What the report has to say:
 *
 *	kind	signal		vector	address
 *	null	SIGSEGV 11	14	0x10
 *	jump	SIGSEGV 11	14	0x1234, which is RIP too
 *	rodata	SIGSEGV 11	14	of the constant
 *	nx	SIGSEGV 11	14	of the data that was called
 *	stack	SIGSEGV 11	14	below the stack, within a page of RSP
 *	high	SIGSEGV 11	14	0xffffffff81000000
 *	gp	SIGSEGV 11	13	0
 *	hlt	SIGSEGV 11	13	0
 *	div	SIGFPE 8	0	0
 *	ud	SIGILL 4	6	0
 *	int3	SIGTRAP 5	3	0
 *	step	SIGTRAP 5	1	0
 *	align	SIGBUS 7	17	0 (needs CR0.AM)
 *	sse	SIGFPE 8	19	0
 *	x87	SIGFPE 8	16	0
 *	abort	SIGABRT 6	none	0
 *	term	SIGTERM 15	none	0
 *
 * R15 is 0x5afe in all of them but abort, term and stack. Ends with status 1 if it lives.
 */
#include <signal.h>

#include "tests/guest/check.h"

static const char constant[16] = "read-only";
static const unsigned char code[] = { 0xc3 };
static unsigned char data[sizeof(code)];

static int recurse(int n);
static int (*volatile deeper)(int n) = recurse; /* not to be seen through */

static int recurse(int n)
{
	volatile char frame[1024];

	frame[0] = (char)n;
	return deeper(n + 1) + frame[0];
}

static void die_by_memory(const char *kind)
{
	if (strcmp(kind, "null") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; mov 0x10, %%eax" ::: "rax", "r15");
	if (strcmp(kind, "jump") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; mov $0x1234, %%eax; jmp *%%rax" ::
					 : "rax", "r15");
	if (strcmp(kind, "rodata") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; movb $1, (%0)" ::"r"(constant)
				 : "r15", "memory");
	if (strcmp(kind, "nx") == 0) {
		memcpy(data, code, sizeof(code));
		__asm__ volatile("mov $0x5afe, %%r15; call *%0" ::"r"(data) : "r15", "memory");
	}
	if (strcmp(kind, "stack") == 0)
		recurse(0);
	if (strcmp(kind, "high") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; mov (%0), %%al" ::"r"(0xffffffff81000000)
				 : "rax", "r15");
	if (strcmp(kind, "gp") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; mov (%0), %%al" ::"r"(1ul << 63)
				 : "rax", "r15");
}

static void die_by_instruction(const char *kind)
{
	static const unsigned int mxcsr = 0x1f80 & ~0x200; /* dividing by zero not masked */
	static const unsigned short fcw = 0x37f & ~0x4;	   /* the same */

	if (strcmp(kind, "hlt") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; hlt" ::: "r15");
	if (strcmp(kind, "div") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; xor %%ecx, %%ecx; div %%ecx" ::
					 : "rax", "rcx", "rdx", "r15");
	if (strcmp(kind, "ud") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; ud2" ::: "r15");
	if (strcmp(kind, "int3") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; int3" ::: "r15");
	if (strcmp(kind, "step") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; push %%rax; pushf; orl $0x100, (%%rsp); "
				 "popf; nop; nop; pop %%rax" ::
					 : "r15", "cc", "memory");
	if (strcmp(kind, "align") == 0)
		__asm__ volatile("mov $0x5afe, %%r15; pushf; orl $0x40000, (%%rsp); popf; "
				 "mov 1(%0), %%eax" ::"r"(constant)
				 : "rax", "r15", "cc", "memory");
	if (strcmp(kind, "sse") == 0)
		__asm__ volatile(
			"mov $0x5afe, %%r15; ldmxcsr %0; mov $1, %%eax; cvtsi2sd %%eax, "
			"%%xmm0; xorpd %%xmm1, %%xmm1; divsd %%xmm1, %%xmm0" ::"m"(mxcsr)
			: "rax", "r15", "xmm0", "xmm1");
	if (strcmp(kind, "x87") == 0)
		__asm__ volatile(
			"mov $0x5afe, %%r15; fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"(fcw)
			: "r15");
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	die_by_memory(argv[1]);
	die_by_instruction(argv[1]);
	if (strcmp(argv[1], "abort") == 0)
		abort();
	if (strcmp(argv[1], "term") == 0)
		raise(SIGTERM);
	fprintf(stderr, "crash: %s did not\n", argv[1]);
	return 1;
}
