/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_store.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "snapshot/frames.h"
#include "snapshot/image.h"
#include "snapshot/image_writer.h"
#include "tests/helpers_image.h"

struct depot depot;

const char *depot_path(const char *name)
{
	return scratch_path(depot.dir, name);
}

void depot_image(const char *name, bool is_layer)
{
	struct frames_page page = { 0x3000, mem_at(&depot.mem, 0x3000, MEM_PAGE_SIZE) };
	struct state_writer state;
	struct image_content c = { .manifest = &depot.man, .state = &state, .mem = &depot.mem };

	if (is_layer) {
		struct digest digest;

		cr_assert(eq(int, manifest_content_digest(&depot.man, &digest, &depot.err), 0));
		strcpy(depot.man.parent, depot.man.id);
		depot.man.parent_sha256 = digest;
		c.pages = &page;
		c.npages = 1;
	} else {
		depot.man.parent[0] = '\0';
		depot.man.parent_sha256 = (struct digest){ 0 };
	}
	cr_assert(eq(int, manifest_stamp(&depot.man, &depot.err), 0));
	sample_state(&state);
	cr_assert(eq(int, image_write(depot_path(name), &c, &depot.err), 0), "%s",
		  depot.err.text);
	state_writer_fini(&state);
}

void depot_close(void)
{
	store_close(depot.store);
	depot.store = NULL;
}

void depot_open(void)
{
	depot_close();
	cr_assert(eq(int, store_open(&depot.store, depot_path("store"), &depot.err), 0), "%s",
		  depot.err.text);
}

void depot_make(void)
{
	scratch_make(depot.dir);
	sample_mem(&depot.mem);
	sample_manifest(&depot.man);
	depot_open();
}

void depot_remove(void)
{
	depot_close();
	mem_unmap(&depot.mem);
	manifest_fini(&depot.man);
	scratch_remove(depot.dir);
}

int depot_put(const char *name, const char *image, const struct store_config *config)
{
	struct store_change change = { .how = STORE_EITHER,
				       .dir = image ? depot_path(image) : NULL,
				       .config = config };

	return store_put(depot.store, name, &change, &depot.rec, &depot.err);
}

void depot_must_put(const char *name, const char *image, const struct store_config *config)
{
	cr_assert(eq(int, depot_put(name, image, config), 0), "%s", depot.err.text);
}

void depot_expect_error(int ret, int code, const char *says)
{
	cr_expect(eq(int, ret, -code), "%s", depot.err.text);
	cr_expect(ne(ptr, strstr(depot.err.text, says), NULL), "says: %s", depot.err.text);
}

int depot_publish(const char *name)
{
	return store_publish(depot.store, name, NULL, NULL, &depot.rec, &depot.err);
}

void depot_must_publish(const char *name, int64_t version)
{
	cr_assert(eq(int, depot_publish(name), 0), "%s", depot.err.text);
	cr_expect(eq(i64, depot.rec.version, version));
}

int depot_point(const char *name, const char *alias, int64_t version)
{
	struct store_alias a = { .version = version };

	snprintf(a.name, sizeof(a.name), "%s", alias);
	return store_put_alias(depot.store, name, STORE_EITHER, &a, NULL, &depot.err);
}

int depot_resolve(const char *name, const char *qualifier)
{
	return store_resolve(depot.store, name, qualifier, &depot.rec, &depot.err);
}

int depot_images(void)
{
	cr_expect(eq(int, entries_in(depot_path("store/tmp")), 0));
	return entries_in(depot_path("store/images"));
}

void depot_expect_whole(void)
{
	char path[STORE_PATH_SIZE];
	struct image img;

	store_image_path(depot.store, depot.rec.image, path);
	cr_assert(eq(int, image_open(&img, path, &depot.err), 0), "%s", depot.err.text);
	cr_expect(eq(int, image_verify(&img, NULL, NULL, &depot.err), 0), "%s", depot.err.text);
	image_close(&img);
}
