/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_wset - wset.bin from an enemy who knows how to make a CRC: both are set right before the
 * file is parsed. What is accepted must keep what wset.h promises, and be written as it was read.
 *
 * The corpus began as one file of three runs; the rest is what the fuzzer found from there,
 * reduced with -merge=1.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/digest.h"
#include "snapshot/wset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define REGION_PAGES (MEM_HUGE_SIZE / MEM_PAGE_SIZE)

static const struct mem ram = { .nregions = 2,
				.regions = { { .gpa = 0, .size = MEM_HUGE_SIZE },
					     { .gpa = 0x800000, .size = MEM_HUGE_SIZE } } };

static void seal(uint8_t *buf, size_t len)
{
	struct wset_header *h = (void *)buf;

	if (len < sizeof(*h))
		return;
	h->runs_crc32c = digest_crc32c(0, h + 1, len - sizeof(*h));
	h->crc32c = wset_header_crc(h);
}

/* Every page is in RAM, and in one run only. */
static void check(const struct wset *w)
{
	uint8_t seen[2 * REGION_PAGES] = { 0 };

	assert(w->nruns > 0 && w->record_runs > 0);
	for (uint32_t i = 0; i < w->nruns; i++) {
		const struct wset_run *r = &w->runs[i];
		uint64_t page = mem_offset(&ram, r->gpa) / MEM_PAGE_SIZE;

		assert(r->pages <= REGION_PAGES && page + r->pages <= sizeof(seen));
		assert(r->seen > 0 && r->seen <= w->record_runs);
		for (uint32_t k = 0; k < r->pages; k++)
			assert(seen[page + k]++ == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *buf = malloc(len ? len : 1); /* exactly as long as told, for ASan */
	struct wset w;
	size_t again_len;
	void *again;

	assert(buf);
	if (len > 0)
		memcpy(buf, data, len);
	seal(buf, len);
	if (wset_parse(&w, buf, len, &ram, NULL) == 0) {
		check(&w);
		if (wset_encode(&w, &ram, &again, &again_len, NULL) < 0)
			abort();
		assert(again_len == len && memcmp(again, buf, len) == 0);
		free(again);
		wset_fini(&w);
	}
	free(buf);
	return 0;
}
