/* SPDX-License-Identifier: Apache-2.0 */
/* test_archive.c - what `--files` packs, read back by a parser of its own (cpio(5), newc). */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/err.h"
#include "tests/helpers_image.h"
#include "tools/thaw/archive.h"

#define HEADER 110u /* "070701", then 13 numbers of 8 hex digits */

struct entry {
	char name[64];
	uint32_t mode, uid, gid, mtime;
	size_t size;
	const uint8_t *data;
};

static char dir[256], tree[512];
static struct blob out;
static struct err err;
static struct entry entries[16];
static int nentries;

static void setup(void)
{
	scratch_make(dir);
	snprintf(tree, sizeof(tree), "%s/tree", dir);
	cr_assert(eq(int, mkdir(tree, 0755), 0));
}

static void teardown(void)
{
	blob_free(&out);
	scratch_remove(dir);
}

TestSuite(archive, .init = setup, .fini = teardown, .timeout = 20);

/* Number @i of the header. */
static uint32_t number(const uint8_t *header, int i)
{
	char digits[9] = { 0 };
	char *end;
	unsigned long v;

	memcpy(digits, header + 6 + i * 8, 8);
	v = strtoul(digits, &end, 16);
	cr_assert(eq(chr, *end, 0), "'%s' is not hex", digits);
	return (uint32_t)v;
}

/* Take the archive apart; asserts everything that a strict reader asks for. */
static void read_back(void)
{
	size_t at = 0;

	for (nentries = 0;; nentries++) {
		const uint8_t *h = out.data + at;
		struct entry *e = &entries[nentries];
		size_t name_size;

		cr_assert(le(sz, at + HEADER, out.size), "no trailer");
		cr_assert(eq(int, memcmp(h, "070701", 6), 0));
		name_size = number(h, 11);
		cr_assert(le(sz, name_size, sizeof(e->name)));
		memcpy(e->name, h + HEADER, name_size);
		cr_assert(eq(sz, strlen(e->name) + 1, name_size));
		e->mode = number(h, 1);
		e->uid = number(h, 2);
		e->gid = number(h, 3);
		e->mtime = number(h, 5);
		e->size = number(h, 6);
		at += (HEADER + name_size + 3) & ~3ul;
		e->data = out.data + at;
		at += (e->size + 3) & ~3ul;
		cr_assert(le(sz, at, out.size));
		if (strcmp(e->name, "TRAILER!!!") == 0)
			break;
		cr_assert(lt(int, nentries, 15));
	}
	for (; at < out.size; at++)
		cr_assert(eq(u8, out.data[at], 0));
}

static const char *in_tree(const char *name)
{
	return scratch_path(tree, name);
}

static void pack(const char *path)
{
	blob_free(&out);
	cr_assert(eq(int, archive_files(&out, path, 1 << 20, &err), 0), "%s", err.text);
	read_back();
}

static void expect_entry(int i, const char *name, uint32_t mode, const char *data)
{
	cr_assert(lt(int, i, nentries));
	cr_expect(eq(str, entries[i].name, (char *)name));
	cr_expect(eq(u32, entries[i].mode, mode), "%s: %o", name, entries[i].mode);
	cr_expect(eq(sz, entries[i].size, strlen(data)), "%s", name);
	cr_expect(eq(int, memcmp(entries[i].data, data, strlen(data)), 0), "%s", name);
}

static void make_tree(void)
{
	bytes_write(in_tree("b.txt"), "hello", 5);
	bytes_write(in_tree("a.bin"), "\x01\x02\x03", 3);
	cr_assert(eq(int, mkdir(in_tree("sub"), 0755), 0));
	cr_assert(eq(int, mkdir(in_tree("void"), 0700), 0));
	bytes_write(in_tree("sub/empty"), "", 0);
	cr_assert(eq(int, chmod(in_tree("sub/empty"), 0755), 0));
	cr_assert(eq(int, symlink("../b.txt", in_tree("sub/link")), 0));
}

static void expect_tree(void)
{
	cr_assert(eq(int, nentries, 6));
	expect_entry(0, "a.bin", S_IFREG | 0644, "\x01\x02\x03");
	expect_entry(1, "b.txt", S_IFREG | 0644, "hello");
	expect_entry(2, "sub", S_IFDIR | 0755, "");
	expect_entry(3, "sub/empty", S_IFREG | 0755, "");
	expect_entry(4, "sub/link", S_IFLNK | 0777, "../b.txt");
	expect_entry(5, "void", S_IFDIR | 0700, "");
}

Test(archive, a_directory_is_packed_sorted_with_its_links_and_empty_directories)
{
	make_tree();
	pack(tree);
	expect_tree();
}

Test(archive, a_slash_at_the_end_or_a_link_to_the_directory_changes_nothing)
{
	make_tree();
	pack(in_tree(""));
	expect_tree();
	cr_assert(eq(int, symlink(tree, scratch_path(dir, "link")), 0));
	pack(scratch_path(dir, "link"));
	expect_tree();
}

