/* SPDX-License-Identifier: Apache-2.0 */
/* image_memory.c - from an open image, and those below it, to guest memory; and the check of all
 * that opening it does not read. */
#include "engine/err.h"
#include "snapshot/digest.h"
#include "snapshot/image.h"
#include "snapshot/raw.h"

uint64_t image_stored_pages(const struct image *img)
{
	uint64_t n = 0;

	for (; img; img = img->parent)
		n += img->manifest.stored_pages;
	return n;
}

static int check_disk(const struct image *img, uint32_t i, struct err *err)
{
	const struct manifest_file *file = &img->manifest.files[MANIFEST_DISK + i];
	struct digest is;
	int ret;

	if (img->disk_fds[i] < 0)
		return 0;
	ret = digest_file(&is, img->disk_fds[i], file->size, NULL, err);
	if (ret == 0)
		ret = digest_check(&is, &file->sha256, err);
	return ret < 0 ? image_wrap(img, (enum manifest_member)(MANIFEST_DISK + i), ret, err)
		       : 0;
}

int image_check_disks(const struct image *img, struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES && ret == 0; i++)
		ret = check_disk(img, i, err);
	return ret;
}

static int verify_one(const struct image *img, const struct io_progress *progress,
		      struct err *err)
{
	const struct manifest_file *files = img->manifest.files;
	int ret = frames_verify(&img->frames, progress, err);

	if (ret < 0)
		return image_wrap(img, MANIFEST_MEMORY, ret, err);
	if (img->raw_fd >= 0)
		ret = raw_verify(img->raw_fd, files[MANIFEST_RAW].size,
				 &files[MANIFEST_RAW].sha256, progress, err);
	if (ret < 0)
		return image_wrap(img, MANIFEST_RAW, ret, err);
	return image_check_disks(img, err);
}

int image_verify(const struct image *img, const struct io_progress *progress,
		 struct image_report *out, struct err *err)
{
	const struct manifest_file *files = img->manifest.files;
	int ret = verify_one(img, progress, err);

	for (const struct image *i = img->parent; i && ret == 0; i = i->parent)
		ret = verify_one(i, progress, err);
	if (ret < 0)
		return ret;
	if (out)
		*out = (struct image_report){ .nsections = img->state.nsections,
					      .nframes = img->frames.header.nframes,
					      .npages = img->frames.header.npages,
					      .stored_size = files[MANIFEST_MEMORY].size,
					      .raw_size = files[MANIFEST_RAW].size };
	return 0;
}

int image_decode_list(const struct image *img, const uint64_t *list, uint64_t n,
		      const struct mem *dst, struct err *err)
{
	int ret = frames_decode_list(&img->frames, list, n, dst, err);

	return ret < 0 ? image_wrap(img, MANIFEST_MEMORY, ret, err) : 0;
}

int image_decode_memory(const struct image *img, const struct mem *dst, struct err *err)
{
	const struct image *chain[IMAGE_MAX_LAYERS + 1];
	uint32_t n = 0;
	int ret = 0;

	for (; img; img = img->parent)
		chain[n++] = img;
	while (n > 0 && ret == 0) {
		img = chain[--n];
		ret = image_decode_list(img, img->frames.order, img->frames.header.nframes, dst,
					err);
	}
	return ret;
}

int image_check_raw(const struct image *img, const struct io_progress *progress,
		    struct err *err)
{
	const struct manifest_file *file = &img->manifest.files[MANIFEST_RAW];
	int ret = raw_check(img->raw_fd, img->manifest.id, file->size, &file->sha256, progress,
			    err);

	return ret < 0 ? image_wrap(img, MANIFEST_RAW, ret, err) : 0;
}
