/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - words for the host: kindling's own, and what the program writes to fd 1 and 2.
 */
#pragma once

#include <stdint.h>

/* Give @size bytes to the host as enum abi_log_stream @stream, in as many pieces as it takes. */
void log_write(uint32_t stream, const void *data, uint64_t size);

/* One line of kindling's own; the newline is added. No prefix: the host knows the stream. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

/* The same, and the end of the machine with exit status 127: what a shell says of a program
 * that it could not start. */
_Noreturn void log_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

/* End the machine with @status. */
_Noreturn void log_exit(uint32_t status);
