/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/user.h"

#include <linux/errno.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/tables.h"

struct user_range user_write_ranges[USER_MAX_RANGES], user_read_ranges[USER_MAX_RANGES];
struct user_range *user_write_end = user_write_ranges, *user_read_end = user_read_ranges;

static struct user_range *range_add(struct user_range *first, struct user_range *end,
				    uint64_t start, uint64_t size)
{
	if (end > first && end[-1].end == start) {
		end[-1].end += size;
		return end;
	}
	*end = (struct user_range){ .start = start, .end = start + size };
	return end + 1;
}

struct user_area user_areas[USER_MAX_RANGES];
uint32_t user_nareas;

void user_add(uint64_t start, uint64_t size, uint32_t allow)
{
	user_areas[user_nareas++] = (struct user_area){ start, start + size, allow };
	user_read_end = range_add(user_read_ranges, user_read_end, start, size);
	if (allow & TABLES_WRITE)
		user_write_end = range_add(user_write_ranges, user_write_end, start, size);
}

/* Bytes from @addr to the end of its range; 0: in no range. */
static uint64_t range_left(const struct user_range *r, const struct user_range *end,
			   uint64_t addr)
{
	for (; r < end; r++)
		if (addr >= r->start && addr < r->end)
			return r->end - addr;
	return 0;
}

int user_can_read(uint64_t addr, uint64_t size)
{
	return size == 0 || size <= range_left(user_read_ranges, user_read_end, addr);
}

/* Not into the pages that kindling has of the arena: a wild pointer would end in a riddle. */
int user_can_write(uint64_t addr, uint64_t size)
{
	if (size == 0)
		return 1;
	if (size > range_left(user_write_ranges, user_write_end, addr))
		return 0;
	return addr < LAYOUT_ARENA || !memory_is_ours(addr, size);
}

int user_get(void *dst, uint64_t addr, uint64_t size)
{
	if (!user_can_read(addr, size))
		return -EFAULT;
	memcpy(dst, (const void *)addr, size);
	return 0;
}

int user_put(uint64_t addr, const void *src, uint64_t size)
{
	if (!user_can_write(addr, size))
		return -EFAULT;
	memcpy((void *)addr, src, size);
	return 0;
}

int64_t user_get_string(char *dst, uint64_t addr, uint64_t size)
{
	uint64_t left = range_left(user_read_ranges, user_read_end, addr);
	const char *src = (const char *)addr;

	for (uint64_t i = 0; i < size; i++) {
		if (i == left)
			return -EFAULT;
		dst[i] = src[i];
		if (!dst[i])
			return (int64_t)i;
	}
	return -ENAMETOOLONG;
}
