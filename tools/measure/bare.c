/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/bare.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/segments.h"
#include "engine/x86.h"
#include "tools/thaw/cmd.h"
#include "snapshot/kind.h"

/* Where things lie in the 2 MiB of guest memory; ours. */
#define PML4_GPA 0x1000u
#define PDPT_GPA 0x2000u
#define LOW_GPA	 0x3000u /* page directory of the first GiB */
#define MMIO_GPA 0x4000u /* and of the one with the doorbells */
#define PAGE_GPA 0x5000u /* page table of their 2 MiB */
#define CODE_GPA 0x10000u
#define DATA_GPA 0x20000u /* what the loop of ring 0 loads, and the end of its stack */

#define GIB	(1u << 30)
#define PTE_ALL (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

/* What the guest does again and again. */
struct program {
	uint8_t ring;
	size_t size;
	uint8_t code[24];
};

/* mov %eax, (%rdi); jmp back to it */
static const struct program store = { .ring = 3,
				      .size = 4,
				      .code = { 0x89, 0x07, 0xeb, 0xfc } };

/*
 * What kernels mostly do: loads, sums, comparisons, a stack. 200 times, then the same store.
 *
 *	mov $200, %ecx
 *	1: mov (%rsi), %rax; push %rax; add %rdx, %rax; test %rax, %rax; pop %rax; dec %ecx; jnz 1b
 *	mov %eax, (%rdi); jmp to the beginning
 */
static const struct program ring0_loop = {
	.ring = 0,
	.size = 24,
	.code = { 0xb9, 0xc8, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x06, 0x50, 0x48, 0x01, 0xd0,
		  0x48, 0x85, 0xc0, 0x58, 0xff, 0xc9, 0x75, 0xf1, 0x89, 0x07, 0xeb, 0xe8 },
};
_Static_assert(BARE_RING0_INSTRUCTIONS == 2 + 200 * 7, "all of them but the store");

static void put_guest(const struct mem *mem, const struct program *p)
{
	uint64_t *pml4 = mem_at(mem, PML4_GPA, MEM_PAGE_SIZE);
	uint64_t *pdpt = mem_at(mem, PDPT_GPA, MEM_PAGE_SIZE);
	uint64_t *low = mem_at(mem, LOW_GPA, MEM_PAGE_SIZE);
	uint64_t *mmio = mem_at(mem, MMIO_GPA, MEM_PAGE_SIZE);
	uint64_t *page = mem_at(mem, PAGE_GPA, MEM_PAGE_SIZE);

	pml4[0] = PDPT_GPA | PTE_ALL;
	pdpt[0] = LOW_GPA | PTE_ALL;
	pdpt[ABI_MAILBOX_REGS_GPA / GIB] = MMIO_GPA | PTE_ALL;
	low[0] = PTE_ALL | PTE_PS;
	/* A small page: with a large one each exit was 2 us dearer here. */
	mmio[ABI_MAILBOX_REGS_GPA % GIB / MEM_HUGE_SIZE] = PAGE_GPA | PTE_ALL;
	page[ABI_MAILBOX_REGS_GPA % MEM_HUGE_SIZE / MEM_PAGE_SIZE] =
		ABI_MAILBOX_REGS_GPA | PTE_ALL;
	memcpy(mem_at(mem, CODE_GPA, p->size), p->code, p->size);
}

static int set_state(int fd, uint8_t ring, struct err *err)
{
	struct kvm_regs regs = { .rip = CODE_GPA,
				 .rsp = DATA_GPA,
				 .rsi = DATA_GPA,
				 .rdi = ABI_MAILBOX_REGS_GPA,
				 .rflags = RFLAGS_FIXED };
	struct kvm_sregs s;

	if (ioctl(fd, KVM_GET_SREGS, &s) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	s.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	s.cr3 = PML4_GPA;
	s.cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	segments_set_flat(&s, ring);
	if (ioctl(fd, KVM_SET_SREGS, &s) < 0)
		return err_sys(err, "KVM_SET_SREGS");
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}

static int open_with(struct bare *b, const struct kvm *kvm, const struct program *p,
		     struct thaw_err *err)
{
	struct shape shape;
	int ret;

	memset(b, 0, sizeof(*b));
	kind_shape(&kind_kindling, kvm, &kvm->cpuid, MEM_HUGE_SIZE, 0, &shape);
	b->mailbox_fd = mailbox_memfd(cmd_err(err));
	if (b->mailbox_fd < 0)
		return b->mailbox_fd;
	ret = machine_create(&b->machine, kvm, &shape, b->mailbox_fd, cmd_err(err));
	if (ret < 0)
		return ret;
	put_guest(&b->machine.vm.mem, p);
	return set_state(b->machine.vm.vcpus[0].fd, p->ring, cmd_err(err));
}

int bare_open(struct bare *b, const struct kvm *kvm, struct thaw_err *err)
{
	return open_with(b, kvm, &store, err);
}

int bare_open_ring0(struct bare *b, const struct kvm *kvm, struct thaw_err *err)
{
	return open_with(b, kvm, &ring0_loop, err);
}

void bare_close(struct bare *b)
{
	if (b->machine.mailbox)
		machine_destroy(&b->machine);
	if (b->mailbox_fd > 0)
		close(b->mailbox_fd);
}

int bare_sample(void *arg, double *us, struct thaw_err *err)
{
	struct bare *b = arg;
	const struct kvm_run *run = b->machine.vm.vcpus[0].run;
	nsec_t from = clock_monotonic();
	int ret = ioctl(b->machine.vm.vcpus[0].fd, KVM_RUN, 0);

	*us = (double)(clock_monotonic() - from) / 1e3;
	if (ret < 0)
		return err_sys(cmd_err(err), "KVM_RUN of the bare VM");
	if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != ABI_MAILBOX_REGS_GPA ||
	    !run->mmio.is_write)
		return err_set(cmd_err(err), EIO, "the bare VM stopped with exit reason %u",
			       run->exit_reason);
	return 0;
}
