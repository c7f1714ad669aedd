/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/host.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "engine/kvm.h"
#include "engine/thread.h"
#include "engine/util.h"
#include "snapshot/thaw.h"

/* The first line of a small file, or "unknown". */
static void read_line(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(text, (int)size, f))
		snprintf(text, size, "unknown");
	text[strcspn(text, "\n")] = '\0';
	if (f)
		fclose(f);
}

/* "always [madvise] never": what is in brackets. */
static void keep_chosen(char *text)
{
	char *from = strchr(text, '[');
	char *to = from ? strchr(from, ']') : NULL;

	if (!to)
		return;
	memmove(text, from + 1, (size_t)(to - from - 1));
	text[to - from - 1] = '\0';
}

static void read_cpu(struct host_facts *h)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(h->cpu, sizeof(h->cpu), "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "model name : %63[^\n]", h->cpu) == 1)
			break;
	}
	if (f)
		fclose(f);
}

static void read_kvm(struct host_facts *h)
{
	static struct kvm kvm; /* large, and read once */
	size_t at = 0;

	snprintf(h->kvm, sizeof(h->kvm), "none");
	if (kvm_open(&kvm, NULL) < 0)
		return;
	snprintf(h->kvm, sizeof(h->kvm), "%s", kvm_kind_name(kvm.kind));
	for (const struct kvm_quirk_text *q = kvm_quirk_texts; q->name; q++) {
		if (kvm.quirks & q->quirk && at < sizeof(h->quirks))
			at += (size_t)snprintf(h->quirks + at, sizeof(h->quirks) - at, "%s%s",
					       at > 0 ? " " : "", q->name);
	}
	kvm_close(&kvm);
}

void host_facts_read(struct host_facts *h)
{
	static const char huge[] = "/sys/kernel/mm/transparent_hugepage/";
	struct utsname os = { 0 };
	char path[96], cmdline[2048];
	time_t now = time(NULL);
	struct tm utc;

	*h = (struct host_facts){ .cpus = thread_cpus() };
	h->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	read_cpu(h);
	read_kvm(h);
	uname(&os);
	snprintf(h->kernel, sizeof(h->kernel), "%.60s %.30s", os.release, os.version);
	snprintf(path, sizeof(path), "%senabled", huge);
	read_line(path, h->huge_anon, sizeof(h->huge_anon));
	keep_chosen(h->huge_anon);
	snprintf(path, sizeof(path), "%sshmem_enabled", huge);
	read_line(path, cmdline, sizeof(cmdline));
	keep_chosen(cmdline);
	snprintf(h->huge_shmem, sizeof(h->huge_shmem), "%.31s", cmdline);
	read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", h->governor,
		  sizeof(h->governor));
	read_line("/sys/module/kvm/parameters/nx_huge_pages", h->nx_huge_pages,
		  sizeof(h->nx_huge_pages));
	read_line("/proc/cmdline", cmdline, sizeof(cmdline));
	snprintf(h->mitigations, sizeof(h->mitigations), "%s",
		 strstr(cmdline, "mitigations=off") ? "off" : "on");
	if (gmtime_r(&now, &utc))
		strftime(h->date, sizeof(h->date), "%Y-%m-%dT%H:%M:%SZ", &utc);
	snprintf(h->version, sizeof(h->version), "%.15s", thaw_version());
}

const char *host_fact(const struct host_facts *h, unsigned int i, const char **text)
{
	static char cpus[16], memory[32];
	const struct {
		const char *name, *text;
	} facts[] = {
		{ "date", h->date },
		{ "thaw", h->version },
		{ "cpu", h->cpu },
		{ "cpus", cpus },
		{ "memory_bytes", memory },
		{ "kernel", h->kernel },
		{ "kvm", h->kvm },
		{ "kvm_quirks", h->quirks },
		{ "kvm_nx_huge_pages", h->nx_huge_pages },
		{ "huge_pages_anonymous", h->huge_anon },
		{ "huge_pages_shmem", h->huge_shmem },
		{ "governor", h->governor },
		{ "mitigations", h->mitigations },
	};

	if (i >= ARRAY_SIZE(facts))
		return NULL;
	snprintf(cpus, sizeof(cpus), "%u", h->cpus);
	snprintf(memory, sizeof(memory), "%" PRIu64, h->memory);
	*text = facts[i].text;
	return facts[i].name;
}

json_t *host_facts_json(const struct host_facts *h)
{
	json_t *facts = json_object();
	const char *name, *text;

	for (unsigned int i = 0; (name = host_fact(h, i, &text)) != NULL; i++)
		json_object_set_new(facts, name, json_string(text));
	json_object_set_new(facts, "cpus", json_integer(h->cpus));
	json_object_set_new(facts, "memory_bytes", json_integer((json_int_t)h->memory));
	return facts;
}
