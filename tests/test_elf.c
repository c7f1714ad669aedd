/* SPDX-License-Identifier: Apache-2.0 */
/* test_elf.c - a small kernel file, built in memory, and everything that can be wrong with it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "engine/elf.h"
#include "engine/err.h"

#define BASE 0x100000u
#define HUGE ((uint64_t)MEM_HUGE_SIZE)

/* Three program headers, two to be loaded and one that is not; then 64 bytes of content. */
struct file {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	uint8_t bytes[64];
};

static struct file file;
static struct mem mem;
static struct err err;
static struct elf_loaded image;

static void setup(void)
{
	const uint64_t content = offsetof(struct file, bytes);

	file = (struct file){
		.eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = BASE + 0x1008,
			.e_phoff = offsetof(struct file, ph),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 3 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = content,
			  .p_paddr = BASE + 0x1000,
			  .p_filesz = 32,
			  .p_memsz = 0x2000 },
			{ .p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_filesz = UINT64_MAX },
			{ .p_type = PT_LOAD,
			  .p_offset = content + 32,
			  .p_paddr = BASE,
			  .p_filesz = 32,
			  .p_memsz = 32 } },
	};
	for (size_t i = 0; i < sizeof(file.bytes); i++)
		file.bytes[i] = (uint8_t)(i + 1);
	mem = (struct mem){ .nregions = 1, .regions = { { .gpa = 0, .size = HUGE } } };
	cr_assert(eq(int, mem_map(&mem, &err), 0), "%s", err.text);
}

static void teardown(void)
{
	mem_unmap(&mem);
}

TestSuite(elf, .init = setup, .fini = teardown);

static int load(size_t size)
{
	return elf_load(&mem, &file, size, &image, &err);
}

Test(elf, segments_go_to_their_physical_addresses)
{
	const uint8_t *ram = mem.regions[0].host;

	cr_assert(eq(int, load(sizeof(file)), 0), "%s", err.text);
	cr_expect(eq(u64, image.entry, BASE + 0x1008));
	cr_expect(eq(u64, image.start, BASE));
	cr_expect(eq(u64, image.end, BASE + 0x3000)); /* of the highest, not of the last one */
	cr_expect(eq(int, memcmp(ram + BASE + 0x1000, file.bytes, 32), 0));
	cr_expect(eq(int, memcmp(ram + BASE, file.bytes + 32, 32), 0));
	cr_expect(eq(int, ram[BASE + 32] | ram[BASE + 0x1020] | ram[BASE - 1], 0));
}

Test(elf, a_segment_may_end_with_the_memory_and_one_may_be_empty)
{
	file.ph[0].p_memsz = HUGE - BASE - 0x1000;
	file.ph[2] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = UINT64_MAX };
	cr_expect(eq(int, load(sizeof(file)), 0), "%s", err.text);
	cr_expect(eq(u64, image.end, HUGE));
}

/* One change of one member each. */
struct damage {
	const char *why;
	size_t off, size; /* of the member in the file */
	uint64_t value;
	const char *text;
};

#define EH(m)	 offsetof(struct file, eh.m), sizeof(file.eh.m)
#define PH(i, m) offsetof(struct file, ph[i].m), sizeof(file.ph[i].m)
#define IDENT(i) offsetof(struct file, eh.e_ident[i]), 1

Test(elf, damaged_files_are_refused_with_what_is_wrong)
{
	static const struct damage cases[] = {
		{ "magic", IDENT(0), 'E', "not an ELF file" },
		{ "last byte of the magic", IDENT(3), 'f', "not an ELF file" },
		{ "32 bits", IDENT(EI_CLASS), ELFCLASS32, "not a 64-bit x86-64 ELF file" },
		{ "big endian", IDENT(EI_DATA), ELFDATA2MSB, "not a 64-bit x86-64 ELF file" },
		{ "ARM", EH(e_machine), EM_AARCH64, "not a 64-bit x86-64 ELF file" },
		{ "shared object", EH(e_type), ET_DYN, "ELF type 3, expected 2 (ET_EXEC)" },
		{ "object file", EH(e_type), ET_REL, "ELF type 1, expected 2 (ET_EXEC)" },
		{ "no headers", EH(e_phnum), 0, "0 program headers of 56 bytes, expected 56" },
		{ "short headers", EH(e_phentsize), 55,
		  "3 program headers of 55 bytes, expected 56" },
		{ "headers behind the file", EH(e_phoff), 1000,
		  "program headers at 1000 end past the file's 296 bytes" },
		{ "headers over the end", EH(e_phoff), 129,
		  "program headers at 129 end past the file's 296 bytes" },
		{ "headers wrap around", EH(e_phoff), UINT64_MAX - 7,
		  "program headers at 18446744073709551608 end past the file's 296 bytes" },
		{ "too many headers", EH(e_phnum), 0xffff,
		  "program headers at 64 end past the file's 296 bytes" },
		{ "content behind the file", PH(0, p_offset), 265,
		  "segment at file offset 265, 32 bytes, does not fit the file's 296 bytes" },
		{ "content wraps around", PH(0, p_offset), UINT64_MAX - 15,
		  "segment at file offset 18446744073709551600, 32 bytes, does not fit the "
		  "file's 296 bytes" },
		{ "content larger than the file", PH(0, p_filesz), 65,
		  "segment at file offset 232, 65 bytes, does not fit the file's 296 bytes" },
		{ "content larger than its memory", PH(2, p_memsz), 31,
		  "segment at file offset 264, 32 bytes, does not fit the file's 296 bytes" },
		{ "behind the memory", PH(0, p_paddr), HUGE,
		  "segment at 0x200000, 0x2000 bytes, is outside guest memory" },
		{ "over the end of memory", PH(0, p_paddr), HUGE - 0x1fff,
		  "segment at 0x1fe001, 0x2000 bytes, is outside guest memory" },
		{ "address wraps around", PH(0, p_paddr), UINT64_MAX - 15,
		  "segment at 0xfffffffffffffff0, 0x2000 bytes, is outside guest memory" },
		{ "endless", PH(0, p_memsz), UINT64_MAX,
		  "segment at 0x101000, 0xffffffffffffffff bytes, is outside guest memory" },
		{ "entry in no segment", EH(e_entry), BASE + 32,
		  "entry point 0x100020 is in no segment" },
		{ "entry just behind a segment", EH(e_entry), BASE + 0x3000,
		  "entry point 0x103000 is in no segment" },
		{ "nothing to load", PH(0, p_type), PT_NOTE,
		  "entry point 0x101008 is in no segment" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct damage *d = &cases[i];
		struct file whole = file;

		memcpy((uint8_t *)&file + d->off, &d->value, d->size);
		cr_expect(eq(int, load(sizeof(file)), -ENOEXEC), "%s", d->why);
		cr_expect(eq(str, err.text, (char *)d->text), "%s", d->why);
		file = whole;
	}
	cr_expect(eq(int, load(sizeof(file)), 0), "%s", err.text);
}

/* Every length, each in memory of its own size, so that a sanitizer sees any byte too many. */
Test(elf, a_truncated_file_is_refused_wherever_it_ends)
{
	for (size_t size = 0; size < sizeof(file); size++) {
		uint8_t *part = malloc(size + (size == 0));

		memcpy(part, &file, size);
		cr_expect(eq(int, elf_load(&mem, part, size, &image, &err), -ENOEXEC),
			  "%zu bytes", size);
		free(part);
	}
	cr_expect(eq(int, load(63), -ENOEXEC));
	cr_expect(eq(str, err.text, "63 bytes, too short for an ELF file"));
}
