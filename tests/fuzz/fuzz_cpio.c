/* SPDX-License-Identifier: Apache-2.0 */
/* kindling's reader of cpio archives: entries lie inside the archive, and the walk ends. */
#include <assert.h>
#include <string.h>

#include "guest/kindling/cpio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cpio_walk walk = { .bytes = data, .size = len };
	struct cpio_entry e;
	char why[CPIO_WHY_SIZE];
	uint64_t off = 0;
	int ret;

	while ((ret = cpio_next(&walk, &e, why)) > 0) {
		const uint8_t *name = (const uint8_t *)e.name;

		assert(walk.off > off);
		off = walk.off;
		assert(name >= data && name + e.name_len < data + len && name[e.name_len] == 0);
		assert(e.data <= len && e.size <= len - e.data);
	}
	assert(ret == 0 || strnlen(why, sizeof(why)) < sizeof(why));
	return 0;
}
