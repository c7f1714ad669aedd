/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/flatten.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/image.h"
#include "snapshot/image_writer.h"

/* Section by section, as they are. */
static int copy_state(const struct image *img, struct state_writer *w, struct err *err)
{
	struct state_section s;
	size_t off = 0;
	int ret = 0;

	while (ret == 0 && state_file_next(&img->state, &off, &s))
		ret = state_writer_put(w, &s, err);
	return ret;
}

/* The layer's manifest as that of a whole image, with what this version does not know of. */
static int write_whole(const struct image *img, struct manifest *man, struct image_content *c,
		       const char *dir, struct err *err)
{
	int ret = copy_state(img, c->state, err);

	if (ret == 0)
		ret = manifest_stamp(man, err);
	man->parent[0] = '\0';
	man->parent_sha256 = (struct digest){ 0 };
	return ret < 0 ? ret : image_write(dir, c, err);
}

int flatten(const struct image *img, const char *dir, const struct flatten_options *opt,
	    struct err *err)
{
	struct manifest *man = malloc(sizeof(*man));
	struct state_writer writer = { 0 };
	struct mem mem = img->ram;
	struct image_content content = { .manifest = man,
					 .state = &writer,
					 .mem = &mem,
					 .disk_fds = img->disk_fds,
					 .raw = opt->raw,
					 .sync = opt->sync,
					 .progress = opt->progress };
	int ret = 0;

	if (!man)
		return err_set(err, ENOMEM, "no memory for a manifest");
	*man = img->manifest; /* what it owns stays the image's */
	if (!img->parent)
		ret = err_set(err, EINVAL, "%s is no layer: it is whole already", img->name);
	if (ret == 0)
		ret = image_check_disks(img, err);
	if (ret == 0)
		ret = mem_map(&mem, err);
	if (ret == 0) {
		ret = image_decode_memory(img, &mem, err);
		if (ret == 0)
			ret = write_whole(img, man, &content, dir, err);
		mem_unmap(&mem);
	}
	state_writer_fini(&writer);
	free(man);
	return ret;
}
