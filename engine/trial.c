/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/trial.h"

#include <string.h>
#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/segments.h"
#include "engine/x86.h"

enum { CODE, PML4, PDPT, PD, PT, PAGE_A, PAGE_B, TABLES }; /* guest pages by number */

#define GPA(page)     ((uint64_t)(page)*MEM_PAGE_SIZE)
#define LOOK	      0x5000u /* virtual: PT entry 5 */
#define IDT	      0x7000u /* virtual: PT entry 7; a stack grows down to it */
#define GDT	      0x7100u
#define DOOR	      0x10000u /* virtual: PT entry 16 */
#define APIC	      0x11000u /* virtual: PT entry 17 */
#define HANDLER	      10u      /* in TRIAL_INT1 */
#define VECTOR_DB     1u
#define CODE_SELECTOR 0x33ull	    /* of ring 3: segments.h */
#define DOOR_GPA      0x40000000u   /* no memory behind it */
#define TRY_SIZE      MEM_HUGE_SIZE /* of the guest's memory */
#define PROGRAM_SIZE  64u	    /* room for each */
#define PATIENCE      (2 * NSEC_PER_SEC)

/* clang-format off */
#define KNOCK 0x88, 0x04, 0x25, 0x00, 0x00, 0x01, 0x00 /* mov [DOOR], al */

/* By hand: SDM vol. 2. Each ends with a jump to its start. */
static const uint8_t programs[TRIAL_PROGRAMS][PROGRAM_SIZE] = {
	[TRIAL_LOOK] = { 0x8a, 0x04, 0x25, 0x00, 0x50, 0x00, 0x00, /* mov al, [LOOK] */
			 KNOCK, 0xeb, 0xf0 },
	[TRIAL_INT1] = { 0xf1, /* int1 */
			 KNOCK, 0xeb, 0xf6,
			 0xb0, 'D', /* HANDLER: mov al, 'D' */
			 KNOCK, 0xeb, 0xf5 },
	[TRIAL_DEBUG] = { 0x0f, 0x23, 0xc0, /* mov dr0, rax */
			  KNOCK, 0xeb, 0xf4 },
	[TRIAL_XCR] = { 0x31, 0xc9, 0x31, 0xd2, 0xb8, 0x01, 0x00, 0x00, 0x00, /* ecx, edx 0; eax 1 */
			0x0f, 0x01, 0xd1, /* xsetbv */
			KNOCK, 0xeb, 0xeb },
	[TRIAL_APIC] = { 0x89, 0x04, 0x25, 0x80, 0x13, 0x01, 0x00, /* mov [APIC + 0x380], eax */
			 KNOCK, 0xeb, 0xf0 },
	[TRIAL_WRMSR] = { 0xb9, 0x02, 0x01, 0x00, 0xc0, 0x31, 0xc0, 0x31, 0xd2, /* ecx; eax, edx 0 */
			  0x0f, 0x30, /* wrmsr */
			  KNOCK, 0xeb, 0xec },
	[TRIAL_SWAPGS] = { 0x0f, 0x01, 0xf8, /* swapgs */
			   KNOCK, 0xeb, 0xf4 },
};
/* clang-format on */

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

/* A gate to the handler of TRIAL_INT1, and what it loads from the GDT: SDM vol. 3A, 6.14.1 and 3.4.5 */
static void set_handler(uint8_t *tables)
{
	const uint64_t to = GPA(CODE) + (uint64_t)TRIAL_INT1 * PROGRAM_SIZE + HANDLER;
	const uint64_t gate = to | CODE_SELECTOR << 16 | 0xeeull << 40; /* present, DPL 3 */
	const uint64_t code = 0x00affb000000ffffull; /* flat, 64-bit, DPL 3 */

	memcpy(tables + VECTOR_DB * sizeof(uint64_t) * 2, &gate, sizeof(gate));
	memcpy(tables + GDT - IDT + (CODE_SELECTOR & ~7u), &code, sizeof(code));
}

static void fill_memory(uint8_t *memory)
{
	memcpy(memory + GPA(CODE), programs, sizeof(programs));
	set_handler(memory + GPA(TABLES));
	memory[GPA(PAGE_A)] = 'A';
	memory[GPA(PAGE_B)] = 'B';
	set_entry(memory, PML4, 0, GPA(PDPT));
	set_entry(memory, PDPT, 0, GPA(PD));
	set_entry(memory, PD, 0, GPA(PT));
	set_entry(memory, PT, 0, GPA(CODE));
	set_entry(memory, PT, TABLES, GPA(TABLES));
	set_entry(memory, PT, DOOR / MEM_PAGE_SIZE, DOOR_GPA);
	set_entry(memory, PT, APIC / MEM_PAGE_SIZE, APIC_DEFAULT_GPA);
}

int trial_enter(struct trial *t, enum trial_program program, struct err *err)
{
	struct kvm_regs regs = { .rip = GPA(CODE) + (uint64_t)program * PROGRAM_SIZE,
				 .rsp = IDT + MEM_PAGE_SIZE,
				 .rflags = RFLAGS_FIXED };
	int fd = t->vm.vcpus[0].fd;
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	segments_set_flat(&sregs, program <= TRIAL_INT1 ? 3 : 0);
	sregs.idt = (struct kvm_dtable){ .base = IDT, .limit = GDT - IDT - 1 };
	sregs.gdt = (struct kvm_dtable){ .base = GDT, .limit = CODE_SELECTOR | 7 };
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = GPA(PML4);
	sregs.cr4 = CR4_PAE | (t->vm.kvm->xcr0 ? CR4_OSXSAVE : 0);
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS");
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}

int trial_run(struct trial *t, struct err *err)
{
	int ret = vcpu_run(&t->vm.vcpus[0], clock_monotonic() + PATIENCE, err);

	if (ret < 0 || ret == VCPU_STOP_DEVICE)
		return MIN(ret, 0);
	return err_set(err, ERR_CRASHED, "the guest of a trial stopped for reason %d", ret);
}

void trial_look_at(struct trial *t, char page)
{
	set_entry(t->vm.mem.regions[0].host, PT, LOOK / MEM_PAGE_SIZE,
		  page == 'B' ? GPA(PAGE_B) : GPA(PAGE_A));
}

int trial_open(struct trial *t, const struct kvm *kvm, struct err *err)
{
	struct vm_config cfg = { .mem = { .nregions = 1, .regions[0] = { .size = TRY_SIZE } },
				 .nvcpus = 1,
				 .cpuid = &kvm->cpuid,
				 .ram_fd = -1 };
	struct bus_range range = {
		.base = DOOR_GPA, .size = MEM_PAGE_SIZE, .handler = door, .dev = t
	};
	int ret;

	ret = vm_create(&t->vm, kvm, &cfg, err);
	if (ret < 0)
		return ret;
	fill_memory(t->vm.mem.regions[0].host);
	return bus_add(&t->vm.mmio, &range, err);
}

void trial_close(struct trial *t)
{
	if (t->vm.kvm)
		vm_destroy(&t->vm);
}
