/* SPDX-License-Identifier: Apache-2.0 */
/* test_boot_linux.c - kernel files, built in memory, and all that can be wrong with them. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/boot_linux.h"
#include "engine/err.h"
#include "engine/pc_memory.h"
#include "tests/helpers_linux.h"

#define MIB (1ull << 20)
#define RAM (8 * MIB)

static struct vmlinux elf;
static struct bzimage bz;
static struct vm *vm;
static struct linux_kernel kernel;
static struct err err;

static void setup(void)
{
	vm = calloc(1, sizeof(*vm));
	vm->vcpus[0].fd = -1;
	vm->mem = pc_memory_layout(RAM);
	cr_assert(eq(int, mem_map(&vm->mem, &err), 0), "%s", err.text);
	vmlinux_make(&elf, 16);
	bzimage_make(&bz);
}

static void teardown(void)
{
	mem_unmap(&vm->mem);
	free(vm);
}

TestSuite(boot_linux, .init = setup, .fini = teardown);

static int load(const void *file, size_t size, enum linux_entry entry)
{
	const struct boot_blob blob = { file, size };

	return linux_kernel_load(&vm->mem, &blob, entry, &kernel, &err);
}

Test(boot_linux, a_vmlinux_is_entered_by_its_note_or_in_64_bits)
{
	static const struct {
		enum linux_entry entry;
		bool has_note, is_pvh;
	} cases[] = {
		{ LINUX_ENTRY_ANY, true, true },  { LINUX_ENTRY_ANY, false, false },
		{ LINUX_ENTRY_PVH, true, true },  { LINUX_ENTRY_64, true, false },
		{ LINUX_ENTRY_64, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		elf.notes[1].nh.n_type = cases[i].has_note ? 18 : 17;
		cr_assert(eq(int, load(&elf, sizeof(elf), cases[i].entry), 0), "%s", err.text);
		cr_expect(eq(int, kernel.is_pvh, cases[i].is_pvh), "case %zu", i);
		cr_expect(
			eq(u64, kernel.entry, cases[i].is_pvh ? KERNEL_GPA + 16 : KERNEL_GPA));
		cr_expect(eq(u64, kernel.end, KERNEL_GPA + KERNEL_SIZE));
		cr_expect(eq(u64, kernel.cmdline_max, 2047));
		cr_expect(eq(sz, kernel.setup_size, 0));
	}
}

Test(boot_linux, a_note_may_have_four_bytes)
{
	elf.notes[1].nh.n_descsz = 4;
	elf.ph[1].p_filesz -= 4;
	cr_assert(eq(int, load(&elf, sizeof(elf), LINUX_ENTRY_PVH), 0), "%s", err.text);
	cr_expect(eq(u64, kernel.entry, KERNEL_GPA + 16));
}

Test(boot_linux, a_bzimage_goes_where_it_prefers_to_be)
{
	cr_assert(eq(int, load(&bz, sizeof(bz), LINUX_ENTRY_ANY), 0), "%s", err.text);
	cr_expect(eq(u64, kernel.entry, KERNEL_GPA + 0x200));
	cr_expect(eq(u64, kernel.end, KERNEL_GPA + 3 * MIB));
	cr_expect(eq(u64, kernel.cmdline_max, 255));
	cr_expect(eq(u64, kernel.initrd_end, 0x80000000));
	cr_expect(eq(sz, kernel.setup_size, 0x202 + 0x66 - 0x1f1));
	cr_expect(eq(int, memcmp(kernel.setup, &bz.hdr, kernel.setup_size), 0));
	cr_expect(eq(int,
		     memcmp(mem_at(&vm->mem, KERNEL_GPA, sizeof(bz.payload)), bz.payload,
			    sizeof(bz.payload)),
		     0));
}

/* One change of one member each. */
struct damage {
	const char *why;
	size_t off, size; /* of the member in the file */
	uint64_t value;
	enum linux_entry entry;
	int ret;
	const char *text;
};

