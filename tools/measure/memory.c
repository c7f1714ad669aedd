/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/util.h"

/* Ours. Used memory that changes by less than SETTLED, five times in a row, is calm. */
#define SETTLE_STEP_NS 100000000l
#define SETTLE_STEPS   100u
#define SETTLE_CALM    5u
#define SETTLED	       (1u << 20)

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

/* "low-high rwxp ...": a mapping begins. */
static bool is_mapping(const char *line)
{
	char *at;

	strtoull(line, &at, 16);
	return at != line && *at == '-';
}

int memory_private(pid_t pid, const char *name, uint64_t *bytes)
{
	char path[64], line[512];
	bool inside = false;
	FILE *f;

	*bytes = 0;
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (is_mapping(line))
			inside = strstr(line, name) != NULL;
		if (!inside)
			continue;
		add_line(line, "Private_Clean", bytes);
		add_line(line, "Private_Dirty", bytes);
	}
	fclose(f);
	return 0;
}

static void read_host(struct memory_host *m)
{
	const struct {
		const char *name;
		uint64_t *value;
	} lines[] = {
		{ "MemAvailable", &m->available }, { "Slab", &m->slab },
		{ "PageTables", &m->page_tables }, { "KernelStack", &m->kernel_stack },
		{ "VmallocUsed", &m->vmalloc },	   { "Slab", &m->used },
		{ "PageTables", &m->used },	   { "SecPageTables", &m->used },
		{ "VmallocUsed", &m->used },	   { "Percpu", &m->used },
		{ "AnonPages", &m->used },	   { "Shmem", &m->used },
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

void memory_of_host(struct memory_host *m)
{
	const struct timespec step = { .tv_nsec = SETTLE_STEP_NS };
	uint64_t before;

	read_host(m);
	for (unsigned int i = 0, calm = 0; i < SETTLE_STEPS && calm < SETTLE_CALM; i++) {
		before = m->used;
		nanosleep(&step, NULL);
		read_host(m);
		calm = MAX(m->used, before) - MIN(m->used, before) < SETTLED ? calm + 1 : 0;
	}
}
