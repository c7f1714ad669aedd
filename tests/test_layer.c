/* SPDX-License-Identifier: Apache-2.0 */
/* test_layer.c - images that hold only what differs from their parent: overlay, finding the parent,
 * and every parent that is not the right one. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/flatten.h"
#include "snapshot/frames.h"
#include "snapshot/image.h"
#include "snapshot/image_writer.h"
#include "tests/helpers_image.h"

static char dir[256];
static struct mem mem; /* what the newest image written has */
static struct manifest man;
static struct image img;
static struct err err;

static const char *in(const char *name)
{
	return scratch_path(dir, name);
}

static void write_image(const char *name, const struct frames_page *pages, size_t n)
{
	struct state_writer state;
	struct image_content c = {
		.manifest = &man, .state = &state, .mem = &mem, .pages = pages, .npages = n
	};

	sample_state(&state);
	cr_assert(eq(int, image_write(in(name), &c, &err), 0), "%s", err.text);
	state_writer_fini(&state);
}

static void setup(void)
{
	scratch_make(dir);
	sample_mem(&mem);
	sample_manifest(&man);
	write_image("base", NULL, 0);
}

static void teardown(void)
{
	image_close(&img);
	mem_unmap(&mem);
	manifest_fini(&man);
	scratch_remove(dir);
}

TestSuite(layer, .init = setup, .fini = teardown, .timeout = 30);

/* The next image is a layer on the one that was written last. */
static void begin_layer(void)
{
	struct digest digest;

	cr_assert(eq(int, manifest_content_digest(&man, &digest, &err), 0));
	strcpy(man.parent, man.id);
	man.parent_sha256 = digest;
	cr_assert(eq(int, manifest_stamp(&man, &err), 0));
}

/* Change the page at @gpa to @byte everywhere. */
static struct frames_page changed(gpa_t gpa, int byte)
{
	uint8_t *page = mem_at(&mem, gpa, MEM_PAGE_SIZE);

	memset(page, byte, MEM_PAGE_SIZE);
	return (struct frames_page){ gpa, page };
}

/* Pages that are new, that were there, that are zero now, neighbours, both regions. */
static void write_layer(const char *name, int byte)
{
	const struct frames_page pages[] = {
		changed(0, 0),	       changed(0x3000, byte),	changed(0xf000, byte + 1),
		changed(0x10000, 0),   changed(0x11000, byte),	changed(0x12000, byte),
		changed(0x64000, 0x5), changed(0x9ff000, byte),
	};

	begin_layer();
	write_image(name, pages, ARRAY_SIZE(pages));
}

static void expect_memory(const struct image *i)
{
	struct mem got;

	sample_mem_empty(&got);
	cr_assert(eq(int, image_decode_memory(i, &got, &err), 0), "%s", err.text);
	cr_expect(sample_mem_equal(&got, &mem));
	mem_unmap(&got);
}

static void expect_refused(const char *name, const char *parent, int ret, const char *says)
{
	cr_assert(eq(int, image_open_layer(&img, in(name), parent ? in(parent) : NULL, &err),
		     ret),
		  "%s", err.text);
	cr_expect(ne(ptr, strstr(err.text, says), NULL), "says: %s", err.text);
	cr_expect(eq(ptr, img.parent, NULL));
}

Test(layer, is_its_parents_memory_with_its_own_pages_over_it)
{
	write_layer("one", 7);
	cr_assert(eq(int, image_open(&img, in("one"), &err), 0), "%s", err.text);
	cr_expect(eq(u32, image_layers(&img), 1));
	cr_expect(eq(u64, img.frames.header.npages, 8));
	cr_expect(eq(u64, img.frames.header.nframes, 6), "neighbours share a frame");
	expect_memory(&img);
	cr_expect(eq(int, image_verify(&img, NULL, NULL, &err), 0), "%s", err.text);
}

Test(layer, layers_lie_on_layers_up_to_a_limit)
{
	char name[16];

	for (unsigned int i = 1; i <= IMAGE_MAX_LAYERS; i++) {
		snprintf(name, sizeof(name), "layer%u", i);
		write_layer(name, (int)i);
		cr_assert(eq(int, image_open(&img, in(name), &err), 0), "%s", err.text);
		cr_expect(eq(u32, image_layers(&img), i));
		expect_memory(&img);
		image_close(&img);
	}
	write_layer("deep", 99);
	expect_refused("deep", NULL, -ERR_DAMAGED, "deep has more than 8 layers below it");
}

Test(layer, a_layer_without_pages_is_its_parent)
{
	begin_layer();
	write_image("same", NULL, 0);
	cr_assert(eq(int, image_open(&img, in("same"), &err), 0), "%s", err.text);
	expect_memory(&img);
}

Test(layer, the_parent_is_found_by_its_id_under_any_name)
{
	write_layer("one", 7);
	cr_assert(eq(int, mkdir(in("other"), 0755), 0));
	cr_assert(eq(int, mkdir(in("zero"), 0755), 0));
	bytes_write(in("zero/manifest.json"), "", 0);
	cr_assert(eq(int, rename(in("base"), in("renamed")), 0));
	cr_assert(eq(int, image_open(&img, in("one"), &err), 0), "%s", err.text);
	cr_expect(ne(ptr, strstr(img.parent->name, "/renamed"), NULL), "%s", img.parent->name);
	image_close(&img);
	cr_assert(eq(int, chdir(in("one")), 0));
	cr_assert(eq(int, image_open(&img, ".", &err), 0), "%s", err.text);
	cr_expect(eq(str, img.parent->name, "renamed"));
}

