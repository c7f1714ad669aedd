/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_state_file - state.bin from an enemy who knows how to make a CRC: all CRCs are set
 * right before the file is parsed, its sections loaded by their tables, and walked.
 *
 * The corpus began as the state.bin of tests/helpers_image.c's sample; the rest is what the
 * fuzzer found from there, reduced with -merge=1.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/digest.h"
#include "snapshot/format.h"
#include "tests/helpers_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void seal_sections(uint8_t *buf, size_t len)
{
	size_t off = sizeof(struct state_file_header);

	while (off < len && len - off >= sizeof(struct state_section_header)) {
		struct state_section_header *h = (void *)(buf + off);

		if (h->size > len - off - sizeof(*h))
			break;
		h->crc32c = 0;
		h->crc32c = digest_crc32c(0, h, sizeof(*h) + h->size);
		off += sizeof(*h) + (h->size + 7) / 8 * 8;
	}
}

static void seal(uint8_t *buf, size_t len)
{
	struct state_file_header *h = (void *)buf;

	if (len < sizeof(*h))
		return;
	h->crc32c = 0;
	h->crc32c = digest_crc32c(0, h, sizeof(*h));
	seal_sections(buf, len);
}

/* Read every byte that the parser says is a section's. */
static void walk(const struct state_file *f)
{
	struct state_section s;
	size_t off = 0;
	uint32_t n = 0, crc = 0;

	while (state_file_next(f, &off, &s)) {
		assert((uintptr_t)s.data % 8 == 0 && strlen(s.name) < STATE_NAME_SIZE);
		crc = digest_crc32c(crc, s.data, s.len);
		n++;
	}
	assert(n == f->nsections && off <= f->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sample_clock clock;
	struct sample_regs regs[3];
	struct state_file f;
	uint8_t *buf = malloc(len ? len : 1); /* exactly as long as told, for ASan */

	assert(buf);
	if (len > 0)
		memcpy(buf, data, len);
	seal(buf, len);
	if (state_file_parse(&f, buf, len, NULL) == 0) {
		walk(&f);
		if (state_file_load(&f, &sample_clock_desc, 0, &clock, NULL) == 0)
			assert(clock.shift <= 32);
		assert(state_file_load_array(&f, &sample_regs_desc, 0, regs, 3, NULL) <= 3);
		(void)!state_file_finish(&f, NULL);
	}
	free(buf);
	return 0;
}