static void expect_refused(void *file, size_t size, const struct damage *d)
{
	uint8_t *copy = malloc(size);

	memcpy(copy, file, size);
	memcpy(copy + d->off, &d->value, d->size);
	cr_expect(eq(int, load(copy, size, d->entry), d->ret), "%s", d->why);
	cr_expect(eq(str, err.text, (char *)d->text), "%s", d->why);
	free(copy);
}

#define EH(m)	offsetof(struct vmlinux, eh.m), sizeof(elf.eh.m)
#define LOAD(m) offsetof(struct vmlinux, ph[0].m), sizeof(elf.ph[0].m)
#define NOTE(m) offsetof(struct vmlinux, ph[1].m), sizeof(elf.ph[1].m)
#define XEN(m)	offsetof(struct vmlinux, notes[1].m), sizeof(elf.notes[1].m)
#define NO_PVH	"no PVH note, so no PVH entry point"

Test(boot_linux, bad_vmlinux_files_are_refused_with_what_is_wrong)
{
	static const struct damage cases[] = {
		{ "no ELF", EH(e_ident[0]), 'E', LINUX_ENTRY_ANY, -ENOEXEC,
		  "neither an ELF file nor a bzImage" },
		{ "32 bits", EH(e_ident[EI_CLASS]), ELFCLASS32, LINUX_ENTRY_ANY, -ENOEXEC,
		  "not a 64-bit x86-64 ELF file" },
		{ "a module", EH(e_type), ET_REL, LINUX_ENTRY_ANY, -ENOEXEC,
		  "ELF type 1, expected 2 (ET_EXEC)" },
		{ "where firmware is", LOAD(p_paddr), MIB - 1, LINUX_ENTRY_ANY, -ENOEXEC,
		  "entry point 0x200000 is in no segment" },
		{ "over firmware", LOAD(p_paddr), KERNEL_GPA - MIB - 4096 * 16, LINUX_ENTRY_ANY,
		  -ENOEXEC, "entry point 0x200000 is in no segment" },
		{ "larger than memory", LOAD(p_memsz), RAM, LINUX_ENTRY_ANY, -ENOEXEC,
		  "segment at 0x200000, 0x800000 bytes, is outside guest memory" },
		{ "notes outside the file", NOTE(p_offset), 1 << 20, LINUX_ENTRY_ANY, -ENOEXEC,
		  "notes at file offset 1048576, 48 bytes, do not fit the file's 736 bytes" },
		{ "endless notes", NOTE(p_filesz), UINT64_MAX, LINUX_ENTRY_ANY, -ENOEXEC,
		  "notes at file offset 176, 18446744073709551615 bytes, do not fit the file's "
		  "736 bytes" },
		{ "no notes", NOTE(p_type), PT_NULL, LINUX_ENTRY_PVH, -ENOEXEC, NO_PVH },
		{ "another note", XEN(nh.n_type), 17, LINUX_ENTRY_PVH, -ENOEXEC, NO_PVH },
		{ "another name", XEN(name[0]), 'x', LINUX_ENTRY_PVH, -ENOEXEC, NO_PVH },
		{ "an endless name", XEN(nh.n_namesz), 0xffffffff, LINUX_ENTRY_PVH, -ENOEXEC,
		  NO_PVH },
		{ "a note that ends too late", XEN(nh.n_descsz), 9, LINUX_ENTRY_PVH, -ENOEXEC,
		  NO_PVH },
		{ "a short note", XEN(nh.n_descsz), 3, LINUX_ENTRY_ANY, -ENOEXEC,
		  "PVH note of 3 bytes, expected 4 or 8" },
		{ "PVH entry behind memory", XEN(entry), RAM, LINUX_ENTRY_ANY, -ENOEXEC,
		  "PVH entry point 0x800000 is outside guest memory" },
		{ "PVH entry nowhere", XEN(entry), UINT64_MAX, LINUX_ENTRY_ANY, -ENOEXEC,
		  "PVH entry point 0xffffffffffffffff is outside guest memory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_refused(&elf, sizeof(elf), &cases[i]);
}

Test(boot_linux, a_vmlinux_stays_away_from_firmware)
{
	elf.eh.e_entry = elf.ph[0].p_paddr = MIB - 4096;
	cr_expect(eq(int, load(&elf, sizeof(elf), LINUX_ENTRY_64), -ENOEXEC));
	cr_expect(eq(str, err.text,
		     "kernel is from 0xff000 to 0x1ff000, expected from 0x100000 to "
		     "0xc0000000 at most"));
}

#define HDR(m) offsetof(struct bzimage, hdr.m), sizeof(bz.hdr.m)

Test(boot_linux, bad_bzimages_are_refused_with_what_is_wrong)
{
	static const struct damage cases[] = {
		{ "no magic", HDR(header), 0, LINUX_ENTRY_ANY, -ENOEXEC,
		  "neither an ELF file nor a bzImage" },
		{ "no boot sector", HDR(boot_flag), 0x55aa, LINUX_ENTRY_ANY, -ENOEXEC,
		  "neither an ELF file nor a bzImage" },
		{ "by PVH", HDR(version), 0x20f, LINUX_ENTRY_PVH, -ENOEXEC,
		  "a bzImage has no PVH entry point" },
		{ "too old", HDR(version), 0x20b, LINUX_ENTRY_ANY, -ENOEXEC,
		  "boot protocol 2.11, expected 2.12 or later" },
		{ "32 bits", HDR(xloadflags), XLF_CAN_BE_LOADED_ABOVE_4G, LINUX_ENTRY_64,
		  -ENOEXEC, "a 32-bit kernel, expected a 64-bit one" },
		{ "low", HDR(pref_address), 0x10000, LINUX_ENTRY_ANY, -ENOEXEC,
		  "kernel prefers to be at 0x10000, expected 0x100000 or above" },
		{ "high", HDR(pref_address), UINT64_MAX, LINUX_ENTRY_ANY, -E2BIG,
		  "kernel needs 3145728 bytes of memory at 0xffffffffffffffff, which ends at "
		  "0x800000" },
		{ "larger than memory", HDR(init_size), RAM - KERNEL_GPA + 1, LINUX_ENTRY_ANY,
		  -E2BIG,
		  "kernel needs 6291457 bytes of memory at 0x200000, which ends at 0x800000" },
		{ "truncated", HDR(syssize), sizeof(bz.payload) / 16 + 1, LINUX_ENTRY_ANY,
		  -ENOEXEC, "file of 5120 bytes, expected 5136" },
		{ "endless", HDR(syssize), UINT32_MAX, LINUX_ENTRY_ANY, -ENOEXEC,
		  "file of 5120 bytes, expected 68719477744" },
		{ "nothing in it", HDR(syssize), 32, LINUX_ENTRY_ANY, -ENOEXEC,
		  "kernel of 512 bytes has no entry point" },
		{ "only setup code", HDR(setup_sects), 64, LINUX_ENTRY_ANY, -ENOEXEC,
		  "file of 5120 bytes, expected 37376" },
		{ "as old as can be", HDR(setup_sects), 0, LINUX_ENTRY_ANY, -ENOEXEC,
		  "file of 5120 bytes, expected 6656" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_refused(&bz, sizeof(bz), &cases[i]);
}

/* Each in memory of its own size, so that a sanitizer sees any byte too many. */
Test(boot_linux, truncated_files_are_refused_wherever_they_end)
{
	const struct {
		const void *file;
		size_t size;
	} files[] = { { &elf, sizeof(elf) }, { &bz, sizeof(bz) } };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		for (size_t size = 0; size < files[i].size; size++) {
			uint8_t *part = malloc(size + (size == 0));

			memcpy(part, files[i].file, size);
			cr_expect(eq(int, load(part, size, LINUX_ENTRY_ANY), -ENOEXEC),
				  "file %zu, %zu bytes", i, size);
			free(part);
		}
	}
}

static int boot(size_t ncmdline, size_t ninitrd)
{
	char *cmdline = calloc(1, ncmdline + 1);
	void *initrd = calloc(1, ninitrd + 1);
	const struct linux_boot b = { .kernel = { &bz, sizeof(bz) },
				      .initrd = { initrd, ninitrd },
				      .cmdline = memset(cmdline, 'x', ncmdline) };
	int ret = boot_linux(vm, &b, &err);

	free(cmdline);
	free(initrd);
	return ret;
}

Test(boot_linux, what_does_not_fit_is_told_with_both_numbers)
{
	cr_expect(eq(int, boot(256, 0), -E2BIG));
	cr_expect(eq(str, err.text, "command line has 256 bytes, the kernel takes 255"));
	cr_expect(eq(int, boot(1, 3 * MIB + 1), -E2BIG));
	cr_expect(eq(str, err.text,
		     "initrd has 3145729 bytes, guest memory has room for 3145728"));
	bz.hdr.initrd_addr_max = KERNEL_GPA - 1;
	cr_expect(eq(int, boot(1, 1), -E2BIG));
	cr_expect(eq(str, err.text, "initrd has 1 bytes, guest memory has room for 0"));
	bz.hdr.cmdline_size = UINT32_MAX;
	cr_expect(eq(int, boot(1 << 20, 0), -E2BIG));
	cr_expect(eq(str, err.text, "command line has 1048576 bytes, the kernel takes 458751"));
}

Test(boot_linux, the_initrd_lies_as_high_as_it_may)
{
	cr_expect(eq(int, boot(255, 3 * MIB), -EBADF)); /* all is there but a vCPU */
	bz.hdr.pref_address = MIB;
	bz.hdr.initrd_addr_max = 6 * MIB - 1;
	cr_expect(eq(int, boot(1, 4097), -EBADF));
	const struct boot_params *p = mem_at(&vm->mem, LINUX_START_GPA, sizeof(*p));
	cr_expect(eq(u32, p->hdr.ramdisk_image, 6 * MIB - 2 * 4096));
	cr_expect(eq(u32, p->hdr.ramdisk_size, 4097));
	cr_expect(eq(u32, p->hdr.cmd_line_ptr, LINUX_CMDLINE_GPA));
	cr_expect(eq(int, p->hdr.type_of_loader, 0xff));
	cr_expect(eq(u64, p->hdr.pref_address, MIB));
}

Test(boot_linux, other_memory_is_refused)
{
	vm->mem.regions[0].gpa = 2 * MIB;
	cr_expect(eq(int, boot(0, 0), -EINVAL));
	cr_expect(eq(str, err.text,
		     "Linux needs RAM from 0 to beyond 0x100000, and none at 0xc0000000"));
	vm->mem.regions[0].gpa = 0;
}

Test(pc_memory, lies_below_the_hole_and_above_it)
{
	static const struct {
		uint64_t size, low, high;
	} cases[] = {
		{ 2 * MIB, 2 * MIB, 0 },
		{ 3072 * MIB, 3072 * MIB, 0 },
		{ 3074 * MIB, 3072 * MIB, 2 * MIB },
		{ 65536 * MIB, 3072 * MIB, 62464 * MIB },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct mem m = pc_memory_layout(cases[i].size);
		struct pc_range map[PC_RANGES_MAX];
		uint32_t n = pc_memory_map(&m, map);

		cr_expect(eq(u32, m.nregions, cases[i].high ? 2 : 1));
		cr_expect(eq(u64, m.regions[0].size, cases[i].low));
		cr_expect(eq(u64, m.regions[1].size, cases[i].high));
		cr_expect(eq(u32, n, 2 + m.nregions));
		cr_expect(eq(u64, map[2].gpa + map[2].size, cases[i].low));
		if (cases[i].high)
			cr_expect(eq(u64, map[3].gpa, 4096 * MIB));
	}
}

/* ---- how it ended ---- */

/* Linux writes the flag before it resets: native_machine_emergency_restart(). */
Test(boot_linux, a_panic_asks_the_bios_for_a_warm_boot)
{
	static const struct {
		uint16_t flag;
		bool is_panic;
	} cases[] = { { 0, false }, { 0x1234, true }, { 0x1200, false }, { 0x0034, false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(mem_at(&vm->mem, 0x472, 2), &cases[i].flag, 2);
		cr_expect(eq(int, boot_linux_panicked(&vm->mem), cases[i].is_panic), "0x%x",
			  cases[i].flag);
	}
}
