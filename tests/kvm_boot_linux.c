/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_boot_linux.c - what kernels find when they are entered, told by tiny ones. */
#include <asm/bootparam.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/boot_linux.h"
#include "engine/cpuid_linux.h"
#include "engine/err.h"
#include "engine/pc_memory.h"
#include "engine/x86.h"
#include "tests/helpers_kvm.h"
#include "tests/helpers_linux.h"

#define MIB (1ull << 20)

/* Ports of the payloads: 4 bytes to tell, and the end. */
#define TELL_PORT 0xf0u
#define END_PORT  0xf4u

/* clang-format off */
__asm__(
	".pushsection .rodata\n"
	".macro tell from\n"
	"	mov \\from, %eax\n"
	"	out %eax, $0xf0\n"
	".endm\n"
	".code32\n"
	"pvh_code:\n"
	"	tell %ebx\n"
	"	tell (%ebx)\n"
	"	tell %cr0\n"
	"	tell %cr4\n"
	"	mov %cs, %eax\n"
	"	out %eax, $0xf0\n"
	"	out %al, $0xf4\n"
	"	hlt\n"
	"pvh_end:\n"
	".code64\n"
	"long_code:\n"
	"	tell %esi\n"
	"	tell 0x202(%rsi)\n"
	"	mov %cr0, %rax\n"
	"	out %eax, $0xf0\n"
	"	mov %cs, %eax\n"
	"	out %eax, $0xf0\n"
	"	mov $0x18, %eax\n" /* there are descriptors behind the selectors */
	"	mov %eax, %ss\n"
	"	mov %eax, %ds\n"
	"	mov $0x2f0000, %esp\n"
	"	pushq $0x10\n"
	"	lea 1f(%rip), %rax\n"
	"	push %rax\n"
	"	lretq\n"
	"1:	pushfq\n"
	"	pop %rax\n"
	"	out %eax, $0xf0\n"
	"	mov $0xbffffff8, %eax\n" /* the last of RAM below the hole is mapped */
	"	tell (%rax)\n"
	"	out %al, $0xf4\n"
	"	hlt\n"
	"long_end:\n"
	"assist_code:\n"
	"	mov $0x2f0000, %esp\n"
	"	mov $0x2e0000, %edi\n" /* the IDT */
	"	lea 1f(%rip), %rax\n"
	"	mov %ax, 0x30(%rdi)\n"
	"	movw $0x10, 0x32(%rdi)\n"
	"	movw $0x8e00, 0x34(%rdi)\n"
	"	shr $16, %rax\n"
	"	mov %rax, 0x36(%rdi)\n"
	"	movw $0xfff, -16(%rdi)\n"
	"	mov %rdi, -14(%rdi)\n"
	"	lidt -16(%rdi)\n"
	"	xor %ebx, %ebx\n"
	"	int3\n"
	"	fwait\n"
	"	int3\n"
	"	tell %ebx\n"
	"	out %al, $0xf4\n"
	"1:	inc %ebx\n"
	"	mov (%rsp), %rax\n" /* RIP is behind the int3 */
	"	movzbl -1(%rax), %eax\n"
	"	out %eax, $0xf0\n"
	"	iretq\n"
	"assist_end:\n"
	"popcnt_code:\n"
	"	popcnt %rax, %rax\n"
	"	out %al, $0xf4\n"
	"popcnt_end:\n"
	".popsection\n");
/* clang-format on */

extern const uint8_t pvh_code[], pvh_end[], long_code[], long_end[], assist_code[],
	assist_end[], popcnt_code[], popcnt_end[];

static struct kvm kvm;
static struct vm vm;
static struct err err;
static uint32_t told[16];
static size_t ntold;

static int on_tell(void *arg, const struct bus_access *access)
{
	(void)arg;
	cr_assert(lt(sz, ntold, ARRAY_SIZE(told)));
	if (access->is_write)
		memcpy(&told[ntold++], access->data, access->len);
	return 0;
}

static int on_end(void *arg, const struct bus_access *access)
{
	(void)arg;
	(void)access;
	return BUS_STOP;
}

