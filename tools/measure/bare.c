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

#define GIB	(1u << 30)
#define PTE_ALL (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

/* mov %eax, (%rdi); jmp back to it */
static const uint8_t code[] = { 0x89, 0x07, 0xeb, 0xfc };

static void put_tables(const struct mem *mem)
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
	memcpy(mem_at(mem, CODE_GPA, sizeof(code)), code, sizeof(code));
}

static int set_state(int fd, struct err *err)
{
	struct kvm_regs regs = { .rip = CODE_GPA,
				 .rdi = ABI_MAILBOX_REGS_GPA,
				 .rflags = RFLAGS_FIXED };
	struct kvm_sregs s;

	if (ioctl(fd, KVM_GET_SREGS, &s) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	s.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	s.cr3 = PML4_GPA;
	s.cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	s.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	segments_set_flat(&s, 3);
	if (ioctl(fd, KVM_SET_SREGS, &s) < 0)
		return err_sys(err, "KVM_SET_SREGS");
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}

int bare_open(struct bare *b, const struct kvm *kvm, struct thaw_err *err)
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
	put_tables(&b->machine.vm.mem);
	return set_state(b->machine.vm.vcpus[0].fd, cmd_err(err));
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
