/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiny.c - a function without a C library, for an image of a few pages.
 *
 * It fills a pattern once and counts its events. The reply to the Nth event is
 * "tiny N PATTERN: " and the event backwards, of a long event its first TINY_EVENT bytes;
 * PATTERN is a checksum over the pattern in 8 hex digits, the same in every healthy machine.
 */
#include <stddef.h>
#include <stdint.h>

#define TINY_EVENT   4096u
#define TINY_PATTERN 512u /* words; ours: fills one page */

enum { SYS_READ = 0, SYS_WRITE = 1, SYS_LSEEK = 8, SYS_EXIT = 60 }; /* Linux, x86-64 */

static char event[TINY_EVENT];
static char reply[TINY_EVENT + 64];
static uint64_t pattern[TINY_PATTERN];

_Noreturn void tiny_main(void);

/* The stack is 16-byte aligned at entry, and a call puts 8 bytes on it, as C expects. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	call tiny_main\n");

static long system_call(long number, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static void pattern_fill(void)
{
	uint64_t x = 0x7468617721; /* ours: "thaw!" */

	for (size_t i = 0; i < TINY_PATTERN; i++) {
		x ^= x << 13; /* xorshift64, Marsaglia 2003 */
		x ^= x >> 7;
		x ^= x << 17;
		pattern[i] = x;
	}
}

static uint32_t pattern_sum(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < TINY_PATTERN; i++)
		sum = (sum << 5 | sum >> 59) ^ pattern[i];
	return (uint32_t)(sum ^ sum >> 32);
}

/* Write @value with at least @width digits; returns the end. */
static char *number_put(char *at, uint64_t value, unsigned int base, unsigned int width)
{
	char digits[20];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || n < width);
	while (n)
		*at++ = digits[--n];
	return at;
}

static char *text_put(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

static char *reversed_put(char *at, const char *text, long size)
{
	while (size > 0)
		*at++ = text[--size];
	return at;
}

_Noreturn void tiny_main(void)
{
	uint64_t count = 0;
	long n;

	pattern_fill();
	while ((n = system_call(SYS_READ, 3, (long)event, sizeof(event))) >= 0) {
		long left = system_call(SYS_LSEEK, 3, 0, 2) - n;
		char *end = text_put(reply, "tiny ");

		end = number_put(end, ++count, 10, 1);
		end = text_put(end, " ");
		end = number_put(end, pattern_sum(), 16, 8);
		end = reversed_put(text_put(end, ": "), event, n);
		while (left > 0 && n > 0) { /* what is not read is still this event */
			n = system_call(SYS_READ, 3, (long)event, sizeof(event));
			left -= n;
		}
		system_call(SYS_WRITE, 4, (long)reply, end - reply);
	}
	for (;;)
		system_call(SYS_EXIT, 1, 0, 0);
}