static void make_vm(uint64_t ram)
{
	const struct bus_range tell = { TELL_PORT, 4, on_tell, NULL };
	const struct bus_range end = { END_PORT, 1, on_end, NULL };
	static struct cpuid cpuid;
	struct vm_config cfg = {
		.mem = pc_memory_layout(ram), .nvcpus = 1, .cpuid = &cpuid, .ram_fd = -1
	};

	cr_assert(eq(int, kvm_open(&kvm, &err), 0), "%s", err.text);
	cpuid_for_linux(&kvm, &cpuid);
	cr_assert(eq(int, vm_create(&vm, &kvm, &cfg, &err), 0), "%s", err.text);
	cr_assert(eq(int, bus_add(&vm.pio, &tell, &err), 0));
	cr_assert(eq(int, bus_add(&vm.pio, &end, &err), 0));
}

static void teardown(void)
{
	vm_destroy(&vm);
	kvm_close(&kvm);
}

TestSuite(boot_linux, .fini = teardown, .timeout = 60);

/* A vmlinux with one of them in it. */
static struct vmlinux vmlinux_of(const uint8_t *code, const uint8_t *end)
{
	struct vmlinux elf;

	vmlinux_make(&elf, 0);
	memcpy(elf.code, code, (size_t)(end - code));
	return elf;
}

static void boot(const void *file, size_t size, enum linux_entry entry)
{
	const struct linux_boot b = { .kernel = { file, size },
				      .initrd = { "initrd", 6 },
				      .cmdline = "console=none",
				      .rsdp = 0xe0000,
				      .entry = entry };

	cr_assert(eq(int, boot_linux(&vm, &b, &err), 0), "%s", err.text);
}

static void run_to_end(void)
{
	nsec_t deadline = clock_monotonic() + 20 * NSEC_PER_SEC * slow();

	cr_assert(eq(int, vcpu_run(&vm.vcpus[0], deadline, &err), VCPU_STOP_DEVICE), "%s",
		  err.text);
}

static uint64_t word(gpa_t gpa, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, mem_at(&vm.mem, gpa, size), size);
	return value;
}

static void expect_text(gpa_t gpa, const char *text)
{
	cr_expect(eq(int, memcmp(mem_at(&vm.mem, gpa, strlen(text)), text, strlen(text)), 0));
}

/* Offsets: Xen's start_info.h. */
Test(boot_linux, a_kernel_is_entered_by_its_pvh_note)
{
	const struct vmlinux elf = vmlinux_of(pvh_code, pvh_end);
	gpa_t info, initrd, map;

	make_vm(3072 * MIB + 4 * MIB);
	boot(&elf, sizeof(elf), LINUX_ENTRY_ANY);
	run_to_end();
	info = told[0];
	cr_expect(eq(u32, told[1], 0x336ec578));
	cr_expect(eq(u32, told[2] & ~CR0_ET, CR0_PE));
	cr_expect(eq(u32, told[3], 0));
	cr_expect(eq(u64, word(info + 4, 4), 1));
	cr_expect(eq(u64, word(info + 12, 4), 1)); /* modules */
	initrd = word(info + 16, 8);
	cr_expect(eq(u64, word(initrd, 8), 3072 * MIB - MEM_PAGE_SIZE));
	cr_expect(eq(u64, word(initrd + 8, 8), 6));
	expect_text(word(initrd, 8), "initrd");
	expect_text(word(info + 24, 8), "console=none");
	cr_expect(eq(u64, word(info + 32, 8), 0xe0000));
	map = word(info + 40, 8);
	cr_expect(eq(u64, word(info + 48, 4), 4));
	cr_expect(eq(u64, word(map + 24, 8), 0x9fc00));
	cr_expect(eq(u64, word(map + 24 + 16, 4), 2));
	cr_expect(eq(u64, word(map + 72, 8), 4096 * MIB));
	cr_expect(eq(u64, word(map + 72 + 8, 8), 4 * MIB));
	cr_expect(eq(u64, word(map + 72 + 16, 4), 1));
}

