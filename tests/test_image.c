/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/image.h"
#include "snapshot/image_writer.h"
#include "tests/helpers_image.h"

static const char *const members[] = { "manifest.json", "state.bin", "memory.lz4", "wset.bin",
				       "memory.raw" };
#define CHECKED 4u /* of them, in the image of setup() */

/* Whole frames: there are as many as without it. */
static struct wset_run runs[] = { { 0x9ff000, 1, 2, WSET_DIRTIED }, { 0x10000, 16, 1, 0 } };
static struct wset wset = { .record_runs = 2, .nruns = ARRAY_SIZE(runs), .runs = runs };

static char dir[256], path[300]; /* the scratch directory, and the image in it */
static struct mem mem;
static struct manifest manifest;
static struct image img;
static struct err err;

static int write_image(bool raw)
{
	struct image_content c = {
		.manifest = &manifest, .mem = &mem, .wset = &wset, .raw = raw
	};
	struct state_writer state;
	int ret;

	sample_state(&state);
	c.state = &state;
	ret = image_write(path, &c, &err);
	state_writer_fini(&state);
	return ret;
}

static void setup(void)
{
	scratch_make(dir);
	snprintf(path, sizeof(path), "%s/image", dir);
	sample_mem(&mem);
	sample_manifest(&manifest);
	cr_assert(eq(int, write_image(false), 0), "%s", err.text);
}

static void teardown(void)
{
	mem_unmap(&mem);
	manifest_fini(&manifest);
	scratch_remove(dir);
}

TestSuite(image, .init = setup, .fini = teardown);

/* All that a reader can do: the first error, or 0 when every byte of the machine is right. */
static int read_image(void)
{
	struct sample_clock clock;
	struct sample_regs regs[2];
	struct mem out;
	int ret = image_open(&img, path, &err);

	if (ret < 0)
		return ret;
	sample_mem_empty(&out);
	ret = image_verify(&img, NULL, NULL, &err);
	if (ret == 0)
		ret = image_decode_memory(&img, &out, &err);
	if (ret == 0)
		ret = state_file_load(&img.state, &sample_clock_desc, 0, &clock, &err);
	if (ret == 0)
		ret = MIN(0, state_file_load_array(&img.state, &sample_regs_desc, 0, regs, 2,
						   &err));
	if (ret == 0) {
		cr_assert(sample_mem_equal(&mem, &out));
		cr_assert(eq(int, memcmp(&clock, &sample_clock, sizeof(clock)), 0));
		cr_assert(eq(int, memcmp(regs, sample_regs, sizeof(regs)), 0));
		cr_assert(eq(str, img.manifest.id, manifest.id));
		cr_assert(eq(u32, img.wset.nruns, wset.nruns));
		cr_assert(
			eq(int, memcmp(img.wset.runs, runs, wset.nruns * sizeof(runs[0])), 0));
	}
	mem_unmap(&out);
	image_close(&img);
	return ret;
}

/* The sentence is "PATH" @rest. */
static void says(const char *rest)
{
	char expected[400];

	snprintf(expected, sizeof(expected), "%s%s", path, rest);
	cr_expect(eq(int, strncmp(err.text, expected, strlen(expected)), 0), "%s\nexpected %s",
		  err.text, expected);
}

Test(image, what_was_written_is_read)
{
	struct image_report report;

	cr_assert(eq(int, read_image(), 0), "%s", err.text);
	cr_assert(eq(int, entries_in(path), 4));
	cr_assert(eq(int, entries_in(dir), 1));
	cr_assert(eq(int, image_open(&img, path, &err), 0));
	cr_assert(eq(int, image_verify(&img, NULL, &report, &err), 0));
	cr_assert(eq(u64, report.nsections, 3));
	cr_assert(eq(u64, report.nframes, 7));
	cr_assert(eq(u64, report.npages, SAMPLE_PAGES));
	cr_assert(eq(u64, report.raw_size, 0));
	image_close(&img);
}

Test(image, an_image_without_a_working_set_is_whole)
{
	wset.nruns = 0;
	cr_assert(eq(int, write_image(false), 0), "%s", err.text);
	cr_assert(eq(int, entries_in(path), 3));
	cr_assert(eq(int, image_open(&img, path, &err), 0), "%s", err.text);
	cr_assert(eq(u32, img.wset.nruns, 0));
	cr_assert(eq(u64, img.manifest.files[MANIFEST_WSET].size, 0));
	image_close(&img);
	cr_assert(eq(int, image_open(&img, path, &err), 0));
	cr_assert(eq(int, image_verify(&img, NULL, NULL, &err), 0), "%s", err.text);
	image_close(&img);
}

