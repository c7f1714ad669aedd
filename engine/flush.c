/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush.c - the ways to flush, and the guest that tries them. It has four levels of page tables
 * and two pages that hold 'A' and 'B'; virtual address LOOK is one of the two, by an entry that
 * says A in the file behind its memory and B in the private copy that it runs on first. It
 * stays in ring 3, so that its looks go through the same translations as a program's.
 */
#include "engine/flush.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "engine/err.h"
#include "engine/vm.h"
#include "engine/x86.h"

enum { CODE, PML4, PDPT, PD, PT, PAGE_A, PAGE_B }; /* guest pages by number */

#define GPA(page) ((uint64_t)(page)*MEM_PAGE_SIZE)
#define LOOK	  0x5000u	/* virtual: PT entry 5 */
#define DOOR	  0x10000u	/* virtual: PT entry 16 */
#define DOOR_GPA  0x40000000u	/* no memory behind it: a write there stops the guest */
#define TRY_SIZE  MEM_HUGE_SIZE /* of the guest's memory */
#define PATIENCE  (2 * NSEC_PER_SEC)

/* mov al, [LOOK]; mov [DOOR], al; jmp to the start */
static const uint8_t code[] = { 0x8a, 0x04, 0x25, 0x00, 0x50, 0x00, 0x00, 0x88,
				0x04, 0x25, 0x00, 0x00, 0x01, 0x00, 0xeb, 0xf0 };

struct trial {
	struct vm vm;
	uint8_t *memory; /* the file behind the guest's memory */
	int fd;
	char seen; /* what the guest wrote to the door */
};

static int door(void *dev, const struct bus_access *access)
{
	struct trial *t = dev;

	t->seen = (char)access->data[0];
	return BUS_STOP;
}

static void set_entry(uint8_t *memory, unsigned int table, unsigned int i, uint64_t gpa)
{
	uint64_t entry = gpa | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;

	memcpy(memory + GPA(table) + i * sizeof(entry), &entry, sizeof(entry));
}

static void fill_memory(uint8_t *memory)
{
	memcpy(memory + GPA(CODE), code, sizeof(code));
	memory[GPA(PAGE_A)] = 'A';
	memory[GPA(PAGE_B)] = 'B';
	set_entry(memory, PML4, 0, GPA(PDPT));
	set_entry(memory, PDPT, 0, GPA(PD));
	set_entry(memory, PD, 0, GPA(PT));
	set_entry(memory, PT, 0, GPA(CODE));
	set_entry(memory, PT, LOOK / MEM_PAGE_SIZE, GPA(PAGE_A));
	set_entry(memory, PT, DOOR / MEM_PAGE_SIZE, DOOR_GPA);
}

