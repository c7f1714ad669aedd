/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/image_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/digest.h"
#include "snapshot/frames.h"
#include "snapshot/io.h"
#include "snapshot/raw.h"
#include "snapshot/wset.h"

#define TMP_TRIES 100 /* ours: names to try, of 2^30 */

/* Everything that an image may hold; the manifest first, so that what is left of an image
 * whose removal was interrupted is not taken for one. */
#define NFILES (1 + MANIFEST_NMEMBERS)

static const char *file_name(unsigned int i)
{
	return i == 0 ? MANIFEST_NAME : manifest_member_name((enum manifest_member)(i - 1));
}

static bool is_file_name(const char *name)
{
	for (unsigned int i = 0; i < NFILES; i++) {
		if (strcmp(name, file_name(i)) == 0)
			return true;
	}
	return false;
}

/* ---- the target ---- */

/* "DIR/" and "DIR" are the same image; its name is what follows the last slash. */
static int split_path(struct image_writer *w, const char *dir, struct err *err)
{
	size_t len = strlen(dir), start;
	auto_free char *parent = NULL;

	while (len > 0 && dir[len - 1] == '/')
		len--;
	for (start = len; start > 0 && dir[start - 1] != '/';)
		start--;
	if (len - start >= sizeof(w->base))
		return err_set(err, ENAMETOOLONG,
			       "%s: name of %zu bytes, longest allowed is %zu", dir,
			       len - start, sizeof(w->base) - 1);
	memcpy(w->base, dir + start, len - start);
	if (w->base[0] == '\0' || strcmp(w->base, ".") == 0 || strcmp(w->base, "..") == 0)
		return err_set(err, EINVAL, "'%s' is not a name for a new image", dir);
	parent = start > 0 ? strndup(dir, start) : strdup(".");
	if (!parent)
		return err_set(err, ENOMEM, "%s: out of memory", dir);
	w->parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return w->parent_fd < 0 ? err_sys(err, "open %s", parent) : 0;
}

