/* SPDX-License-Identifier: Apache-2.0 */
/* kindling's reader of program files: whatever it accepts has to be safe to load. */
#include <assert.h>
#include <string.h>

#include "guest/kindling/elf.h"
#include "guest/kindling/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_segment(const struct elf_segment *s, uint64_t file_size, uint64_t base)
{
	assert(s->memsz > 0 && s->filesz <= s->memsz);
	assert(s->offset <= file_size && s->filesz <= file_size - s->offset);
	assert(s->vaddr >= LAYOUT_PROGRAM_MIN && s->vaddr + s->memsz > s->vaddr);
	assert(s->vaddr + s->memsz <= base + LAYOUT_PROGRAM_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct elf_image image;
	char why[ELF_WHY_SIZE];
	int entry_found = 0;

	memset(why, 'x', sizeof(why));
	if (elf_parse(data, len, &image, why)) {
		assert(strnlen(why, sizeof(why)) < sizeof(why));
		assert(strncmp(why, "program ", 8) == 0);
		return 0;
	}
	assert(image.nsegments > 0 && image.nsegments <= ELF_MAX_SEGMENTS);
	for (unsigned int i = 0; i < image.nsegments; i++) {
		const struct elf_segment *s = &image.segments[i];

		check_segment(s, len, image.base);
		assert(i == 0 ||
		       s->vaddr / LAYOUT_PAGE > (s[-1].vaddr + s[-1].memsz - 1) / LAYOUT_PAGE);
		entry_found |= image.entry >= s->vaddr && image.entry - s->vaddr < s->memsz &&
			       s->allow & ELF_EXEC;
	}
	assert(entry_found);
	return 0;
}