static void expect_long_mode(void)
{
	const struct boot_params *p;

	run_to_end();
	p = mem_at(&vm.mem, told[0], sizeof(*p));
	cr_expect(eq(u32, told[1], 0x53726448));
	cr_expect(eq(u32, told[2] & (CR0_PE | CR0_PG), CR0_PE | CR0_PG));
	cr_expect(eq(u32, told[3], 0x10));
	cr_expect(eq(u32, told[4] & 0x200, 0)); /* interrupts are off */
	cr_expect(eq(u32, told[5], 0));
	cr_expect(eq(int, p->hdr.boot_flag, 0xaa55));
	cr_expect(eq(int, p->hdr.type_of_loader, 0xff));
	expect_text(p->hdr.cmd_line_ptr, "console=none");
	expect_text(p->hdr.ramdisk_image, "initrd");
	cr_expect(eq(u32, p->hdr.ramdisk_size, 6));
	cr_expect(eq(u64, p->acpi_rsdp_addr, 0xe0000));
	cr_expect(eq(int, p->e820_entries, 4));
	cr_expect(eq(u64, p->e820_table[1].addr, 0x9fc00));
	cr_expect(eq(u32, p->e820_table[1].type, 2));
	cr_expect(eq(u64, p->e820_table[3].addr, 4096 * MIB));
	cr_expect(eq(u64, p->e820_table[3].size, 4 * MIB));
}

Test(boot_linux, a_kernel_is_entered_in_64_bits)
{
	const struct vmlinux elf = vmlinux_of(long_code, long_end);

	make_vm(3072 * MIB + 4 * MIB);
	boot(&elf, sizeof(elf), LINUX_ENTRY_64);
	expect_long_mode();
}

Test(boot_linux, a_bzimage_is_entered_in_64_bits)
{
	static struct bzimage bz;

	bzimage_make(&bz);
	memcpy(bz.payload + 0x200, long_code, (size_t)(long_end - long_code));
	make_vm(3072 * MIB + 4 * MIB);
	boot(&bz, sizeof(bz), LINUX_ENTRY_ANY);
	expect_long_mode();
}

Test(boot_linux, int3_and_fwait_work_in_ring_0)
{
	const struct vmlinux elf = vmlinux_of(assist_code, assist_end);

	make_vm(4 * MIB);
	boot(&elf, sizeof(elf), LINUX_ENTRY_64);
	run_to_end();
	cr_expect(eq(sz, ntold, 3));
	cr_expect(eq(u32, told[0], 0xcc));
	cr_expect(eq(u32, told[1], 0xcc));
	cr_expect(eq(u32, told[2], 2)); /* breakpoints */
	cr_expect(eq(u64, vm.vcpus[0].stats.assists, kvm.quirks & QUIRK_ASSIST ? 3 : 0));
}

Test(boot_linux, an_instruction_that_kvm_lacks_is_told_with_what_avoids_it)
{
	const struct vmlinux elf = vmlinux_of(popcnt_code, popcnt_end);

	make_vm(4 * MIB);
	if (!(kvm.quirks & QUIRK_ASSIST))
		cr_skip_test("KVM has all of ring 0");
	boot(&elf, sizeof(elf), LINUX_ENTRY_64);
	cr_expect(eq(int, vcpu_run(&vm.vcpus[0], 0, &err), -ERR_CRASHED));
	cr_expect(ne(ptr,
		     strstr(err.text, "at RIP 0x200000, ring 0, 64-bit mode; bytes: f3 48 "
				      "0f b8 c0"),
		     NULL),
		  "%s", err.text);
	cr_expect(ne(ptr, strstr(err.text, "clearcpuid=popcnt"), NULL), "%s", err.text);
}

Test(boot_linux, a_linux_guest_is_alone_on_its_cpu)
{
	static struct cpuid c;
	const struct kvm_cpuid_entry2 *e;

	make_vm(4 * MIB);
	cpuid_for_linux(&kvm, &c);
	e = cpuid_find(&c, 1, 0);
	cr_expect(eq(u32, e->ebx >> 16 & 0xff, 1));
	cr_expect(eq(u32, e->edx >> 28 & 1, 0));
	cr_expect(eq(u32, e->ecx >> 31 & 1, 1)); /* hypervisor */
	cr_expect(eq(u32, e->ecx >> 21 & 1, 1)); /* x2APIC */
	cr_expect(eq(u32, e->ecx >> 24 & 1, 1)); /* TSC deadline */
	cr_expect(ne(ptr, cpuid_find(&c, 0x40000001, 0), NULL));
	if (kvm.quirks & QUIRK_SLOW_RING0)
		cr_expect(eq(u32, cpuid_find(&c, 0, 0)->eax, 1));
	else
		cr_expect(eq(str, linux_cmdline_quirks(&kvm), ""));
}
