/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "engine/err.h"

static int check_header(const Elf64_Ehdr *eh, size_t size, struct err *err)
{
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
		return err_set(err, ENOEXEC, "not an ELF file");
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64)
		return err_set(err, ENOEXEC, "not a 64-bit x86-64 ELF file");
	if (eh->e_type != ET_EXEC)
		return err_set(err, ENOEXEC, "ELF type %u, expected %u (ET_EXEC)", eh->e_type,
			       ET_EXEC);
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0)
		return err_set(err, ENOEXEC, "%u program headers of %u bytes, expected %zu",
			       eh->e_phnum, eh->e_phentsize, sizeof(Elf64_Phdr));
	if (eh->e_phoff > size || eh->e_phnum * sizeof(Elf64_Phdr) > size - eh->e_phoff)
		return err_set(err, ENOEXEC,
			       "program headers at %" PRIu64 " end past the file's %zu bytes",
			       eh->e_phoff, size);
	return 0;
}

static int load_segment(const struct mem *mem, const uint8_t *file, size_t size,
			const Elf64_Phdr *ph, struct err *err)
{
	void *host;

	if (ph->p_filesz > ph->p_memsz || ph->p_offset > size ||
	    ph->p_filesz > size - ph->p_offset)
		return err_set(err, ENOEXEC,
			       "segment at file offset %" PRIu64 ", %" PRIu64
			       " bytes, does not fit the file's %zu bytes",
			       ph->p_offset, ph->p_filesz, size);
	host = mem_at(mem, ph->p_paddr, ph->p_memsz);
	if (!host)
		return err_set(err, ENOEXEC,
			       "segment at 0x%" PRIx64 ", 0x%" PRIx64
			       " bytes, is outside guest memory",
			       ph->p_paddr, ph->p_memsz);
	memcpy(host, file + ph->p_offset, ph->p_filesz);
	return 0;
}

int elf_load(const struct mem *mem, const void *file, size_t size, gpa_t *entry, gpa_t *end,
	     struct err *err)
{
	const uint8_t *bytes = file;
	bool entered = false;
	Elf64_Ehdr eh;
	int ret;

	if (size < sizeof(eh))
		return err_set(err, ENOEXEC, "%zu bytes, too short for an ELF file", size);
	memcpy(&eh, file, sizeof(eh));
	ret = check_header(&eh, size, err);
	*end = 0;
	for (uint32_t i = 0; i < eh.e_phnum && ret == 0; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, bytes + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type != PT_LOAD || ph.p_memsz == 0)
			continue;
		ret = load_segment(mem, bytes, size, &ph, err);
		*end = MAX(*end, ph.p_paddr + ph.p_memsz);
		entered |= eh.e_entry - ph.p_paddr < ph.p_memsz;
	}
	if (ret == 0 && !entered)
		return err_set(err, ENOEXEC, "entry point 0x%" PRIx64 " is in no segment",
			       eh.e_entry);
	*entry = eh.e_entry;
	return ret;
}
