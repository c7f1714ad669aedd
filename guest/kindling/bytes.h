/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - moving and clearing memory with general registers only: the program's vector
 * registers stay as they are. The mem* names are those that compilers call by themselves.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

/* Clear a secret that nobody reads again: not to be optimised away. */
static inline void bytes_wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" ::"r"(p) : "memory");
}

/* Make whole pages zero again. Pages that are zero already are not written, so that the host
 * does not have to give them memory of their own. Both arguments are multiples of a page. */
void bytes_clear_pages(void *start, uint64_t size);

static inline uint64_t bytes_round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

static inline uint64_t bytes_round_down(uint64_t n, uint64_t unit)
{
	return n & ~(unit - 1);
}
