/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_frames - memory.lz4 from an enemy who knows how to make a CRC: those of the header and
 * of every frame are set right before the file is opened, verified and decoded, so that LZ4
 * sees what the fuzzer makes up. The SHA-256 of frames stay as they are.
 *
 * The corpus began as the memory.lz4 of tests/helpers_image.c's sample without its pages that
 * do not compress; the rest is what the fuzzer found from there, reduced with -merge=1.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/util.h"
#include "snapshot/frames.h"
#include "snapshot/io.h"
#include "tests/helpers_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void seal(uint8_t *buf, size_t len)
{
	struct frames_header *h = (void *)buf;
	struct frames_entry *table = (void *)(h + 1);

	if (len < sizeof(*h))
		return;
	for (size_t i = 0; i < MIN(h->nframes, len / sizeof(*table) - 1); i++) {
		struct frames_entry *e = &table[i];

		if (e->offset >= sizeof(*h) && e->offset <= len && e->stored <= len - e->offset)
			e->crc32c = digest_crc32c(0, buf + e->offset, e->stored);
	}
	h->crc32c = frames_header_crc(h);
}

static void read_all(int fd, const struct mem *mem)
{
	struct frames f;
	uint8_t *scratch;

	if (frames_open(&f, fd, mem, NULL, NULL) < 0)
		return;
	scratch = malloc(FRAMES_MAX_SIZE);
	assert(scratch);
	for (uint64_t i = 0; i < f.header.nframes; i++)
		(void)!frames_decode(&f, i, scratch, mem, NULL);
	(void)!frames_decode_all(&f, mem, NULL);
	(void)!frames_verify(&f, NULL, NULL);
	free(scratch);
	frames_close(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct mem mem;
	static int fd = -1;
	uint8_t *buf = malloc(len ? len : 1);

	assert(buf);
	if (fd < 0) {
		sample_mem_empty(&mem);
		fd = memfd_create("frames", MFD_CLOEXEC);
	}
	if (len > 0)
		memcpy(buf, data, len);
	seal(buf, len);
	if (ftruncate(fd, (off_t)len) < 0 || io_write(fd, buf, len, 0, NULL) < 0)
		abort();
	free(buf);
	read_all(fd, &mem);
	return 0;
}