Test(layer, the_parent_may_be_named_and_its_own_is_beside_it)
{
	write_layer("one", 7);
	write_layer("two", 8);
	cr_assert(eq(int, mkdir(in("far"), 0755), 0));
	cr_assert(eq(int, rename(in("two"), in("far/two")), 0));
	expect_refused("far/two", NULL, -ENOENT, "which is not beside it");
	cr_expect(ne(ptr, strstr(err.text, man.parent), NULL), "%s", err.text);
	cr_assert(eq(int, image_open_layer(&img, in("far/two"), in("one"), &err), 0), "%s",
		  err.text);
	cr_expect(eq(u32, image_layers(&img), 2));
	expect_memory(&img);
}

Test(layer, another_parent_is_refused)
{
	write_layer("one", 7);
	write_layer("two", 8);
	expect_refused("two", "base", -EINVAL, "two is a layer on image ");
	expect_refused("two", "nothing", -ENOENT, "nothing");
	expect_refused("base", "one", -EINVAL, "base is no layer: it has no parent");
}

/* With the id that it had, and right in itself. */
Test(layer, a_parent_that_was_changed_is_damage)
{
	struct manifest original = man;

	write_layer("one", 7);
	memcpy(man.id, original.id, sizeof(man.id));
	man.parent[0] = '\0';
	man.parent_sha256 = (struct digest){ 0 };
	write_image("base", NULL, 0);
	expect_refused("one", NULL, -ERR_DAMAGED, "base: is not what its layer ");
}

/* As an attacker would: everything fits but what the layer says of its parent's content. */
Test(layer, a_digest_of_another_parent_is_damage)
{
	begin_layer();
	man.parent_sha256.bytes[5] ^= 1;
	write_image("one", NULL, 0);
	expect_refused("one", NULL, -ERR_DAMAGED, "content: sha256 is ");
}

Test(layer, a_parent_that_cannot_be_read_is_named)
{
	size_t len;
	uint8_t *text;

	write_layer("one", 7);
	text = bytes_read(in("base/manifest.json"), &len);
	*strstr((char *)text, "2026") = '3';
	bytes_write(in("base/manifest.json"), text, len);
	free(text);
	expect_refused("one", NULL, -ERR_DAMAGED,
		       "its parent: base/manifest.json: its content");
}

Test(layer, a_damaged_parent_shows_when_it_is_used)
{
	struct mem got;
	uint8_t *bytes;
	size_t len;

	write_layer("one", 7);
	bytes = bytes_read(in("base/memory.lz4"), &len);
	bytes[len - 1] ^= 1;
	bytes_write(in("base/memory.lz4"), bytes, len);
	free(bytes);
	cr_assert(eq(int, image_open(&img, in("one"), &err), 0), "%s", err.text);
	cr_expect(eq(int, image_verify(&img, NULL, NULL, &err), -ERR_DAMAGED));
	cr_expect(ne(ptr, strstr(err.text, "base/memory.lz4: frame "), NULL), "%s", err.text);
	sample_mem_empty(&got);
	cr_expect(eq(int, image_decode_memory(&img, &got, &err), -ERR_DAMAGED));
	cr_expect(ne(ptr, strstr(err.text, "base/memory.lz4: frame "), NULL), "%s", err.text);
	mem_unmap(&got);
}

Test(layer, of_another_machine_is_damage)
{
	struct mem wide = { .nregions = 1, .regions = { { .size = 2 * MEM_HUGE_SIZE } } };
	struct mem own = mem;

	begin_layer();
	mem = wide;
	write_image("one", NULL, 0);
	mem = own;
	expect_refused("one", NULL, -ERR_DAMAGED, "shape.regions are not those of its parent");
}

Test(layer, has_no_raw_memory)
{
	struct state_writer state;
	struct image_content c = {
		.manifest = &man, .state = &state, .mem = &mem, .raw = true
	};

	begin_layer();
	sample_state(&state);
	cr_expect(eq(int, image_write(in("one"), &c, &err), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "a layer has none"), NULL), "%s", err.text);
	state_writer_fini(&state);
}

Test(layer, flattened_it_is_whole)
{
	const struct flatten_options opt = { 0 };
	static struct image flat;

	write_layer("one", 7);
	write_layer("two", 8);
	cr_assert(eq(int, image_open(&img, in("two"), &err), 0), "%s", err.text);
	cr_assert(eq(int, flatten(&img, in("flat"), &opt, &err), 0), "%s", err.text);
	cr_assert(eq(int, image_open(&flat, in("flat"), &err), 0), "%s", err.text);
	cr_expect(eq(ptr, flat.parent, NULL));
	cr_expect(eq(str, flat.manifest.parent, ""));
	cr_expect(ne(str, flat.manifest.id, img.manifest.id));
	cr_expect(eq(str, flat.manifest.guest_program, img.manifest.guest_program));
	cr_expect(eq(u64, flat.state.nsections, img.state.nsections));
	expect_memory(&flat);
	cr_expect(eq(int, flatten(&flat, in("again"), &opt, &err), -EINVAL));
	image_close(&flat);
}

Test(layer, nothing_stays_open)
{
	int before;

	write_layer("one", 7);
	write_layer("two", 8);
	before = entries_in("/proc/self/fd");
	for (int i = 0; i < 3; i++) {
		cr_assert(eq(int, image_open(&img, in("two"), &err), 0), "%s", err.text);
		image_close(&img);
		cr_assert(lt(int, image_open_layer(&img, in("two"), in("base"), &err), 0));
	}
	cr_expect(eq(int, entries_in("/proc/self/fd"), before));
}