static int map_memory(struct trial *t, struct err *err)
{
	t->fd = memfd_create("thaw-flush", MFD_CLOEXEC);
	if (t->fd < 0 || ftruncate(t->fd, TRY_SIZE) < 0)
		return err_sys(err, "memory for a trial of flushing");
	t->memory = mmap(NULL, TRY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (t->memory == MAP_FAILED ||
	    mmap(t->vm.mem.regions[0].host, TRY_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, t->fd, 0) == MAP_FAILED)
		return err_sys(err, "map memory for a trial of flushing");
	fill_memory(t->memory);
	return 0;
}

static int set_registers(const struct trial *t, struct err *err)
{
	/* Segments of ring 3 as x86-64 Linux has them; types: SDM vol. 3A, 3.4.5.1 */
	const struct kvm_segment user = { .limit = ~0u,
					  .selector = 0x2b,
					  .type = 3,
					  .present = 1,
					  .dpl = 3,
					  .db = 1,
					  .s = 1,
					  .g = 1 };
	struct kvm_regs regs = { .rip = GPA(CODE), .rflags = RFLAGS_FIXED };
	struct kvm_sregs sregs;
	int fd = t->vm.vcpus[0].fd;

	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs = user;
	sregs.cs.selector = 0x33;
	sregs.cs.type = 11;
	sregs.cs.db = 0;
	sregs.cs.l = 1;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = GPA(PML4);
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS");
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}

/* Run to the door. */
static int look(struct trial *t, char *seen, struct err *err)
{
	int ret = vcpu_run(&t->vm.vcpus[0], clock_monotonic() + PATIENCE, err);

	if (ret < 0)
		return ret;
	if (ret != VCPU_STOP_DEVICE)
		return err_set(err, ERR_NO_KVM, "the trial of flushing stopped for reason %d",
			       ret);
	*seen = t->seen;
	return 0;
}

/* Swap the entry in the private copy, have it used, take the copy back. Does the guest notice? */
static int try_way(struct trial *t, enum flush_way way, bool *works, struct err *err)
{
	uint8_t *host = t->vm.mem.regions[0].host;
	char before = 0, after = 0;
	int ret;

	set_entry(host, PT, LOOK / MEM_PAGE_SIZE, GPA(PAGE_B));
	ret = flush_slots(&t->vm, err); /* whatever was tried before */
	if (ret == 0)
		ret = look(t, &before, err);
	if (ret == 0 && madvise(host + GPA(PT), MEM_PAGE_SIZE, MADV_DONTNEED) < 0)
		ret = err_sys(err, "MADV_DONTNEED");
	if (ret == 0 && way == FLUSH_BY_SLOT)
		ret = flush_slots(&t->vm, err);
	if (ret == 0)
		ret = look(t, &after, err);
	*works = before == 'B' && after == 'A';
	return ret;
}

static int try_ways(struct trial *t, enum flush_way *way, struct err *err)
{
	static const enum flush_way ways[] = { FLUSH_BY_PAGE, FLUSH_BY_SLOT };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		bool works = false;
		int ret = try_way(t, ways[i], &works, err);

		*way = ways[i];
		if (ret < 0 || works)
			return ret;
	}
	return err_set(err, ERR_NO_KVM,
		       "nothing makes KVM here notice that the host changed page tables");
}

static int trial_prepare(struct trial *t, struct err *err)
{
	struct bus_range range = {
		.base = DOOR_GPA, .size = MEM_PAGE_SIZE, .handler = door, .dev = t
	};
	int ret = bus_add(&t->vm.mmio, &range, err);

	if (ret == 0)
		ret = map_memory(t, err);
	return ret < 0 ? ret : set_registers(t, err);
}

static int trial_run(const struct kvm *kvm, enum flush_way *way, struct err *err)
{
	static const struct device_type *const none[] = { NULL };
	struct vm_config cfg = { .mem = { .nregions = 1, .regions[0] = { .size = TRY_SIZE } },
				 .nvcpus = 1,
				 .cpuid = &kvm->cpuid,
				 .types = none,
				 .ram_fd = -1,
				 .window_fd = -1 };
	auto_free struct trial *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return err_set(err, ENOMEM, "no memory for a trial of flushing");
	t->fd = -1;
	t->memory = MAP_FAILED;
	ret = vm_create(&t->vm, kvm, &cfg, err);
	if (ret < 0)
		return ret;
	ret = trial_prepare(t, err);
	if (ret == 0)
		ret = try_ways(t, way, err);
	vm_destroy(&t->vm);
	if (t->memory != MAP_FAILED)
		munmap(t->memory, TRY_SIZE);
	if (t->fd >= 0)
		close(t->fd);
	return ret;
}

int flush_way_find(const struct kvm *kvm, enum flush_way *way, struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static enum flush_way found;
	static bool is_found;
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (!is_found)
		ret = trial_run(kvm, &found, err);
	is_found = is_found || ret == 0;
	*way = found;
	pthread_mutex_unlock(&lock);
	return ret;
}

const char *flush_way_name(enum flush_way way)
{
	return way == FLUSH_BY_PAGE ? "page" : "slot";
}

/* RAM has the first slots (vm_create). */
int flush_slots(struct vm *vm, struct err *err)
{
	for (uint32_t i = 0; i < vm->mem.nregions; i++) {
		const struct mem_region *r = &vm->mem.regions[i];
		struct kvm_userspace_memory_region slot = { .slot = i,
							    .guest_phys_addr = r->gpa,
							    .userspace_addr =
								    (uintptr_t)r->host };

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(err, "take memory slot %u away", i);
		slot.memory_size = r->size;
		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(err, "put memory slot %u back", i);
	}
	return 0;
}
