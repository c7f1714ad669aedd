/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_clones.c - many clones of one template alive at once, and what each of them costs. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/err.h"
#include "tests/helpers_kvm.h"

#define CLONES	100
#define USS_MAX (4u << 20)

/* What one clone's process tells its parent; in shared memory. */
struct told {
	int answered;
	char reply[160];
};

static void clone_process(const struct frozen *f, int index, struct told *told)
{
	static struct clone c;
	char query[80];
	char *reply;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(query, sizeof(query), "select id from orders where id=%d", 1000 + index);
	clone_make(&c, f, &tier_map);
	reply = machine_ask(&c.machine, query);
	snprintf(told->reply, sizeof(told->reply), "%s", reply);
	__atomic_store_n(&told->answered, 1, __ATOMIC_RELEASE);
	pause(); /* alive, its machine with it, until the parent has looked */
	_exit(0);
}

/* Unique set size of a process in bytes: memory that would be free without it. */
static size_t uss_of(pid_t pid)
{
	char path[64], line[256];
	size_t sum = 0, kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "re");
	cr_assert(ne(ptr, f, NULL));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Private_Clean: %zu kB", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %zu kB", &kib) == 1)
			sum += kib * 1024;
	}
	fclose(f);
	return sum;
}

Test(clones, a_hundred_alive_at_once_each_answer_and_stay_small, .timeout = 120)
{
	static struct frozen f;
	struct told *told;
	pid_t pids[CLONES];
	size_t most = 0, sum = 0;

	frozen_make(&f, guest_path("sql"));
	told = mmap(NULL, CLONES * sizeof(*told), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(ne(ptr, told, MAP_FAILED));
	for (int i = 0; i < CLONES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			clone_process(&f, i, &told[i]);
		cr_assert(gt(int, pids[i], 0));
	}
	for (int i = 0; i < CLONES; i++) {
		char want[64];

		for (int ms = 0;
		     ms < 60000 && !__atomic_load_n(&told[i].answered, __ATOMIC_ACQUIRE); ms++)
			usleep(1000);
		snprintf(want, sizeof(want), "[{\"id\":%d}]\n", 1000 + i);
		cr_expect(eq(str, told[i].reply, want), "clone %d", i);
	}
	for (int i = 0; i < CLONES; i++) {
		size_t uss = uss_of(pids[i]);

		most = uss > most ? uss : most;
		sum += uss;
	}
	fprintf(stderr, "USS of a clone: mean %zu KiB, largest %zu KiB\n", sum / CLONES / 1024,
		most / 1024);
	cr_expect(le(sz, most, USS_MAX));
	for (int i = 0; i < CLONES; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	frozen_free(&f);
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int c, n = 0;

	cr_assert(ne(ptr, f, NULL));
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

Test(clones, restores_leave_no_descriptor_and_no_mapping_behind, .timeout = 60)
{
	static struct frozen f;
	static struct clone c;
	int fds = 0, maps = 0;

	frozen_make(&f, guest_path("echo"));
	for (int i = 0; i < 100; i++) {
		const struct tier *tier = tiers[i % 2];
		char *reply;

		clone_make(&c, &f, tier);
		reply = machine_ask(&c.machine, "ping");
		cr_assert(eq(str, reply, "ping"));
		free(reply);
		clone_free(&c);
		if (i == 9) { /* after whatever is allocated once */
			fds = count_entries("/proc/self/fd");
			maps = count_maps();
		}
	}
	cr_expect(eq(int, count_entries("/proc/self/fd"), fds));
	cr_expect(le(int, count_maps(), maps));
	frozen_free(&f);
}

Test(clones, instructions_are_counted_where_ring_0_is_emulated, .timeout = 60)
{
	static struct frozen f;
	static struct clone c;
	const struct vcpu *v = &c.machine.vm.vcpus[0];
	uint64_t before, after;

	frozen_make(&f, guest_path("echo"));
	clone_make(&c, &f, &tier_map);
	before = vcpu_counts_emulated(&f.kvm, v->fd);
	free(machine_ask(&c.machine, "ping"));
	after = vcpu_counts_emulated(&f.kvm, v->fd);
	cr_expect(eq(u64, before, 0));
	if (f.kvm.quirks & QUIRK_SLOW_RING0)
		cr_expect(gt(u64, after, 0));
	else
		cr_expect(eq(u64, after, 0));
	clone_free(&c);
	frozen_free(&f);
}