/* Only an image may be replaced, and only one that holds nothing else: it is removed. */
static int check_image(DIR *stream, const char *dir, struct err *err)
{
	struct dirent *entry;
	bool is_image = false;
	struct stat st;

	if (fstatat(dirfd(stream), MANIFEST_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		is_image = S_ISREG(st.st_mode);
	if (!is_image)
		return err_set(err, EEXIST,
			       "%s exists and is not an image: it has no " MANIFEST_NAME, dir);
	/* The stream is ours alone, which is all that readdir asks for. */
	while ((entry = readdir(stream))) { /* NOLINT(concurrency-mt-unsafe) */
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    !is_file_name(entry->d_name))
			return err_set(err, EEXIST,
				       "%s holds '%s', which is no part of an image: "
				       "it would be lost",
				       dir, entry->d_name);
	}
	return 0;
}

static int check_target(struct image_writer *w, const char *dir, struct err *err)
{
	int fd = openat(w->parent_fd, w->base,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DIR *stream;
	int ret;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return err_set(err, EEXIST, "%s exists and is not an image", dir);
	if (fd < 0)
		return err_sys(err, "open %s", dir);
	stream = fdopendir(fd);
	if (!stream) {
		ret = err_sys(err, "read %s", dir);
		close(fd);
		return ret;
	}
	ret = check_image(stream, dir, err);
	closedir(stream);
	w->replace = ret == 0;
	return ret;
}

/* ---- the temporary directory ---- */

static int random_suffix(char suffix[7], struct err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t bytes[6];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_sys(err, "getrandom");
	for (size_t i = 0; i < sizeof(bytes); i++)
		suffix[i] = letters[bytes[i] % 32];
	suffix[sizeof(bytes)] = '\0';
	return 0;
}

/* mkdtemp(3) would make it 0700; an image is as open as the umask lets it be. */
static int make_tmp(struct image_writer *w, const char *dir, struct err *err)
{
	for (int i = 0; i < TMP_TRIES; i++) {
		char suffix[7];
		int n, ret = random_suffix(suffix, err);

		if (ret < 0)
			return ret;
		n = snprintf(w->tmp, sizeof(w->tmp), "%s.tmp-%s", w->base, suffix);
		if (n >= (int)sizeof(w->tmp))
			return err_set(err, ENAMETOOLONG,
				       "%s: name of %zu bytes leaves no room for .tmp-%s", dir,
				       strlen(w->base), suffix);
		if (mkdirat(w->parent_fd, w->tmp, 0755) == 0)
			break;
		if (errno != EEXIST || i == TMP_TRIES - 1) {
			ret = err_sys(err, "make %s.tmp-%s", dir, suffix);
			w->tmp[0] = '\0'; /* not ours to remove */
			return ret;
		}
	}
	w->dirfd = openat(w->parent_fd, w->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return w->dirfd < 0 ? err_sys(err, "open %s of %s", w->tmp, dir) : 0;
}

int image_writer_begin(struct image_writer *w, const char *dir, struct err *err)
{
	int ret;

	*w = (struct image_writer){ .parent_fd = -1, .dirfd = -1 };
	ret = split_path(w, dir, err);
	if (ret == 0)
		ret = check_target(w, dir, err);
	if (ret == 0)
		ret = make_tmp(w, dir, err);
	if (ret < 0)
		image_writer_abort(w);
	return ret;
}

int image_writer_create(struct image_writer *w, const char *member, struct err *err)
{
	int fd = openat(w->dirfd, member, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? err_sys(err, "create %s/%s", w->tmp, member) : fd;
}

int image_writer_put(struct image_writer *w, const char *member, const void *buf, size_t len,
		     struct err *err)
{
	auto_close int fd = image_writer_create(w, member, err);
	int ret = fd < 0 ? fd : io_write(fd, buf, len, 0, err);

	return ret < 0 && fd >= 0 ? err_wrap(err, ret, "%s/%s", w->tmp, member) : ret;
}

/* ---- the end ---- */

static int sync_member(struct image_writer *w, const char *name, struct err *err)
{
	auto_close int fd = openat(w->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, "fsync %s/%s", w->tmp, name);
	return 0;
}

static int sync_image(struct image_writer *w, struct err *err)
{
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < NFILES; i++)
		ret = sync_member(w, file_name(i), err);
	if (ret == 0 && fsync(w->dirfd) < 0)
		ret = err_sys(err, "fsync %s", w->tmp);
	return ret;
}

/* The known members of the directory @fd, then the directory itself. */
static void remove_image(int parent_fd, const char *name, int fd)
{
	for (unsigned int i = 0; fd >= 0 && i < NFILES; i++)
		unlinkat(fd, file_name(i), 0);
	unlinkat(parent_fd, name, AT_REMOVEDIR);
}

/* Exchange names with the old image, which is then found under the temporary one. */
static int replace_old(struct image_writer *w, struct err *err)
{
	auto_close int old_fd = -1;

	if (renameat2(w->parent_fd, w->tmp, w->parent_fd, w->base, RENAME_EXCHANGE) < 0) {
		if (errno == EINVAL)
			return err_set(err, EINVAL,
				       "this file system cannot exchange two directories: "
				       "remove %s first",
				       w->base);
		return err_sys(err, "exchange %s and %s", w->tmp, w->base);
	}
	old_fd = openat(w->parent_fd, w->tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	remove_image(w->parent_fd, w->tmp, old_fd);
	return 0;
}

static int name_new(struct image_writer *w, struct err *err)
{
	int ret = renameat2(w->parent_fd, w->tmp, w->parent_fd, w->base, RENAME_NOREPLACE);

	/* Where the flag is unknown: a plain rename replaces no more than an empty directory. */
	if (ret < 0 && errno == EINVAL)
		ret = renameat(w->parent_fd, w->tmp, w->parent_fd, w->base);
	return ret < 0 ? err_sys(err, "rename %s to %s", w->tmp, w->base) : 0;
}

static void writer_close(struct image_writer *w)
{
	fd_cleanup(&w->dirfd);
	fd_cleanup(&w->parent_fd);
	*w = (struct image_writer){ .parent_fd = -1, .dirfd = -1 };
}

int image_writer_commit(struct image_writer *w, bool sync, struct err *err)
{
	int ret = sync ? sync_image(w, err) : 0;

	if (ret == 0)
		ret = w->replace ? replace_old(w, err) : name_new(w, err);
	if (ret < 0)
		return ret;
	if (sync && fsync(w->parent_fd) < 0)
		ret = err_sys(err, "fsync the directory of %s", w->base);
	writer_close(w);
	return ret;
}

void image_writer_abort(struct image_writer *w)
{
	if (w->tmp[0] != '\0')
		remove_image(w->parent_fd, w->tmp, w->dirfd);
	writer_close(w);
}

/* ---- a whole image ---- */

/* A member that is there in memory, with its size and digest for the manifest. */
static int write_member(struct image_writer *w, const struct image_content *c,
			enum manifest_member member, const void *buf, size_t len,
			struct err *err)
{
	struct manifest_file *file = &c->manifest->files[member];
	int ret = digest_of(&file->sha256, buf, len, err);

	file->size = len;
	return ret < 0 ? ret : image_writer_put(w, manifest_member_name(member), buf, len, err);
}

static int write_state(struct image_writer *w, const struct image_content *c, struct err *err)
{
	int ret = state_writer_finish(c->state, err);

	return ret < 0 ? ret
		       : write_member(w, c, MANIFEST_STATE, c->state->buf, c->state->len, err);
}

static int write_wset(struct image_writer *w, const struct image_content *c, struct err *err)
{
	auto_free void *buf = NULL;
	size_t len;
	int ret;

	c->manifest->files[MANIFEST_WSET] = (struct manifest_file){ 0 };
	if (!c->wset || c->wset->nruns == 0)
		return 0;
	ret = wset_encode(c->wset, c->mem, &buf, &len, err);
	return ret < 0 ? ret : write_member(w, c, MANIFEST_WSET, buf, len, err);
}

static int write_memory(struct image_writer *w, const struct image_content *c, struct err *err)
{
	const char *name = manifest_member_name(MANIFEST_MEMORY);
	auto_close int fd = image_writer_create(w, name, err);
	struct manifest *m = c->manifest;
	struct frames_info info;
	int ret;

	if (fd < 0)
		return fd;
	if (manifest_is_layer(m))
		ret = frames_write_pages(fd, c->mem, c->pages, c->npages, &info, err);
	else
		ret = frames_write(fd, c->mem, c->wset, c->progress, &info, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s/%s", w->tmp, name);
	m->files[MANIFEST_MEMORY] =
		(struct manifest_file){ .size = info.size, .sha256 = info.table };
	manifest_set_mem(m, c->mem);
	m->stored_pages = info.npages;
	m->nonzero_size = info.npages * MEM_PAGE_SIZE;
	return 0;
}

static int write_raw(struct image_writer *w, const struct image_content *c, struct err *err)
{
	const char *name = manifest_member_name(MANIFEST_RAW);
	struct manifest_file *file = &c->manifest->files[MANIFEST_RAW];
	auto_close int fd = -1;
	int ret;

	*file = (struct manifest_file){ 0 };
	if (!c->raw)
		return 0;
	fd = image_writer_create(w, name, err);
	if (fd < 0)
		return fd;
	ret = raw_write(fd, c->mem, c->progress, &file->sha256, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s/%s", w->tmp, name);
	file->size = mem_size(c->mem);
	return 0;
}

static int copy_disk(int from, int to, struct manifest_file *file, struct err *err)
{
	int ret = io_file_size(from, &file->size, err);

	for (off_t at = 0; ret == 0 && (uint64_t)at < file->size;) {
		ssize_t n = sendfile(to, from, &at, file->size - (uint64_t)at);

		if (n == 0)
			ret = err_set(err, EIO, "blocks of a drive end before they should");
		else if (n < 0 && errno != EINTR) /* a deadline's signal may be late */
			ret = err_sys(err, "copy blocks of a drive");
	}
	return ret < 0 ? ret : digest_file(&file->sha256, to, file->size, NULL, err);
}

static int write_disks(struct image_writer *w, const struct image_content *c, struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES && ret == 0; i++) {
		enum manifest_member member = (enum manifest_member)(MANIFEST_DISK + i);
		auto_close int fd = -1;

		c->manifest->files[member] = (struct manifest_file){ 0 };
		if (i >= c->manifest->ndrives || !c->disk_fds || c->disk_fds[i] < 0)
			continue;
		fd = image_writer_create(w, manifest_member_name(member), err);
		ret = fd < 0 ? fd
			     : copy_disk(c->disk_fds[i], fd, &c->manifest->files[member], err);
	}
	return ret;
}

static int write_manifest(struct image_writer *w, const struct manifest *m, struct err *err)
{
	auto_free char *text = NULL;
	size_t len;
	int ret = manifest_format(m, &text, &len, err);

	return ret < 0 ? ret : image_writer_put(w, MANIFEST_NAME, text, len, err);
}

int image_write(const char *dir, const struct image_content *c, struct err *err)
{
	struct image_writer w;
	int ret = image_writer_begin(&w, dir, err);

	if (ret < 0)
		return ret;
	ret = write_state(&w, c, err);
	if (ret == 0)
		ret = write_memory(&w, c, err);
	if (ret == 0)
		ret = write_raw(&w, c, err);
	if (ret == 0)
		ret = write_wset(&w, c, err);
	if (ret == 0)
		ret = write_disks(&w, c, err);
	if (ret == 0)
		ret = write_manifest(&w, c->manifest, err);
	if (ret == 0)
		ret = image_writer_commit(&w, c->sync, err);
	if (ret < 0)
		image_writer_abort(&w);
	return ret;
}
