/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/linux_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/bzimage.h"
#include "engine/elf.h"
#include "engine/err.h"
#include "engine/pc_memory.h"

/* Linux: COMMAND_LINE_SIZE of x86, less the NUL. An ELF file does not tell. */
#define ELF_CMDLINE_MAX 2047u

/* Source: Xen, xen/include/public/elfnote.h */
#define NOTE_NAME	  "Xen"
#define NOTE_PHYS32_ENTRY 18u

/* The PVH entry of an ELF file. Returns 1, 0: it has none, or -errno. */
static int find_pvh(const struct mem *mem, const struct boot_blob *file, gpa_t *entry,
		    struct err *err)
{
	struct elf_note note = { .name = NOTE_NAME, .type = NOTE_PHYS32_ENTRY };
	int ret = elf_note_find(file->data, file->size, &note, err);

	if (ret <= 0)
		return ret;
	if (note.desc_size != 4 && note.desc_size != 8)
		return err_set(err, ENOEXEC, "PVH note of %u bytes, expected 4 or 8",
			       note.desc_size);
	*entry = 0;
	memcpy(entry, note.desc, note.desc_size);
	if (*entry >= PC_HOLE_END || !mem_holds(mem, *entry, 1))
		return err_set(err, ENOEXEC,
			       "PVH entry point 0x%" PRIx64 " is outside guest memory", *entry);
	return 1;
}

static int choose_entry(const struct mem *mem, const struct boot_blob *file,
			enum linux_entry entry, struct linux_kernel *kernel, struct err *err)
{
	gpa_t pvh = 0;
	int ret;

	if (entry == LINUX_ENTRY_64)
		return 0;
	ret = find_pvh(mem, file, &pvh, err);
	if (ret < 0)
		return ret;
	if (ret == 0)
		return entry == LINUX_ENTRY_ANY
			       ? 0
			       : err_set(err, ENOEXEC, "no PVH note, so no PVH entry point");
	kernel->entry = pvh;
	kernel->is_pvh = true;
	return 0;
}

static int load_elf(const struct mem *mem, const struct boot_blob *file, enum linux_entry entry,
		    struct linux_kernel *kernel, struct err *err)
{
	struct elf_loaded elf;
	int ret = elf_load(mem, file->data, file->size, &elf, err);

	if (ret < 0)
		return ret;
	if (elf.start < PC_MIDDLE_GPA || elf.end > PC_HOLE_GPA)
		return err_set(err, ENOEXEC,
			       "kernel is from 0x%" PRIx64 " to 0x%" PRIx64
			       ", expected from 0x%x to 0x%llx at most",
			       elf.start, elf.end, PC_MIDDLE_GPA, PC_HOLE_GPA);
	*kernel = (struct linux_kernel){
		.entry = elf.entry,
		.end = elf.end,
		.cmdline_max = ELF_CMDLINE_MAX,
		.initrd_end = PC_HOLE_GPA,
	};
	return choose_entry(mem, file, entry, kernel, err);
}

int linux_kernel_load(const struct mem *mem, const struct boot_blob *file,
		      enum linux_entry entry, struct linux_kernel *kernel, struct err *err)
{
	if (elf_is(file->data, file->size))
		return load_elf(mem, file, entry, kernel, err);
	if (!bzimage_is(file))
		return err_set(err, ENOEXEC, "neither an ELF file nor a bzImage");
	if (entry == LINUX_ENTRY_PVH)
		return err_set(err, ENOEXEC, "a bzImage has no PVH entry point");
	return bzimage_load(mem, file, kernel, err);
}
