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

static Elf64_Phdr read_segment(const uint8_t *file, const Elf64_Ehdr *eh, uint32_t i)
{
	Elf64_Phdr ph;

	memcpy(&ph, file + eh->e_phoff + i * sizeof(ph), sizeof(ph));
	return ph;
}

int elf_load(const struct mem *mem, const void *file, size_t size, struct elf_loaded *to,
	     struct err *err)
{
	bool entered = false;
	Elf64_Ehdr eh;
	int ret;

	if (size < sizeof(eh))
		return err_set(err, ENOEXEC, "%zu bytes, too short for an ELF file", size);
	memcpy(&eh, file, sizeof(eh));
	ret = check_header(&eh, size, err);
	*to = (struct elf_loaded){ .entry = eh.e_entry, .start = UINT64_MAX };
	for (uint32_t i = 0; i < eh.e_phnum && ret == 0; i++) {
		const Elf64_Phdr ph = read_segment(file, &eh, i);

		if (ph.p_type != PT_LOAD || ph.p_memsz == 0)
			continue;
		ret = load_segment(mem, file, size, &ph, err);
		to->start = MIN(to->start, ph.p_paddr);
		to->end = MAX(to->end, ph.p_paddr + ph.p_memsz);
		entered |= eh.e_entry - ph.p_paddr < ph.p_memsz;
	}
	if (ret == 0 && !entered)
		return err_set(err, ENOEXEC, "entry point 0x%" PRIx64 " is in no segment",
			       eh.e_entry);
	return ret;
}

bool elf_is(const void *file, size_t size)
{
	return size >= SELFMAG && memcmp(file, ELFMAG, SELFMAG) == 0;
}

/* Bytes that a name or a description takes: they are padded to 4. */
#define PADDED(n) ALIGN_UP((uint64_t)(n), 4)

/* Look through the @size bytes of notes at @at. What does not fit ends them. */
static bool find_in(const uint8_t *at, uint64_t size, struct elf_note *note)
{
	const size_t name_size = strlen(note->name) + 1;
	Elf64_Nhdr nh;

	while (size >= sizeof(nh)) {
		uint64_t len;

		memcpy(&nh, at, sizeof(nh));
		len = sizeof(nh) + PADDED(nh.n_namesz) + PADDED(nh.n_descsz);
		if (len > size)
			return false;
		note->desc = at + sizeof(nh) + PADDED(nh.n_namesz);
		note->desc_size = nh.n_descsz;
		if (nh.n_type == note->type && nh.n_namesz == name_size &&
		    memcmp(at + sizeof(nh), note->name, name_size) == 0)
			return true;
		at += len;
		size -= len;
	}
	return false;
}

int elf_note_find(const void *file, size_t size, struct elf_note *note, struct err *err)
{
	Elf64_Ehdr eh;

	memcpy(&eh, file, sizeof(eh));
	for (uint32_t i = 0; i < eh.e_phnum; i++) {
		const Elf64_Phdr ph = read_segment(file, &eh, i);

		if (ph.p_type != PT_NOTE)
			continue;
		if (ph.p_offset > size || ph.p_filesz > size - ph.p_offset)
			return err_set(err, ENOEXEC,
				       "notes at file offset %" PRIu64 ", %" PRIu64
				       " bytes, do not fit the file's %zu bytes",
				       ph.p_offset, ph.p_filesz, size);
		if (find_in((const uint8_t *)file + ph.p_offset, ph.p_filesz, note))
			return 1;
	}
	return 0;
}
