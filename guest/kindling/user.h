/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - which of the program's addresses may be touched on its behalf. The mappings never
 * change while the program runs, so this is a short list made at its start, and kindling
 * never faults on a pointer that it was given.
 */
#pragma once

#include <stdint.h>

#define USER_MAX_RANGES 20u /* segments of the program, stack, arena */

struct user_range {
	uint64_t start, end; /* end: first byte behind */
};

/* Read by entry.S: ranges that may be written, ranges that may be read, neighbours joined. */
extern struct user_range user_write_ranges[], user_read_ranges[];
extern struct user_range *user_write_end, *user_read_end; /* behind the last one */

/* All mappings with what they allow (TABLES_WRITE, TABLES_EXEC), for /proc/self/maps. */
struct user_area {
	uint64_t start, end;
	uint32_t allow;
};
extern struct user_area user_areas[];
extern uint32_t user_nareas;

/* Add a mapping. In ascending order of addresses. */
void user_add(uint64_t start, uint64_t size, uint32_t allow);

/* May [@addr, @addr + @size) be read, or written? No byte: yes. */
int user_can_read(uint64_t addr, uint64_t size);
int user_can_write(uint64_t addr, uint64_t size);

/* Copy in either direction. Returns 0 or -EFAULT. */
int user_get(void *dst, uint64_t addr, uint64_t size) __attribute__((warn_unused_result));
int user_put(uint64_t addr, const void *src, uint64_t size) __attribute__((warn_unused_result));

/* Copy a string with its NUL into @size bytes. Returns its length, -EFAULT or -ENAMETOOLONG. */
int64_t user_get_string(char *dst, uint64_t addr, uint64_t size);
