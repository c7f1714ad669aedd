/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/initrd.h"

#include <string.h>

#include "engine/err.h"
#include "tools/thaw/archive.h"

/* Linux takes archives that begin at a multiple of four bytes (initramfs buffer format). */
#define ALIGNMENT 4u

static int append(struct blob *out, const struct blob *more, uint64_t max, struct err *err)
{
	static const uint8_t zeros[ALIGNMENT];
	size_t pad = ALIGN_UP(out->size, ALIGNMENT) - out->size;
	int ret = blob_append(out, zeros, pad, max, err);

	return ret < 0 ? ret : blob_append(out, more->data, more->size, max, err);
}

static int append_file(struct blob *out, const char *path, uint64_t max, struct err *err)
{
	struct blob b = { 0 };
	int ret = archive_files(&b, path, max, err);

	if (ret == 0)
		ret = append(out, &b, max, err);
	blob_free(&b);
	return ret;
}

/* Strings one behind the other, each with its NUL. */
static int join(struct blob *out, const char *const *list, struct err *err)
{
	int ret = 0;

	for (; *list && ret == 0; list++)
		ret = blob_append(out, *list, strlen(*list) + 1, UINT32_MAX, err);
	return ret;
}

static int append_own(struct blob *out, const struct initrd *in, const struct blob *program,
		      uint64_t max, struct err *err)
{
	struct blob argv = { 0 }, envp = { 0 }, own = { 0 };
	int ret = join(&argv, in->argv, err);

	if (ret == 0)
		ret = join(&envp, in->envp, err);
	if (ret == 0) {
		const struct archive_item items[] = {
			{ "thaw", NULL, 0, 0755 },
			{ "thaw/argv", argv.data ? (void *)argv.data : "", argv.size, 0444 },
			{ "thaw/env", envp.data ? (void *)envp.data : "", envp.size, 0444 },
			{ "program", program->data, program->size, 0755 },
		};

		ret = archive_items(&own, items, ARRAY_SIZE(items) - (program->size == 0), max,
				    err);
	}
	if (ret == 0)
		ret = append(out, &own, max, err);
	blob_free(&argv);
	blob_free(&envp);
	blob_free(&own);
	return ret;
}

int initrd_make(struct blob *out, const struct initrd *in, uint64_t max, struct err *err)
{
	struct blob program = { 0 };
	int ret = append_file(out, in->base, max, err);

	if (ret == 0 && in->program)
		ret = blob_read(&program, in->program, max, err);
	if (ret == 0 && in->files)
		ret = append_file(out, in->files, max, err);
	if (ret == 0)
		ret = append_own(out, in, &program, max, err);
	blob_free(&program);
	return ret < 0 ? err_wrap(err, ret, "initrd") : 0;
}
