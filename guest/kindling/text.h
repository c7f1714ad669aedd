/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - sentences without a C library. Plain C, so that host-side tests can use it.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/*
 * text_print - as snprintf, for %s %d %u %x %ld %lu %lx and %%, without widths.
 * Always ends in NUL when @size > 0; what does not fit is cut off. Returns the length written.
 */
size_t text_print(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t text_vprint(char *buf, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));
