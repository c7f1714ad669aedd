/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util.h"

/* "Name:   123 kB": add the bytes to *value if the line has that name. */
static void add_line(const char *line, const char *name, uint64_t *value)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) == 0 && line[len] == ':')
		*value += strtoull(line + len + 1, NULL, 10) * 1024;
}

int memory_of(pid_t pid, struct memory_use *use)
{
	char path[64], line[256];
	FILE *f;

	*use = (struct memory_use){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		add_line(line, "Private_Clean", &use->uss);
		add_line(line, "Private_Dirty", &use->uss);
		add_line(line, "Pss", &use->pss);
	}
	fclose(f);
	return 0;
}

uint64_t memory_private(const void *from, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	const uintptr_t begin = (uintptr_t)from, end = begin + size;
	bool inside = false;
	uint64_t sum = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		char *at;
		uint64_t low = strtoull(line, &at, 16);

		if (at != line && *at == '-') /* "low-high rwxp ...": a mapping begins */
			inside = low < end && strtoull(at + 1, NULL, 16) > begin;
		if (!inside)
			continue;
		add_line(line, "Private_Clean", &sum);
		add_line(line, "Private_Dirty", &sum);
	}
	if (f)
		fclose(f);
	return sum;
}

void memory_of_host(struct memory_host *m)
{
	const struct {
		const char *name;
		uint64_t *value;
	} lines[] = {
		{ "MemAvailable", &m->available }, { "Slab", &m->slab },
		{ "PageTables", &m->page_tables }, { "KernelStack", &m->kernel_stack },
		{ "VmallocUsed", &m->vmalloc },
	};
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	*m = (struct memory_host){ 0 };
	while (f && fgets(line, sizeof(line), f)) {
		for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
			add_line(line, lines[i].name, lines[i].value);
	}
	if (f)
		fclose(f);
}
