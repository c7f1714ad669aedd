/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/account.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"

#define MIB (UINT64_C(1) << 20)

/* MemAvailable in bytes. Source: proc_meminfo(5). */
static int read_available(uint64_t *bytes, struct err *err)
{
	static const char key[] = "MemAvailable:";
	char line[128];
	uint64_t kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return err_sys(err, "/proc/meminfo");
	while (kib == 0 && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoull(line + strlen(key), NULL, 10);
	}
	fclose(f);
	if (kib == 0)
		return err_set(err, EINVAL, "/proc/meminfo has no MemAvailable");
	*bytes = kib * 1024;
	return 0;
}

int account_init(struct account *a, uint64_t limit, struct err *err)
{
	int ret = 0;

	*a = (struct account){ .limit = limit };
	if (limit == 0) {
		ret = read_available(&a->limit, err);
		a->limit -= a->limit / 8; /* ours: for everybody else, and page tables */
	}
	return ret;
}

int account_take(struct account *a, uint64_t bytes, const char *what, struct err *err)
{
	uint64_t used = __atomic_load_n(&a->used, __ATOMIC_RELAXED);

	do {
		if (bytes > a->limit - used)
			return err_set(err, ENOMEM,
				       "%s needs %" PRIu64 " MiB of memory, %" PRIu64
				       " of %" PRIu64 " MiB are left",
				       what, (bytes + MIB - 1) / MIB, (a->limit - used) / MIB,
				       a->limit / MIB);
	} while (!__atomic_compare_exchange_n(&a->used, &used, used + bytes, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}

void account_give(struct account *a, uint64_t bytes)
{
	__atomic_fetch_sub(&a->used, bytes, __ATOMIC_RELAXED);
}
