/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_golden.c - the committed images of format version 1, from before there were working sets
 * and with one: every later version reads them on every host, and notices when any byte is
 * wrong. kvm_golden.c restores them.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "devices/mailbox.h"
#include "engine/err.h"
#include "snapshot/image.h"
#include "snapshot/machine_state.h"
#include "tests/helpers_flip.h"
#include "tests/helpers_image.h"

#define GOLDEN	    "tests/golden/v1/tiny"
#define GOLDEN_WSET "tests/golden/v1/tiny-wset"

static void verify_and_decode(const char *dir)
{
	static struct image img;
	const struct device_list list = { .n = 1, .types = { &mailbox_type } };
	struct machine_state state;
	struct image_report report;
	struct err err = { 0 };

	cr_assert(eq(int, image_open(&img, dir, &err), 0), "%s", err.text);
	cr_assert(eq(int, image_verify(&img, NULL, &report, &err), 0), "%s", err.text);
	cr_expect(eq(str, img.manifest.guest_program, "tiny"));
	cr_expect(gt(u64, report.npages, 0));
	cr_assert(eq(int, machine_state_init(&state, img.manifest.vcpus, &list, &err), 0));
	cr_assert(eq(int, machine_state_decode(&state, &img.state, &err), 0), "%s", err.text);
	cr_expect(ne(u64, state.vcpus[0].regs.rip, 0));
	machine_state_fini(&state);
	image_close(&img);
}

Test(golden, verifies_and_decodes_on_every_host, .timeout = 30)
{
	verify_and_decode(GOLDEN);
	verify_and_decode(GOLDEN_WSET);
}

Test(golden, the_working_set_is_what_it_was)
{
	static struct image img;
	struct wset_counts n;
	struct err err = { 0 };

	cr_assert(eq(int, image_open(&img, GOLDEN, &err), 0), "%s", err.text);
	cr_expect(eq(u32, img.wset.nruns, 0));
	image_close(&img);
	cr_assert(eq(int, image_open(&img, GOLDEN_WSET, &err), 0), "%s", err.text);
	n = wset_count(&img.wset);
	cr_expect(eq(u32, img.wset.record_runs, 3));
	cr_expect(eq(u32, img.wset.nruns, 18));
	cr_expect(eq(u64, n.touched, 22));
	cr_expect(eq(u64, n.always, 22));
	cr_expect(eq(u64, n.dirtied, 4));
	cr_expect(
		ne(u64, img.frames.order[0], 0)); /* what is touched first is not the lowest */
	image_close(&img);
}

Test(golden, is_small_enough_to_be_committed)
{
	static struct image img;
	struct err err = { 0 };
	uint64_t size = 0;

	cr_assert(eq(int, image_open(&img, GOLDEN, &err), 0), "%s", err.text);
	for (int i = 0; i < MANIFEST_NMEMBERS; i++)
		size += img.manifest.files[i].size;
	cr_expect(le(u64, size, 60 * 1024)); /* and a manifest of under 4 KiB */
	image_close(&img);
}

/* Read the whole image as a restore would. Returns 0 with memory decoded into @mem, or -errno. */
static int read_all(const char *dir, struct mem *mem, struct digest *state, struct err *err)
{
	static struct image img;
	int ret = image_open(&img, dir, err);

	if (ret < 0)
		return ret;
	ret = image_verify(&img, NULL, NULL, err);
	if (ret == 0) {
		*mem = img.ram;
		ret = mem_map(mem, err);
	}
	if (ret == 0)
		ret = image_decode_memory(&img, mem, err);
	if (ret == 0)
		ret = digest_of(state, img.state_buf, img.state.len, err);
	image_close(&img);
	return ret;
}

/* One random bit at every byte of every file: damage, or the very same content. */
Test(golden, one_flipped_bit_anywhere_is_damage_or_changes_nothing, .timeout = 300)
{
	static struct flip flip;
	struct digest want, got;
	struct mem a, b;
	struct err err = { 0 };
	unsigned int seed = (unsigned int)time(NULL);
	size_t unnoticed = 0;

	fprintf(stderr, "seed %u\n", seed);
	srand(seed);
	flip_make(&flip, GOLDEN);
	cr_assert(eq(int, read_all(flip.dir, &a, &want, &err), 0), "%s", err.text);
	for (size_t at = 0; at < flip.size; at++) {
		unsigned int bit = (unsigned int)rand() % 8;
		const struct flip_file *file = flip_bit(&flip, at, bit);
		int ret = read_all(flip.dir, &b, &got, &err);

		if (ret == 0) {
			unnoticed++;
			cr_assert(digest_equal(&want, &got), "%s: wrong state", file->path);
			cr_assert(eq(int,
				     memcmp(a.regions[0].host, b.regions[0].host,
					    a.regions[0].size),
				     0),
				  "%s: wrong memory", file->path);
			mem_unmap(&b);
		} else {
			cr_assert(eq(int, ret, -ERR_DAMAGED), "%s at %zu bit %u: %s",
				  file->path, at, bit, err.text);
		}
		flip_bit(&flip, at, bit);
	}
	fprintf(stderr, "%zu flips changed nothing that is read\n", unnoticed);
	cr_assert(eq(int, read_all(flip.dir, &b, &got, &err), 0), "%s", err.text);
	mem_unmap(&a);
	mem_unmap(&b);
	flip_free(&flip);
}