Test(image, the_working_set_lies_first_in_the_file)
{
	cr_assert(eq(int, image_open(&img, path, &err), 0), "%s", err.text);
	cr_expect(eq(u64, img.frames.table[img.frames.order[0]].gpa, 0x9ff000));
	cr_expect(eq(u64, img.frames.table[img.frames.order[1]].gpa, 0x10000));
	cr_expect(eq(u64, img.frames.table[img.frames.order[2]].gpa, 0));
	image_close(&img);
}

Test(image, memory_raw_is_checked_too)
{
	setenv("XDG_CACHE_HOME", dir, 1);
	cr_assert(eq(int, write_image(true), 0), "%s", err.text);
	cr_assert(eq(int, read_image(), 0), "%s", err.text);
	cr_assert(eq(int, image_open(&img, path, &err), 0));
	cr_assert(eq(int, image_check_raw(&img, NULL, &err), 0));
	image_close(&img);

	cr_assert(eq(int, truncate(scratch_path(path, "memory.raw"), 4096), 0));
	cr_assert(eq(int, read_image(), -ERR_DAMAGED));
	says("/memory.raw: has 4096 bytes, expected 4194304");
	cr_assert(eq(int, truncate(scratch_path(path, "memory.raw"), 4194304), 0));
	cr_assert(eq(int, read_image(), -ERR_DAMAGED));
	says("/memory.raw: sha256 is ");
	cr_assert(eq(int, image_open(&img, path, &err), 0));
	cr_assert(eq(int, image_check_raw(&img, NULL, &err), -ERR_DAMAGED));
	image_close(&img);
}

Test(image, files_are_as_open_as_the_umask_allows)
{
	struct stat st;

	umask(027);
	cr_assert(eq(int, write_image(true), 0));
	cr_assert(eq(int, stat(path, &st), 0));
	cr_assert(eq(u32, st.st_mode & 0777, 0750));
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		cr_assert(eq(int, stat(scratch_path(path, members[i]), &st), 0));
		cr_assert(eq(u32, st.st_mode & 0777, 0640));
	}
}

Test(image, every_flipped_byte_of_every_file_is_damage_or_reads_the_same, .timeout = 120)
{
	for (size_t i = 0; i < CHECKED; i++) {
		const char *member = scratch_path(path, members[i]);
		size_t len, step = 1;
		uint8_t *buf = bytes_read(member, &len);

		for (size_t at = 0; at < len; at += step) {
			int ret;

			buf[at] ^= (uint8_t)(1u << at % 8);
			bytes_write(member, buf, len);
			ret = read_image();
			cr_expect(ret == 0 || ret == -ERR_DAMAGED, "%s byte %zu: %s",
				  members[i], at, err.text);
			cr_expect(ret == 0 ? i == 0 : 1, "%s byte %zu", members[i], at);
			if (ret < 0)
				says("/");
			buf[at] ^= (uint8_t)(1u << at % 8);
			step = at > 1500 && i == 2 ? 37 : 1; /* incompressible pages */
		}
		bytes_write(member, buf, len);
		free(buf);
	}
	cr_assert(eq(int, read_image(), 0));
}

Test(image, every_truncated_file_is_damage)
{
	for (size_t i = 0; i < CHECKED; i++) {
		const char *member = scratch_path(path, members[i]);
		size_t len;
		uint8_t *buf = bytes_read(member, &len);

		for (size_t n = 0; n < len - 1; n += n < 700 ? 13 : 997) {
			bytes_write(member, buf, n);
			cr_expect(eq(int, read_image(), -ERR_DAMAGED), "%s %zu", members[i], n);
		}
		bytes_write(member, buf, len);
		free(buf);
	}
}

Test(image, a_member_that_is_no_regular_file_is_damage)
{
	for (size_t i = 0; i < CHECKED; i++) {
		const char *member = scratch_path(path, members[i]);
		const char *aside = scratch_path(dir, "aside");
		char expected[100];

		rename(member, aside);
		cr_assert(eq(int, symlink(aside, member), 0));
		cr_expect(eq(int, read_image(), -ERR_DAMAGED));
		snprintf(expected, sizeof(expected), "/%s: is a symbolic link, expected a file",
			 members[i]);
		says(expected);
		unlink(member);
		cr_assert(eq(int, mkfifo(member, 0600), 0)); /* must not be waited for */
		cr_expect(eq(int, read_image(), -ERR_DAMAGED));
		snprintf(expected, sizeof(expected), "/%s: is not a regular file", members[i]);
		says(expected);
		unlink(member);
		if (i > 0) {
			cr_expect(eq(int, read_image(), -ERR_DAMAGED));
			snprintf(expected, sizeof(expected), "/%s: is missing from the image",
				 members[i]);
			says(expected);
		}
		rename(aside, member);
	}
	cr_assert(eq(int, read_image(), 0));
}

