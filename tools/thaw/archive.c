/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/err.h"

/* newc and its checksummed sibling: cpio(5) */
#define CPIO_MAGIC_LEN 6

static int check_cpio(const struct blob *b, const char *path, struct err *err)
{
	if (b->size >= CPIO_MAGIC_LEN && (memcmp(b->data, "070701", CPIO_MAGIC_LEN) == 0 ||
					  memcmp(b->data, "070702", CPIO_MAGIC_LEN) == 0))
		return 0;
	return err_set(err, EINVAL, "%s: neither a directory nor a newc cpio archive", path);
}

struct sink {
	struct blob *out;
	uint64_t max;
	struct err *err;
};

static la_ssize_t sink_write(struct archive *a, void *arg, const void *data, size_t len)
{
	struct sink *sink = arg;
	int ret = blob_append(sink->out, data, len, sink->max, sink->err);

	if (ret == 0)
		return (la_ssize_t)len;
	archive_set_error(a, -ret, "%s", sink->err->text);
	return -1;
}

static int archive_error(struct archive *a, struct err *err)
{
	const char *text = archive_error_string(a);

	return err_set(err, archive_errno(a) > 0 ? archive_errno(a) : EIO, "%s",
		       text ? text : "archive error");
}

static int copy_content(struct archive *a, const char *path, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char buf[2048]; /* beside the 4 KiB of a link's target in one stack frame */
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "open");
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (archive_write_data(a, buf, (size_t)n) < 0)
			return archive_error(a, err);
	}
	return n < 0 ? err_sys(err, "read") : 0;
}

static int add_entry(struct archive *a, const FTSENT *f, const char *name, struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	char target[4096];
	ssize_t n;
	int ret = 0;

	archive_entry_copy_pathname(e, name);
	archive_entry_set_mode(e, f->fts_statp->st_mode);
	archive_entry_set_size(e, S_ISREG(f->fts_statp->st_mode) ? f->fts_statp->st_size : 0);
	if (S_ISLNK(f->fts_statp->st_mode)) {
		n = readlink(f->fts_accpath, target, sizeof(target) - 1);
		target[MAX(n, (ssize_t)0)] = '\0';
		archive_entry_copy_symlink(e, target);
	}
	if (archive_write_header(a, e) < ARCHIVE_WARN)
		ret = archive_error(a, err);
	else if (S_ISREG(f->fts_statp->st_mode))
		ret = copy_content(a, f->fts_accpath, err);
	archive_entry_free(e);
	return ret;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_tree(struct archive *a, const char *root, struct err *err)
{
	size_t skip = strlen(root);
	char *paths[] = { (char *)(uintptr_t)root, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	FTSENT *f;
	int ret = 0;

	if (!fts)
		return err_sys(err, "%s", root);
	while (ret == 0 && (errno = 0, f = fts_read(fts)) != NULL) {
		const char *name = f->fts_path + skip;

		if (f->fts_info == FTS_DP || f->fts_level == 0)
			continue;
		if (f->fts_info == FTS_ERR || f->fts_info == FTS_DNR || f->fts_info == FTS_NS)
			ret = err_set(err, f->fts_errno, "%s: %s", f->fts_path,
				      strerrordesc_np(f->fts_errno));
		else if (S_ISREG(f->fts_statp->st_mode) || S_ISDIR(f->fts_statp->st_mode) ||
			 S_ISLNK(f->fts_statp->st_mode))
			ret = add_entry(a, f, name + strspn(name, "/"), err);
		else
			ret = err_set(err, EINVAL, "not a file, directory or symlink");
		if (ret < 0)
			ret = err_wrap(err, ret, "%s", f->fts_path);
	}
	fts_close(fts);
	return ret;
}

/* ---- archives ---- */

/* What is to go into one. */
struct source {
	const char *path;		  /* a directory; NULL: */
	const struct archive_item *items; /* these */
	size_t nitems;
};

static int add_items(struct archive *a, const struct source *from, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < from->nitems && ret == 0; i++) {
		const struct archive_item *item = &from->items[i];
		struct archive_entry *e = archive_entry_new();

		archive_entry_copy_pathname(e, item->name);
		archive_entry_set_mode(e, (item->data ? S_IFREG : S_IFDIR) | item->mode);
		archive_entry_set_size(e, (la_int64_t)item->size);
		if (archive_write_header(a, e) < ARCHIVE_WARN ||
		    (item->size > 0 && archive_write_data(a, item->data, item->size) < 0))
			ret = archive_error(a, err);
		archive_entry_free(e);
	}
	return ret;
}

static int pack(struct blob *out, const struct source *from, uint64_t max, struct err *err)
{
	struct err inner = { 0 };
	struct sink sink = { .out = out, .max = max, .err = &inner };
	struct archive *a = archive_write_new();
	int ret;

	if (!a)
		return err_set(err, ENOMEM, "no memory for an archive");
	archive_write_set_format_cpio_newc(a);
	archive_write_set_bytes_per_block(a, 0);
	if (archive_write_open(a, &sink, NULL, sink_write, NULL) != ARCHIVE_OK)
		ret = archive_error(a, err);
	else
		ret = from->path ? add_tree(a, from->path, err) : add_items(a, from, err);
	if (archive_write_close(a) != ARCHIVE_OK && ret == 0)
		ret = archive_error(a, err);
	archive_write_free(a);
	return ret;
}

int archive_files(struct blob *out, const char *path, uint64_t max, struct err *err)
{
	struct stat st;
	int ret;

	if (stat(path, &st) < 0)
		return err_sys(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return pack(out, &(struct source){ .path = path }, max, err);
	ret = blob_read(out, path, max, err);
	return ret < 0 ? ret : check_cpio(out, path, err);
}

int archive_items(struct blob *out, const struct archive_item *items, size_t n, uint64_t max,
		  struct err *err)
{
	return pack(out, &(struct source){ .items = items, .nitems = n }, max, err);
}
