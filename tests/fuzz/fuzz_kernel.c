/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel files: whatever is taken lies in guest memory, and is entered there. */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "engine/linux_kernel.h"
#include "engine/pc_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define RAM (32ull << 20)

static const struct mem *guest_memory(void)
{
	static struct mem mem;

	if (mem.nregions == 0) {
		mem = pc_memory_layout(RAM);
		if (mem_map(&mem, NULL) < 0)
			abort();
	}
	return &mem;
}

static void check(const struct linux_kernel *k, const struct boot_blob *file)
{
	const uint8_t *bytes = file->data;

	assert(k->entry < RAM && k->end > PC_MIDDLE_GPA && k->end <= RAM);
	assert(k->initrd_end <= PC_HOLE_GPA);
	assert(k->setup_size == 0 ||
	       (k->setup > bytes && k->setup + k->setup_size <= bytes + file->size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct boot_blob file = { data, len };
	struct linux_kernel kernel;

	for (int entry = LINUX_ENTRY_ANY; entry <= LINUX_ENTRY_64; entry++) {
		if (linux_kernel_load(guest_memory(), &file, entry, &kernel, NULL) == 0)
			check(&kernel, &file);
	}
	return 0;
}
