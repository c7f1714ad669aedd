/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/siblings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/io.h"
#include "snapshot/manifest.h"

/* The text of NAME/manifest.json, for free(3); NULL where there is none that can be read: other
 * directories are none of our business. */
static char *read_text(int up_fd, const char *name, size_t *len)
{
	char path[NAME_MAX + sizeof("/" MANIFEST_NAME)];
	auto_close int fd = -1;
	struct stat st;
	char *text;

	snprintf(path, sizeof(path), "%s/" MANIFEST_NAME, name);
	fd = openat(up_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size > (off_t)MANIFEST_MAX_SIZE)
		return NULL;
	*len = (size_t)st.st_size;
	text = malloc(*len + 1);
	if (text && io_read(fd, text, *len, 0, NULL) == 0)
		return text;
	free(text);
	return NULL;
}

/* Is NAME the image? Layers on it name it, too. Returns 1, 0, or -errno: it may be, but its
 * manifest is not what was written. */
static int is_image(int up_fd, const char *name, const char *id, struct err *err)
{
	size_t len = 0;
	auto_free char *text = read_text(up_fd, name, &len);
	struct manifest m;
	int ret;

	if (!text || !memmem(text, len, id, strlen(id)))
		return 0;
	ret = manifest_parse(&m, text, len, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s/" MANIFEST_NAME, name);
	ret = strcmp(m.id, id) == 0;
	manifest_fini(&m);
	return ret;
}

int siblings_find(int dirfd, const char *id, char name[NAME_MAX + 1], struct err *err)
{
	int up_fd = openat(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = up_fd < 0 ? NULL : fdopendir(up_fd);
	struct dirent *entry;
	int ret = 0, unreadable = 0;

	if (!stream) {
		ret = err_sys(err, "read the directory of the image");
		fd_cleanup(&up_fd);
		return ret;
	}
	/* The stream is ours alone, which is all that readdir asks for. */
	while (ret != 1 && (entry = readdir(stream))) { /* NOLINT(concurrency-mt-unsafe) */
		if (entry->d_name[0] == '.')
			continue;
		ret = is_image(up_fd, entry->d_name, id, err);
		if (ret == 1)
			snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
		else if (ret < 0)
			unreadable = ret; /* the last one: it is what @err is about */
	}
	closedir(stream);
	if (ret == 1)
		return 0;
	return unreadable < 0 ? unreadable : -ENOENT;
}
