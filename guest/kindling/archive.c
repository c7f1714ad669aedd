/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/archive.h"

#include <linux/errno.h>
#include <sys/stat.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/cpio.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/log.h"
#include "guest/kindling/tables.h"

#define MAX_LINKS      40   /* symbolic links on one way, as Linux */
#define MAX_PART       255u /* bytes of one name, as Linux */
#define DIRECTORY_MODE (S_IFDIR | 0555)

static const uint8_t *archives;
static struct archive_file *files; /* the root first */
static uint32_t nfiles;

static uint32_t hash(const char *name, uint32_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a, 32 bits */

	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

const char *archive_name(const struct archive_file *f)
{
	return (const char *)archives + f->name;
}

const uint8_t *archive_data(const struct archive_file *f)
{
	return archives + f->data;
}

/* From the end: the last of several entries with one name counts. */
static struct archive_file *archive_find(const char *name, uint32_t len)
{
	uint32_t h = hash(name, len);

	for (uint32_t i = nfiles; i-- > 0;) {
		struct archive_file *f = &files[i];

		if (f->hash == h && f->name_len == len &&
		    memcmp(archive_name(f), name, len) == 0)
			return f;
	}
	return NULL;
}

/* ---- making the index ---- */

/* The index grows over consecutive pages; nobody else takes pages meanwhile. */
static void archive_add(struct archive_file f)
{
	static uint8_t *room;

	if ((uint8_t *)(files + nfiles + 1) > room) {
		uint8_t *page = tables_take(1, "the index of files");

		if (!room)
			files = (struct archive_file *)(void *)page;
		room = page + LAYOUT_PAGE;
	}
	f.hash = hash(archive_name(&f), f.name_len);
	files[nfiles++] = f;
}

/* The directories on the way to @f that nobody listed. Their names are the start of its. */
static void archive_add_parents(const struct archive_file *f)
{
	const char *name = archive_name(f);

	for (uint32_t len = 1; len < f->name_len; len++)
		if (name[len] == '/' && !archive_find(name, len))
			archive_add((struct archive_file){
				.name = f->name,
				.name_len = len,
				.mode = DIRECTORY_MODE,
				.mtime = f->mtime,
				.nlink = 2,
			});
}

/* "./a/b/" is "a/b", "." and "/" are the root. */
static void archive_trim_name(struct archive_file *f)
{
	const char *name = archive_name(f);

	while (f->name_len &&
	       (name[0] == '/' || (name[0] == '.' && (f->name_len == 1 || name[1] == '/')))) {
		name++;
		f->name++;
		f->name_len--;
	}
	while (f->name_len && name[f->name_len - 1] == '/')
		f->name_len--;
}

void archive_init(const uint8_t *bytes, uint64_t size)
{
	struct cpio_walk walk = { .bytes = bytes, .size = size };
	struct cpio_entry e;
	char why[CPIO_WHY_SIZE];
	int ret;

	archives = bytes;
	archive_add((struct archive_file){ .mode = DIRECTORY_MODE, .nlink = 2 });
	while ((ret = cpio_next(&walk, &e, why)) > 0) {
		struct archive_file f = {
			.name = (uint32_t)((const uint8_t *)e.name - bytes),
			.name_len = e.name_len,
			.data = e.data,
			.size = e.size,
			.mode = e.mode,
			.mtime = e.mtime,
			.ino = e.ino,
			.nlink = e.nlink,
		};

		archive_trim_name(&f);
		archive_add_parents(&f);
		archive_add(f);
	}
	if (ret < 0)
		log_die("files: %s", why);
}

/* ---- finding files ---- */

/* Of several hard links only the last one in the archive has the contents. */
static const struct archive_file *archive_with_data(const struct archive_file *f)
{
	if (f->nlink < 2 || f->size || !S_ISREG(f->mode))
		return f;
	for (const struct archive_file *g = f + 1; g < files + nfiles; g++)
		if (g->ino == f->ino && S_ISREG(g->mode) && g->size)
			return g;
	return f;
}

/* Where a walk along a path is. One at a time, so the buffers are fixed. */
static char rest[ARCHIVE_PATH_MAX];   /* what has still to be walked */
static char walked[ARCHIVE_PATH_MAX]; /* without leading slash; not ended by NUL */

/* Put the target of link @f in front of @tail, which is inside rest and empty or starts with
 * a slash, to start over with it. Returns 0 or -ENAMETOOLONG. */
static int walk_link(const struct archive_file *f, const char *tail)
{
	uint64_t len = strlen(tail) + 1;

	if (f->size + len > sizeof(rest))
		return -ENAMETOOLONG;
	memmove(rest + f->size, tail, len);
	memcpy(rest, archive_data(f), f->size);
	return 0;
}

static uint32_t walk_up(uint32_t len)
{
	while (len && walked[len - 1] != '/')
		len--;
	return len ? len - 1 : 0;
}

/* Append the @n bytes of the next part to the @len walked ones. Returns the new length, or 0
 * when it gets too long. */
static uint32_t walk_down(uint32_t len, const char *part, uint32_t n)
{
	if (n > MAX_PART || len + n + 2 > sizeof(walked))
		return 0;
	if (len)
		walked[len++] = '/';
	memcpy(walked + len, part, n);
	return len + n;
}

static uint32_t part_length(const char *part)
{
	uint32_t n = 0;

	while (part[n] && part[n] != '/')
		n++;
	return n;
}

static int part_is(const char *part, uint32_t n, const char *dots)
{
	return n == strlen(dots) && memcmp(part, dots, n) == 0;
}

/*
 * One part of @n bytes at @part further from @len walked bytes.
 * Returns the file there, or NULL with the reason in @ret; @len is moved.
 */
static const struct archive_file *walk_part(const char *part, uint32_t n, uint32_t *len,
					    int *ret)
{
	const struct archive_file *f;

	if (part_is(part, n, "..")) {
		*len = walk_up(*len);
	} else {
		*len = walk_down(*len, part, n);
		*ret = -ENAMETOOLONG;
		if (*len == 0)
			return NULL;
	}
	f = archive_find(walked, *len);
	*ret = -ENOENT;
	return f;
}

int archive_open(const char *path, int follow, const struct archive_file **file)
{
	const struct archive_file *f = archive_find("", 0);
	uint32_t len = 0, links = 0, n;
	const char *p = rest;
	int ret;

	if (!*path)
		return -ENOENT;
	if (strlen(path) >= sizeof(rest))
		return -ENAMETOOLONG;
	memcpy(rest, path, strlen(path) + 1);

	for (; *p; p += n) {
		uint32_t parent = len;

		if (!S_ISDIR(f->mode))
			return -ENOTDIR;
		n = *p == '/' ? 1 : part_length(p);
		if (*p == '/' || part_is(p, n, "."))
			continue;
		f = walk_part(p, n, &len, &ret);
		if (!f)
			return ret;
		if (!S_ISLNK(f->mode) || (!p[n] && !follow))
			continue;
		if (++links > MAX_LINKS)
			return -ELOOP;
		if (walk_link(f, p + n))
			return -ENAMETOOLONG;
		len = *rest == '/' ? 0 : parent;
		f = archive_find(walked, len);
		p = rest;
		n = 0;
	}
	*file = archive_with_data(f);
	return 0;
}

static int is_child(const struct archive_file *dir, const struct archive_file *f)
{
	const char *name = archive_name(f);
	uint32_t start = dir->name_len ? dir->name_len + 1 : 0;

	if (f->name_len <= start || memcmp(name, archive_name(dir), dir->name_len) != 0 ||
	    (start && name[start - 1] != '/'))
		return 0;
	for (uint32_t i = start; i < f->name_len; i++)
		if (name[i] == '/')
			return 0;
	return archive_find(name, f->name_len) == f;
}

const struct archive_file *archive_child(const struct archive_file *dir, uint64_t *cookie)
{
	while (*cookie < nfiles) {
		const struct archive_file *f = &files[(*cookie)++];

		if (is_child(dir, f))
			return f;
	}
	return NULL;
}
