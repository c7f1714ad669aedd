/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors.c - system calls and the event path leave the program's vector, x87 and general
 * registers alone, and nothing below its stack pointer is written. In each round a pattern goes
 * into the registers, one system call is made, and everything is compared.
 *
 * Prints "ok" and ends with status 0. Wants no event.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/guest/check.h"

struct state {
	unsigned char ymm[16][32];
	uint64_t rbx, rbp, r12, r13, r14, r15, rdi, rsi, rdx, r10, r8, r9;
	uint64_t red_zone;
	uint32_t mxcsr;
	uint16_t fcw;
};

/* In vectors_call.S: load @in, make system call @number, store to @out. Returns RAX. */
long vectors_call(const struct state *in, struct state *out, long number, long has_avx);

static unsigned char page[4096] __attribute__((aligned(4096)));

static void fill(struct state *s, const long *args, unsigned int seed)
{
	unsigned char *p = (unsigned char *)s;

	for (size_t i = 0; i < sizeof(*s); i++)
		p[i] = (unsigned char)(seed + i * 37);
	s->rdi = (uint64_t)args[0];
	s->rsi = (uint64_t)args[1];
	s->rdx = (uint64_t)args[2];
	s->r10 = (uint64_t)args[3];
	s->r8 = (uint64_t)args[4];
	s->r9 = (uint64_t)args[5];
	s->mxcsr = 0x1f80 | (seed & 3) << 13;
	s->fcw = (uint16_t)(0x37f & ~((seed & 3) << 8));
}

int main(void)
{
	static const struct {
		long number, args[6], result;
	} calls[] = {
		{ SYS_getpid, { 0 }, 1 },
		{ SYS_getrandom, { (long)page, 1000, 0 }, 1000 },
		{ SYS_clock_gettime, { 1, (long)page }, 0 },
		{ SYS_uname, { (long)page }, 0 },
		{ SYS_write, { 1, (long)"", 0 }, 0 },
		{ SYS_write, { 4, (long)"x", 1 }, -EPIPE },
		{ SYS_read, { 3, 64, 1 }, -EFAULT },
		{ SYS_read, { 3, (long)page, 0 }, 0 },
		{ SYS_socket, { 1, 1, 0 }, -ENOSYS },
		{ -1, { 0 }, -ENOSYS },
	};
	long has_avx = __builtin_cpu_supports("avx") != 0;

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct state in, out;

		fill(&in, calls[i].args, i + 1);
		memset(&out, 0, sizeof(out));
		if (!has_avx)
			for (unsigned int n = 0; n < 16; n++)
				memset(in.ymm[n] + 16, 0, 16);
		CHECK(vectors_call(&in, &out, calls[i].number, has_avx) == calls[i].result);
		CHECK(memcmp(in.ymm, out.ymm, sizeof(in.ymm)) == 0);
		CHECK(memcmp(&in.rbx, &out.rbx, 13 * sizeof(uint64_t)) == 0);
		CHECK(in.mxcsr == out.mxcsr && in.fcw == out.fcw);
	}
	puts("ok");
	return 0;
}
