/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/elf.h"

#include <elf.h>
#include <stdarg.h>
#include <stddef.h>

#include "guest/kindling/layout.h"
#include "guest/kindling/text.h"

#define ELF_MAX_HEADERS 64u /* ours: far above what linkers make */

#define elf_refuse(why, ...) (text_print(why, ELF_WHY_SIZE, "program " __VA_ARGS__), -1)

/* A copy of what lies at @offset: the file may be unaligned. The caller checked the range. */
static void elf_copy(void *dst, const uint8_t *src, size_t size)
{
	uint8_t *d = dst;

	for (size_t i = 0; i < size; i++)
		d[i] = src[i];
}

/* Is [@offset, @offset + @size) inside @limit bytes? */
static int elf_inside(uint64_t offset, uint64_t size, uint64_t limit)
{
	return offset <= limit && size <= limit - offset;
}

static int elf_check_ident(const uint8_t *file, uint64_t size, char *why)
{
	if (size < EI_NIDENT || file[0] != 0x7f || file[1] != 'E' || file[2] != 'L' ||
	    file[3] != 'F')
		return elf_refuse(why, "is not an ELF file (%lu bytes)", size);
	if (file[EI_CLASS] != ELFCLASS64)
		return elf_refuse(why, "is not 64-bit (ELF class %u, expected %u)",
				  file[EI_CLASS], ELFCLASS64);
	if (file[EI_DATA] != ELFDATA2LSB)
		return elf_refuse(why, "is not little-endian (ELF data %u, expected %u)",
				  file[EI_DATA], ELFDATA2LSB);
	if (size < sizeof(Elf64_Ehdr))
		return elf_refuse(why, "ends in its ELF header (%lu bytes)", size);
	return 0;
}

static int elf_check_header(const Elf64_Ehdr *h, uint64_t size, char *why)
{
	if (h->e_machine != EM_X86_64)
		return elf_refuse(why, "is for another machine (ELF machine %u, expected %u)",
				  h->e_machine, EM_X86_64);
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return elf_refuse(why, "is not an executable (ELF type %u, expected %u or %u)",
				  h->e_type, ET_EXEC, ET_DYN);
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return elf_refuse(why, "has program headers of %u bytes, expected %lu",
				  h->e_phentsize, sizeof(Elf64_Phdr));
	if (h->e_phnum == 0 || h->e_phnum > ELF_MAX_HEADERS)
		return elf_refuse(why, "has %u program headers, allowed are 1 to %u",
				  h->e_phnum, ELF_MAX_HEADERS);
	if (!elf_inside(h->e_phoff, h->e_phnum * sizeof(Elf64_Phdr), size))
		return elf_refuse(why, "has its program headers at %lu, after its end at %lu",
				  h->e_phoff, size);
	return 0;
}

static int elf_refuse_dynamic(const uint8_t *file, uint64_t size, const Elf64_Phdr *p,
			      char *why)
{
	char path[100];
	uint64_t len = p->p_filesz < sizeof(path) ? p->p_filesz : sizeof(path) - 1;

	if (!elf_inside(p->p_offset, p->p_filesz, size))
		len = 0;
	elf_copy(path, len ? file + p->p_offset : file, len);
	path[len] = '\0';
	for (uint64_t i = 0; i < len && path[i]; i++)
		if (path[i] < ' ' || path[i] > '~')
			path[i] = '?';
	return elf_refuse(why, "is dynamically linked (needs %s): link it with -static",
			  path[0] ? path : "an interpreter");
}

/* Where the page of the last byte so far ends; 0: there is none yet. */
static uint64_t elf_page_end(const struct elf_image *image)
{
	const struct elf_segment *s = image->segments + image->nsegments;

	if (image->nsegments == 0)
		return 0;
	return (s[-1].vaddr + s[-1].memsz + LAYOUT_PAGE - 1) & ~(LAYOUT_PAGE - 1);
}

