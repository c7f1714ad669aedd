/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.c - a guest that sets state up, waits for an event, and checks that all of it is
 * still there. The reply to each event is "ok GENERATION-DEPENDENT-RANDOM" or what was wrong.
 * The machine is frozen while it waits, so the wait itself holds the registers.
 */
#include <asm/prctl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATTERN_WORDS (2u << 20) /* 16 MiB */

/* What the wait must keep: callee-saved and other registers, vectors, the FPU's control. */
struct registers {
	uint64_t gpr[8]; /* rbx, rbp, r8, r9, r12..r15 */
	uint8_t vector[16][32];
	uint32_t mxcsr;
	uint16_t x87;
};

int wait_with_registers(struct registers *in, struct registers *out, void *buf, size_t len);

/* Loads everything from rdi, does read(3, rdx, rcx), stores everything to rsi. The two
 * pointers survive on the stack. Returns what read returned. */
__asm__(".text\n.globl wait_with_registers\nwait_with_registers:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi\n"
	"	ldmxcsr 576(%rdi)\n"
	"	fldcw 580(%rdi)\n"
	"	.irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	vmovdqu 64+32*\\n(%rdi), %ymm\\n\n"
	"	.endr\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rax\n"
	"	mov 0(%rdi), %rbx; mov 8(%rdi), %rbp; mov 16(%rdi), %r8; mov 24(%rdi), %r9\n"
	"	mov 32(%rdi), %r12; mov 40(%rdi), %r13; mov 48(%rdi), %r14; mov 56(%rdi), "
	"%r15\n"
	"	mov %rax, %rdx\n"
	"	mov $3, %edi\n"
	"	xor %eax, %eax\n"
	"	syscall\n"
	"	mov 0(%rsp), %rsi\n"
	"	mov %rbx, 0(%rsi); mov %rbp, 8(%rsi); mov %r8, 16(%rsi); mov %r9, 24(%rsi)\n"
	"	mov %r12, 32(%rsi); mov %r13, 40(%rsi); mov %r14, 48(%rsi); mov %r15, "
	"56(%rsi)\n"
	"	.irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	vmovdqu %ymm\\n, 64+32*\\n(%rsi)\n"
	"	.endr\n"
	"	stmxcsr 576(%rsi)\n"
	"	fnstcw 580(%rsi)\n"
	"	pop %rsi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	vzeroupper\n"
	"	ret\n");

_Static_assert(offsetof(struct registers, vector) == 64, "the assembly above");
_Static_assert(offsetof(struct registers, mxcsr) == 576, "the assembly above");
_Static_assert(offsetof(struct registers, x87) == 580, "the assembly above");

static uint64_t *pattern;
static _Thread_local uint64_t through_fs = 0x1122334455667788;
static uint64_t gs_target = 0x99aabbccddeeff00;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static uint64_t now_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void fill_registers(struct registers *r, uint64_t seed)
{
	uint8_t *bytes = (uint8_t *)r;

	for (size_t i = 0; i < sizeof(*r); i++)
		bytes[i] = (uint8_t)mix(seed + i);
	r->mxcsr = 0x3f80; /* defaults, but rounding down */
	r->x87 = 0x077f;   /* defaults, but rounding down */
}

static const char *check_registers(const struct registers *a, const struct registers *b)
{
	if (memcmp(a->gpr, b->gpr, sizeof(a->gpr)) != 0)
		return "general registers changed";
	if (memcmp(a->vector, b->vector, sizeof(a->vector)) != 0)
		return "vector registers changed";
	if (a->mxcsr != b->mxcsr || a->x87 != b->x87)
		return "floating-point control changed";
	return NULL;
}

static const char *check_memory(uint64_t seed)
{
	uint64_t via_gs;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(via_gs));
	if (via_gs != gs_target)
		return "GS base changed";
	if (through_fs != 0x1122334455667788)
		return "FS base changed";
	for (size_t i = 0; i < PATTERN_WORDS; i++) {
		if (pattern[i] != mix(seed + i))
			return "memory changed";
	}
	return NULL;
}

/* The pattern moves on with every event, so that a later freeze holds other bytes. */
static void set_up(uint64_t seed)
{
	for (size_t i = 0; i < PATTERN_WORDS; i++)
		pattern[i] = mix(seed + i);
}

int main(void)
{
	struct registers in, out;
	char event[64], reply[160];
	uint64_t seed = 1, before, after, wall, random;
	const char *wrong;

	pattern = malloc(PATTERN_WORDS * sizeof(*pattern));
	if (!pattern || syscall(SYS_arch_prctl, ARCH_SET_GS, &gs_target) != 0)
		return 1;
	for (;; seed++) {
		set_up(seed);
		fill_registers(&in, seed);
		before = now_ns(CLOCK_MONOTONIC);
		if (wait_with_registers(&in, &out, event, sizeof(event)) < 0)
			return 2;
		after = now_ns(CLOCK_MONOTONIC);
		wall = now_ns(CLOCK_REALTIME);
		wrong = check_registers(&in, &out);
		if (!wrong)
			wrong = check_memory(seed);
		if (!wrong && after < before)
			wrong = "CLOCK_MONOTONIC went back";
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			wrong = "no randomness";
		snprintf(reply, sizeof(reply), "%s random=%llx mono_gap_ns=%llu real_ns=%llu",
			 wrong ? wrong : "ok", (unsigned long long)random,
			 (unsigned long long)(after - before), (unsigned long long)wall);
		if (write(4, reply, strlen(reply)) < 0)
			return 3;
	}
}
