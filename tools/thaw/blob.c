/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"

#define BLOB_STEP 65536u /* first allocation; ours */

int blob_append(struct blob *b, const void *data, size_t len, uint64_t max, struct err *err)
{
	size_t want = b->size + len;

	if (len > max || b->size > max - len)
		return err_set(err, EFBIG, "larger than %" PRIu64 " bytes", max);
	if (want > b->cap) {
		size_t cap = MAX(b->cap * 2, (size_t)BLOB_STEP); /* appending stays linear */
		uint8_t *p = realloc(b->data, MAX(cap, want));

		if (!p)
			return err_set(err, ENOMEM, "no memory for %zu bytes", want);
		b->data = p;
		b->cap = MAX(cap, want);
	}
	memcpy(b->data + b->size, data, len);
	b->size = want;
	return 0;
}

int blob_read_fd(struct blob *b, int fd, const char *what, uint64_t max, struct err *err)
{
	uint8_t buf[4096];
	ssize_t n;
	int ret;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read %s", what);
		ret = blob_append(b, buf, (size_t)n, max, err);
		if (ret < 0)
			return err_wrap(err, ret, "%s", what);
	}
	return 0;
}

int blob_read(struct blob *b, const char *path, uint64_t max, struct err *err)
{
	/* Not blocking, so that a FIFO nobody writes to is refused rather than waited for. */
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_sys(err, "%s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s: not a regular file", path);
	return blob_read_fd(b, fd, path, max, err);
}

int blob_set_text(struct blob *b, const char *text, struct err *err)
{
	size_t size = strlen(text);

	blob_free(b);
	b->data = (uint8_t *)strdup(text);
	if (!b->data)
		return err_set(err, ENOMEM, "no memory for %zu bytes", size);
	b->size = size;
	b->cap = size + 1;
	return 0;
}

void blob_free(struct blob *b)
{
	free(b->data);
	*b = (struct blob){ 0 };
}