static int elf_check_load(const Elf64_Phdr *p, uint64_t file_size,
			  const struct elf_image *image, char *why)
{
	unsigned int n = image->nsegments;
	uint64_t low = image->base ? 0 : LAYOUT_PROGRAM_MIN;

	if (n == ELF_MAX_SEGMENTS)
		return elf_refuse(why, "has more than %u segments", ELF_MAX_SEGMENTS);
	if (p->p_filesz > p->p_memsz)
		return elf_refuse(why, "segment %u has %lu bytes in the file but %lu in memory",
				  n, p->p_filesz, p->p_memsz);
	if (!elf_inside(p->p_offset, p->p_filesz, file_size))
		return elf_refuse(why,
				  "segment %u ends after the file (%lu + %lu of %lu bytes)", n,
				  p->p_offset, p->p_filesz, file_size);
	if (p->p_vaddr < low || !elf_inside(p->p_vaddr, p->p_memsz, LAYOUT_PROGRAM_MAX))
		return elf_refuse(why,
				  "segment %u is at 0x%lx + 0x%lx, allowed is 0x%lx to 0x%lx",
				  n, p->p_vaddr, p->p_memsz, low, LAYOUT_PROGRAM_MAX);
	if (image->base && p->p_align > LAYOUT_HUGE_PAGE)
		return elf_refuse(why, "segment %u wants alignment %lu, largest allowed is %lu",
				  n, p->p_align, LAYOUT_HUGE_PAGE);
	if (elf_page_end(image) > image->base + p->p_vaddr)
		return elf_refuse(why,
				  "segment %u starts at 0x%lx, not on a page after segment %u",
				  n, p->p_vaddr, n - 1);
	return 0;
}

static void elf_add_load(const Elf64_Phdr *p, struct elf_image *image)
{
	image->segments[image->nsegments++] = (struct elf_segment){
		.vaddr = image->base + p->p_vaddr,
		.memsz = p->p_memsz,
		.offset = p->p_offset,
		.filesz = p->p_filesz,
		.allow = (p->p_flags & PF_W ? ELF_WRITE : 0u) |
			 (p->p_flags & PF_X ? ELF_EXEC : 0u),
	};
}

static int elf_find_entry(const struct elf_image *image)
{
	for (unsigned int i = 0; i < image->nsegments; i++) {
		const struct elf_segment *s = &image->segments[i];

		if (s->allow & ELF_EXEC && image->entry >= s->vaddr &&
		    image->entry - s->vaddr < s->memsz)
			return 1;
	}
	return 0;
}

/* The memory address of @size bytes that lie at @offset of the file; 0: not in memory. */
static uint64_t elf_address_of(const struct elf_image *image, uint64_t offset, uint64_t size)
{
	for (unsigned int i = 0; i < image->nsegments; i++) {
		const struct elf_segment *s = &image->segments[i];

		if (offset >= s->offset && elf_inside(offset - s->offset, size, s->filesz))
			return s->vaddr + (offset - s->offset);
	}
	return 0;
}

int elf_parse(const void *file, uint64_t size, struct elf_image *image, char *why)
{
	const uint8_t *bytes = file;
	Elf64_Ehdr h;

	if (elf_check_ident(bytes, size, why))
		return -1;
	elf_copy(&h, bytes, sizeof(h));
	if (elf_check_header(&h, size, why))
		return -1;
	*image = (struct elf_image){ .base = h.e_type == ET_DYN ? LAYOUT_PIE : 0,
				     .phnum = h.e_phnum };

	for (unsigned int i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;

		elf_copy(&p, bytes + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP)
			return elf_refuse_dynamic(bytes, size, &p, why);
		if (p.p_type == PT_GNU_STACK)
			image->exec_stack = (p.p_flags & PF_X) != 0;
		if (p.p_type != PT_LOAD || p.p_memsz == 0)
			continue;
		if (elf_check_load(&p, size, image, why))
			return -1;
		elf_add_load(&p, image);
	}

	image->entry = image->base + h.e_entry;
	if (!elf_find_entry(image))
		return elf_refuse(why, "starts at 0x%lx, which is in no executable segment",
				  h.e_entry);
	image->phdr = elf_address_of(image, h.e_phoff, h.e_phnum * sizeof(Elf64_Phdr));
	return 0;
}