Test(image, what_is_no_image_is_said_to_be_none)
{
	unlink(scratch_path(path, "manifest.json"));
	cr_assert(eq(int, read_image(), -ENOENT));
	says(" is not an image: it has no manifest.json");
	scratch_remove(path);
	cr_assert(eq(int, read_image(), -ENOENT));
	bytes_write(path, "", 0);
	cr_assert(eq(int, read_image(), -ENOTDIR));
	says(" is not a directory: an image is one");
}

Test(image, a_long_name_leaves_room_for_the_reason)
{
	char deep[600];

	snprintf(deep, sizeof(deep), "%s/%0200d", dir, 7);
	cr_assert(eq(int, rename(path, deep), 0));
	unlink(scratch_path(deep, "state.bin"));
	cr_assert(eq(int, image_open(&img, deep, &err), -ERR_DAMAGED));
	cr_assert(ne(ptr, strstr(err.text, "0007/state.bin: is missing from the image"), NULL));
}

/* A manifest that is intact and lies about the other files. */
static void lie(void (*change)(struct manifest *m), int expected, const char *rest)
{
	struct manifest m;
	size_t len;
	uint8_t *was = bytes_read(scratch_path(path, "manifest.json"), &len);
	char *text;
	size_t new_len;

	cr_assert(eq(int, manifest_parse(&m, (char *)was, len, &err), 0));
	change(&m);
	cr_assert(eq(int, manifest_format(&m, &text, &new_len, &err), 0), "%s", err.text);
	bytes_write(scratch_path(path, "manifest.json"), text, new_len);
	cr_expect(eq(int, read_image(), expected));
	says(rest);
	bytes_write(scratch_path(path, "manifest.json"), was, len);
	free(was);
	free(text);
	manifest_fini(&m);
}

static void state_size(struct manifest *m)
{
	m->files[MANIFEST_STATE].size++;
}

static void state_digest(struct manifest *m)
{
	m->files[MANIFEST_STATE].sha256.bytes[31] ^= 1;
}

static void memory_size(struct manifest *m)
{
	m->files[MANIFEST_MEMORY].size--;
}

static void table_digest(struct manifest *m)
{
	m->files[MANIFEST_MEMORY].sha256.bytes[0] ^= 1;
}

static void stored_pages(struct manifest *m)
{
	m->stored_pages--;
	m->nonzero_size -= MEM_PAGE_SIZE;
}

static void raw_file(struct manifest *m)
{
	m->files[MANIFEST_RAW].size = m->ram_size;
}

static void wset_size(struct manifest *m)
{
	m->files[MANIFEST_WSET].size = 1ull << 40;
}

static void wset_digest(struct manifest *m)
{
	m->files[MANIFEST_WSET].sha256.bytes[31] ^= 0x80;
}

static void regions(struct manifest *m)
{
	m->regions[1].gpa += MEM_HUGE_SIZE; /* the frames are where no RAM is now */
}

Test(image, a_manifest_that_lies_is_found_out)
{
	lie(state_size, -ERR_DAMAGED, "/state.bin: has 240 bytes, expected 241");
	lie(state_digest, -ERR_DAMAGED, "/state.bin: sha256 is ");
	lie(memory_size, -ERR_DAMAGED, "/memory.lz4: has ");
	lie(table_digest, -ERR_DAMAGED, "/memory.lz4: header and table: sha256 is ");
	lie(stored_pages, -ERR_DAMAGED, "/memory.lz4: stores 40 pages, manifest.json says 39");
	lie(raw_file, -ERR_DAMAGED, "/memory.raw: is missing from the image");
	lie(wset_size, -ERR_DAMAGED, "/wset.bin: has 96 bytes, expected 1099511627776");
	lie(wset_digest, -ERR_DAMAGED, "/wset.bin: sha256 is ");
	lie(regions, -ERR_DAMAGED, "/memory.lz4: frame 5 at guest address 0x811000: ");
}

/* Right digests over a file that is none: the table alone protects. */
Test(image, a_working_set_that_lies_is_found_out)
{
	struct wset elsewhere = { .record_runs = 1, .nruns = 1, .runs = runs };
	struct manifest m;
	size_t len;
	char *text;
	void *buf;

	runs[0].gpa = 0x400000; /* between the regions */
	cr_assert(eq(int, wset_encode(&elsewhere, &mem, &buf, &len, &err), 0));
	bytes_write(scratch_path(path, "wset.bin"), buf, len);
	cr_assert(eq(int, image_open(&img, path, &err), -ERR_DAMAGED));
	text = (char *)bytes_read(scratch_path(path, "manifest.json"), &len);
	cr_assert(eq(int, manifest_parse(&m, text, len, &err), 0));
	m.files[MANIFEST_WSET].size = 80;
	cr_assert(eq(int, digest_of(&m.files[MANIFEST_WSET].sha256, buf, 80, &err), 0));
	free(text);
	cr_assert(eq(int, manifest_format(&m, &text, &len, &err), 0));
	bytes_write(scratch_path(path, "manifest.json"), text, len);
	cr_expect(eq(int, image_open(&img, path, &err), -ERR_DAMAGED));
	says("/wset.bin: run 0 at guest address 0x400000: 1 pages are not whole pages of the "
	     "machine's memory");
	manifest_fini(&m);
	free(text);
	free(buf);
}

