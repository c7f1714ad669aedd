/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/park.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/restore.h"
#include "snapshot/tier.h"
#include "tools/measure/memory.h"

#define MEASURE	 0x80000000u /* in asked: measure instead of answering */
#define ANSWER_S 60	     /* ours: longer than a thousand answers take on a slow host */

/* ---- futexes in shared memory ---- */

static void futex_wake(uint32_t *at)
{
	syscall(SYS_futex, at, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Sleep while *at is @value. Returns 0 (look again), or -ETIMEDOUT after @seconds (0: never). */
static int futex_wait(uint32_t *at, uint32_t value, int seconds)
{
	const struct timespec limit = { .tv_sec = seconds };
	long ret = syscall(SYS_futex, at, FUTEX_WAIT, value, seconds ? &limit : NULL, NULL, 0);

	return ret < 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

/* ---- a clone's process ---- */

/* Not on the stack: struct vm is large. One per process. */
static struct machine machine;
static int shell_fd; /* its mailbox */

static void measure(const struct park *p, struct park_slot *slot)
{
	const struct mem *mem = &machine.vm.mem;
	uint8_t page[MEM_PAGE_SIZE];
	off_t at = 0;

	slot->ram_uss = slot->ram_changed = 0;
	for (unsigned int i = 0; i < mem->nregions; i++)
		slot->ram_uss += memory_private(mem->regions[i].host, mem->regions[i].size);
	for (unsigned int i = 0; i < mem->nregions; i++) {
		for (uint64_t off = 0; off < mem->regions[i].size; off += sizeof(page)) {
			if (pread(p->template->memory_fd, page, sizeof(page), at) !=
			    sizeof(page))
				slot->ret = err_sys(&slot->err, "read the template");
			if (memcmp(page, mem->regions[i].host + off, sizeof(page)) != 0)
				slot->ram_changed += sizeof(page);
			at += (off_t)sizeof(page);
		}
	}
}

static int answer(struct park_slot *slot)
{
	const struct invocation inv = { .event = slot->event, .len = strlen(slot->event) };
	struct mailbox_reply reply;
	int ret = machine_invoke(&machine, &inv, &reply, NULL, &slot->err);

	if (ret == 0) {
		memset(slot->reply, 0, sizeof(slot->reply));
		memcpy(slot->reply, reply.data, MIN(reply.len, sizeof(slot->reply) - 1));
	}
	return ret;
}

/* Tell the parent: one answer more. */
static void tell(const struct park *p)
{
	__atomic_add_fetch(p->done, 1, __ATOMIC_SEQ_CST);
	futex_wake(p->done);
}

static int shell(const struct park *p, struct err *err)
{
	shell_fd = mailbox_memfd(err);
	if (shell_fd < 0)
		return shell_fd;
	return machine_create(&machine, p->kvm, &p->template->shape, shell_fd, err);
}

static _Noreturn void child(const struct park *p, struct park_slot *slot)
{
	uint32_t seen = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	slot->ret = shell(p, &slot->err);
	tell(p);
	for (;;) {
		uint32_t asked = __atomic_load_n(&slot->asked, __ATOMIC_SEQ_CST);

		if (asked == seen) {
			futex_wait(&slot->asked, seen, 0);
			continue;
		}
		if (asked & MEASURE) {
			measure(p, slot);
		} else {
			if (seen == 0 && slot->ret == 0)
				slot->ret = restore(&machine, p->template, &tier_map, NULL,
						    &slot->err);
			if (slot->ret == 0)
				slot->ret = answer(slot);
		}
		seen = asked;
		tell(p);
	}
}

/* ---- what a start dirties ---- */

/* Slots are numbered as they were made: RAM's come first (vm.c). */
static int slot_flags(const struct mem_region *r, uint32_t slot, uint32_t flags,
		      struct err *err)
{
	const struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = r->gpa,
		.memory_size = r->size,
		.userspace_addr = (uintptr_t)r->host,
	};

	if (ioctl(machine.vm.fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return err_sys(err, "KVM_SET_USER_MEMORY_REGION with flags 0x%x", flags);
	return 0;
}

/* Pages in the dirty log of one slot. */
static int slot_dirty(const struct mem_region *r, uint32_t slot, uint64_t *pages,
		      struct err *err)
{
	size_t words = r->size / MEM_PAGE_SIZE / 64;
	auto_free uint64_t *bitmap = calloc(words, sizeof(*bitmap));
	const struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	if (!bitmap)
		return err_set(err, ENOMEM, "no memory for a dirty log");
	if (ioctl(machine.vm.fd, KVM_GET_DIRTY_LOG, &log) < 0)
		return err_sys(err, "KVM_GET_DIRTY_LOG");
	for (size_t i = 0; i < words; i++)
		*pages += (uint64_t)__builtin_popcountll(bitmap[i]);
	return 0;
}

static int answer_logged(const struct template *t, uint64_t *pages, struct err *err)
{
	static struct park_slot slot = { .event = "event 1 of clone 1" };
	const struct mem *mem = &machine.vm.mem;
	int ret = restore(&machine, t, &tier_map, NULL, err);

	for (unsigned int i = 0; i < mem->nregions && ret == 0; i++)
		ret = slot_flags(&mem->regions[i], i, KVM_MEM_LOG_DIRTY_PAGES, err);
	if (ret < 0)
		return ret;
	ret = answer(&slot);
	if (ret < 0)
		*err = slot.err;
	*pages = 0;
	for (unsigned int i = 0; i < mem->nregions && ret == 0; i++)
		ret = slot_dirty(&mem->regions[i], i, pages, err);
	return ret;
}

int park_dirtied(const struct kvm *kvm, const struct template *t, uint64_t *bytes,
		 struct err *err)
{
	const struct park here = { .kvm = kvm, .template = t };
	uint64_t pages = 0;
	int ret = shell(&here, err);

	if (ret < 0)
		return ret;
	ret = answer_logged(t, &pages, err);
	machine_destroy(&machine);
	close(shell_fd);
	*bytes = pages * MEM_PAGE_SIZE;
	return ret;
}

/* ---- the parent ---- */

static void *shared(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

int park_open(struct park *p, const struct kvm *kvm, const struct template *t, unsigned int cap,
	      struct err *err)
{
	*p = (struct park){ .kvm = kvm, .template = t, .cap = cap };
	p->slots = shared(cap * sizeof(*p->slots));
	p->done = shared(sizeof(*p->done));
	p->pids = calloc(cap, sizeof(*p->pids));
	if (!p->slots || !p->done || !p->pids)
		return err_set(err, ENOMEM, "no memory for %u clones", cap);
	return 0;
}

void park_close(struct park *p)
{
	for (unsigned int i = 0; i < p->n; i++)
		kill(p->pids[i], SIGKILL);
	for (unsigned int i = 0; i < p->n; i++)
		waitpid(p->pids[i], NULL, 0);
	if (p->slots)
		munmap(p->slots, p->cap * sizeof(*p->slots));
	if (p->done)
		munmap(p->done, sizeof(*p->done));
	free(p->pids);
	*p = (struct park){ 0 };
}

/* Wait until *done is @want; the last wait that saw nothing happen for ANSWER_S is an error. */
static int wait_done(const struct park *p, uint32_t want, struct err *err)
{
	for (;;) {
		uint32_t now = __atomic_load_n(p->done, __ATOMIC_SEQ_CST);

		if (now == want)
			return 0;
		if (futex_wait(p->done, now, ANSWER_S) < 0)
			return err_set(err, ERR_TIMED_OUT,
				       "%u clones said nothing for %d seconds", want - now,
				       ANSWER_S);
	}
}

static int check_children(const struct park *p, unsigned int from, unsigned int to,
			  struct err *err)
{
	for (unsigned int i = from; i < to; i++) {
		if (p->slots[i].ret < 0) {
			*err = p->slots[i].err;
			return err_wrap(err, p->slots[i].ret, "clone %u of %u", i, p->n);
		}
	}
	return 0;
}

int park_grow(struct park *p, unsigned int n, struct err *err)
{
	uint32_t before = *p->done;
	unsigned int from = p->n;
	int ret;

	for (; p->n < n; p->n++) {
		pid_t pid = fork();

		if (pid < 0)
			return err_sys(err, "fork clone %u", p->n);
		if (pid == 0)
			child(p, &p->slots[p->n]);
		p->pids[p->n] = pid;
	}
	ret = wait_done(p, before + (n - from), err);
	return ret < 0 ? ret : check_children(p, from, n, err);
}

static void ask(struct park_slot *slot, uint32_t flags)
{
	uint32_t next = ((slot->asked & ~MEASURE) + 1) | flags;

	__atomic_store_n(&slot->asked, next, __ATOMIC_SEQ_CST);
	futex_wake(&slot->asked);
}

int park_ask(struct park *p, unsigned int from, unsigned int to, unsigned int salt,
	     nsec_t *wall, struct err *err)
{
	uint32_t before = *p->done;
	nsec_t start = clock_monotonic();
	int ret;

	for (unsigned int i = from; i < to; i++) {
		snprintf(p->slots[i].event, PARK_TEXT, "event %u of clone %u", salt, i);
		ask(&p->slots[i], 0);
	}
	ret = wait_done(p, before + (to - from), err);
	*wall = clock_monotonic() - start;
	if (ret == 0)
		ret = check_children(p, from, to, err);
	for (unsigned int i = from; i < to && ret == 0; i++) {
		if (strcmp(p->slots[i].event, p->slots[i].reply) != 0)
			ret = err_set(err, EIO, "clone %u answered '%s' to '%s'", i,
				      p->slots[i].reply, p->slots[i].event);
	}
	return ret;
}

int park_measure(struct park *p, unsigned int i, struct err *err)
{
	uint32_t before = *p->done;
	int ret;

	ask(&p->slots[i], MEASURE);
	ret = wait_done(p, before + 1, err);
	return ret < 0 ? ret : check_children(p, i, i + 1, err);
}