Test(archive, equal_trees_give_equal_bytes_whenever_they_were_made)
{
	struct timeval times[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct blob first;

	make_tree();
	pack(tree);
	first = out;
	out = (struct blob){ 0 };
	cr_assert(eq(int, utimes(in_tree("b.txt"), times), 0));
	pack(tree);
	cr_expect(eq(sz, out.size, first.size));
	cr_expect(eq(int, memcmp(out.data, first.data, out.size), 0));
	for (int i = 0; i < nentries; i++)
		cr_expect(eq(u32, entries[i].uid | entries[i].gid | entries[i].mtime, 0), "%s",
			  entries[i].name);
	blob_free(&first);
}

Test(archive, entries_are_sorted_whatever_order_the_file_system_has)
{
	char name[8];

	for (unsigned int i = 0; i < 14; i++) {
		snprintf(name, sizeof(name), "%c", 'a' + i * 9 % 14);
		bytes_write(in_tree(name), name, 1);
	}
	pack(tree);
	cr_assert(eq(int, nentries, 14));
	for (int i = 0; i < 14; i++)
		cr_expect(eq(chr, entries[i].name[0], 'a' + i));
}

Test(archive, an_empty_directory_is_an_archive_of_nothing)
{
	pack(tree);
	cr_expect(eq(int, nentries, 0));
}

Test(archive, contents_of_every_length_come_back)
{
	static uint8_t bytes[70000];
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 4095, 4096, 4097, 70000 };

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 >> 2);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		bytes_write(in_tree("file"), bytes, sizes[i]);
		pack(tree);
		cr_assert(eq(int, nentries, 1));
		cr_assert(eq(sz, entries[0].size, sizes[i]));
		cr_expect(eq(int, memcmp(entries[0].data, bytes, sizes[i]), 0));
	}
}

Test(archive, what_a_guest_cannot_have_is_refused_and_named)
{
	char want[700];

	cr_assert(eq(int, mkfifo(in_tree("fifo"), 0600), 0));
	cr_expect(eq(int, archive_files(&out, tree, 1 << 20, &err), -EINVAL));
	snprintf(want, sizeof(want), "%s/fifo: not a file, directory or symlink", tree);
	cr_expect(eq(str, err.text, want));
}

Test(archive, a_tree_above_the_limit_is_refused)
{
	static const uint8_t bytes[100000];
	char want[700];

	bytes_write(in_tree("big"), bytes, sizeof(bytes));
	cr_expect(eq(int, archive_files(&out, tree, 50000, &err), -EFBIG));
	snprintf(want, sizeof(want), "%s/big: larger than 50000 bytes", tree);
	cr_expect(eq(str, err.text, want));
}

/* The limit is on the archive, not on the contents: it ends between these two numbers. */
Test(archive, the_limit_holds_to_the_last_byte)
{
	make_tree();
	pack(tree);
	for (size_t max = 0; max < out.size; max += 1 + out.size / 50) {
		struct blob less = { 0 };

		cr_expect(eq(int, archive_files(&less, tree, max, &err), -EFBIG), "max %zu",
			  max);
		cr_expect(le(sz, less.size, max));
		blob_free(&less);
	}
	for (int more = -1; more <= 0; more++) {
		struct blob exact = { 0 };

		cr_expect(eq(int, archive_files(&exact, tree, out.size + (size_t)more, &err),
			     more ? -EFBIG : 0));
		blob_free(&exact);
	}
}

Test(archive, a_cpio_archive_is_taken_as_it_is)
{
	struct blob first;
	char path[300];

	snprintf(path, sizeof(path), "%s/files.cpio", dir);
	make_tree();
	pack(tree);
	bytes_write(path, out.data, out.size);
	first = out;
	out = (struct blob){ 0 };
	pack(path);
	cr_expect(eq(sz, out.size, first.size));
	cr_expect(eq(int, memcmp(out.data, first.data, out.size), 0));
	blob_free(&first);
	bytes_write(path, "070702 and so on", 16); /* with checksums: the guest looks */
	cr_expect(eq(int, archive_files(&out, path, 1 << 20, &err), 0));
}

Test(archive, neither_a_directory_nor_a_cpio_archive)
{
	static const struct {
		const char *why, *bytes;
	} cases[] = {
		{ "empty", "" },
		{ "too short", "07070" },
		{ "the old portable format", "070707000000000000" },
		{ "a tarball", "etc/passwd" },
		{ "gzip", "\x1f\x8b\x08 and so on" },
	};
	const char *path = scratch_path(dir, "garbage");
	char want[700];

	snprintf(want, sizeof(want), "%s: neither a directory nor a newc cpio archive", path);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bytes_write(path, cases[i].bytes, strlen(cases[i].bytes));
		blob_free(&out);
		cr_expect(eq(int, archive_files(&out, path, 1 << 20, &err), -EINVAL), "%s",
			  cases[i].why);
		cr_expect(eq(str, err.text, want), "%s", cases[i].why);
	}
	cr_expect(eq(int, archive_files(&out, "/no/such/tree", 1, &err), -ENOENT));
	cr_expect(eq(str, err.text, "/no/such/tree: No such file or directory"));
}

Test(archive, what_cannot_be_read_is_refused_and_named)
{
	uid_t uid = geteuid();

	bytes_write(in_tree("secret"), "x", 1);
	cr_assert(eq(int, chmod(in_tree("secret"), 0), 0));
	/* Root may read everything, so be somebody else for a moment; by a relative path,
	 * because $TMPDIR may be closed to them. */
	cr_assert(eq(int, chmod(dir, 0755) | chdir(dir), 0));
	if (uid == 0)
		cr_assert(eq(int, seteuid(65534), 0));
	cr_expect(eq(int, archive_files(&out, "tree", 1 << 20, &err), -EACCES));
	cr_expect(eq(str, err.text, "tree/secret: open: Permission denied"));
	cr_assert(eq(int, seteuid(uid), 0));
}