/* ---- writing ---- */

Test(image, an_image_is_replaced_as_a_whole)
{
	char tail[300];

	cr_assert(eq(int, write_image(true), 0));
	cr_assert(eq(int, entries_in(path), 5));
	strcpy(manifest.id, "ffeeddccbbaa99887766554433221100");
	snprintf(tail, sizeof(tail), "%s", path);
	strcat(path, "///");
	cr_assert(eq(int, write_image(false), 0), "%s", err.text);
	strcpy(path, tail);
	cr_assert(eq(int, read_image(), 0), "%s", err.text);
	cr_assert(eq(int, entries_in(path), 4));
	cr_assert(eq(int, entries_in(dir), 1));
}

Test(image, writing_to_the_disk_is_the_same)
{
	struct image_writer w;

	cr_assert(eq(int, image_writer_begin(&w, scratch_path(dir, "synced"), &err), 0));
	cr_assert(eq(int, image_writer_put(&w, "state.bin", "x", 1, &err), 0));
	cr_assert(eq(int, image_writer_commit(&w, true, &err), 0), "%s", err.text);
	image_writer_abort(&w); /* does nothing */
	cr_assert(eq(int, access(scratch_path(dir, "synced/state.bin"), F_OK), 0));
	cr_assert(eq(int, entries_in(dir), 2));
}

Test(image, an_aborted_writer_leaves_nothing)
{
	struct image_writer w;

	cr_assert(eq(int, image_writer_begin(&w, path, &err), 0));
	cr_assert(eq(int, image_writer_put(&w, "state.bin", "x", 1, &err), 0));
	cr_assert(eq(int, image_writer_put(&w, "manifest.json", "x", 1, &err), 0));
	cr_assert(eq(int, entries_in(dir), 2));
	image_writer_abort(&w);
	cr_assert(eq(int, entries_in(dir), 1));
	cr_assert(eq(int, read_image(), 0));

	manifest.vcpus = 0; /* found out after all else was written */
	cr_assert(eq(int, write_image(true), -EINVAL));
	cr_assert(eq(int, entries_in(dir), 1));
	cr_assert(eq(int, read_image(), 0));
	manifest.vcpus = 1;
}

/* Everything that is there and is no image is refused, and stays as it was. */
Test(image, nothing_but_an_image_is_replaced)
{
	bytes_write(scratch_path(path, "notes.txt"), "mine", 4);
	cr_assert(eq(int, write_image(false), -EEXIST));
	says(" holds 'notes.txt', which is no part of an image: it would be lost");
	unlink(scratch_path(path, "notes.txt"));

	rename(path, scratch_path(dir, "other"));
	cr_assert(eq(int, symlink("other", path), 0));
	cr_assert(eq(int, write_image(false), -EEXIST));
	says(" exists and is not an image");
	unlink(path);

	cr_assert(eq(int, mkdir(path, 0700), 0));
	cr_assert(eq(int, write_image(false), -EEXIST));
	says(" exists and is not an image: it has no manifest.json");
	rmdir(path);

	bytes_write(path, "mine", 4);
	cr_assert(eq(int, write_image(false), -EEXIST));
	says(" exists and is not an image");
	cr_assert(eq(int, entries_in(dir), 2));
}

Test(image, a_target_without_a_name_is_refused)
{
	static const char *const names[] = { "", "/", "..", "a/../..", "." };
	struct image_writer w;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect(eq(int, image_writer_begin(&w, names[i], &err), -EINVAL), "%s",
			  names[i]);
	cr_expect(eq(int, image_writer_begin(&w, "/nowhere/at/all", &err), -ENOENT));
}

/* The name appeared while the image was being written. */
Test(image, a_target_that_came_meanwhile_is_not_replaced)
{
	struct image_writer w;
	const char *target = scratch_path(dir, "late");

	cr_assert(eq(int, image_writer_begin(&w, target, &err), 0));
	cr_assert(eq(int, mkdir(target, 0700), 0));
	cr_assert(eq(int, image_writer_commit(&w, false, &err), -EEXIST));
	image_writer_abort(&w);
	cr_assert(eq(int, entries_in(dir), 2));
	cr_assert(eq(int, entries_in(target), 0));
}
