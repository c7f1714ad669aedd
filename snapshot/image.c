/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/digest.h"
#include "snapshot/image_files.h"
#include "snapshot/siblings.h"

int image_wrap(const struct image *img, enum manifest_member member, int ret, struct err *err)
{
	return err_wrap(err, ret, "%s/%s", img->name, manifest_member_name(member));
}

/* ---- the chain of parents ---- */

/* Sentences name a sibling as they name the image: by the same way to it. */
static void set_sibling_name(struct image *img, const struct image *beside, const char *name)
{
	const char *slash = strrchr(beside->name, '/');
	auto_free char *dir = NULL;

	if (slash && slash[1] != '\0' &&
	    asprintf(&dir, "%.*s%s", (int)(slash + 1 - beside->name), beside->name, name) >= 0)
		image_set_name(img, dir);
	else
		image_set_name(img, name);
}

static int open_sibling(struct image *img, const struct image *layer, struct err *err)
{
	const char *id = layer->manifest.parent;
	char path[NAME_MAX + 4] = "../";
	int ret = siblings_find(layer->dirfd, id, path + 3, err);

	if (ret == -ENOENT)
		return err_set(err, ENOENT,
			       "%s is a layer on image %s, which is not beside it: name the "
			       "parent's directory",
			       layer->name, id);
	if (ret < 0)
		return err_wrap(err, ret, "%s: its parent", layer->name);
	set_sibling_name(img, layer, path + 3);
	return image_files_open(img, layer->dirfd, path, err);
}

/* What a layer leaves out is only right on the memory that it was made on. */
static int check_parent(const struct image *layer, const struct image *parent, struct err *err)
{
	const struct manifest *m = &layer->manifest;
	struct digest is;
	int ret;

	if (strcmp(parent->manifest.id, m->parent) != 0)
		return err_set(err, EINVAL, "%s is a layer on image %s, but %s is image %s",
			       layer->name, m->parent, parent->name, parent->manifest.id);
	ret = manifest_content_digest(&parent->manifest, &is, err);
	if (ret < 0)
		return ret;
	ret = digest_check(&is, &m->parent_sha256, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s: is not what its layer %s was made on: content",
				parent->name, layer->name);
	if (!mem_same_layout(&layer->ram, &parent->ram))
		return err_set(err, ERR_DAMAGED,
			       "%s: shape.regions are not those of its parent %s", layer->name,
			       parent->name);
	return 0;
}

/* @dir: of the parent; NULL: it is a sibling. */
static int open_parent(struct image *layer, const char *dir, struct err *err)
{
	struct image *parent = malloc(sizeof(*parent));
	int ret;

	if (!parent)
		return err_set(err, ENOMEM, "%s: no memory for its parent", layer->name);
	image_clear(parent);
	layer->parent = parent;
	if (dir) {
		image_set_name(parent, dir);
		ret = image_files_open(parent, AT_FDCWD, dir, err);
	} else {
		ret = open_sibling(parent, layer, err);
	}
	return ret < 0 ? ret : check_parent(layer, parent, err);
}

static int open_parents(struct image *img, const char *dir, struct err *err)
{
	uint32_t layers = 0;
	int ret = 0;

	if (dir && !manifest_is_layer(&img->manifest))
		return err_set(err, EINVAL, "%s is no layer: it has no parent", img->name);
	for (struct image *i = img; ret == 0 && manifest_is_layer(&i->manifest);
	     i = i->parent) {
		if (++layers > IMAGE_MAX_LAYERS)
			return err_set(err, ERR_DAMAGED, "%s has more than %u layers below it",
				       img->name, IMAGE_MAX_LAYERS);
		ret = open_parent(i, dir, err);
		dir = NULL;
	}
	return ret;
}

int image_open_layer(struct image *img, const char *dir, const char *parent, struct err *err)
{
	int ret;

	image_clear(img);
	image_set_name(img, dir);
	ret = image_files_open(img, AT_FDCWD, dir, err);
	if (ret == 0)
		ret = open_parents(img, parent, err);
	if (ret < 0)
		image_close(img);
	return ret;
}

int image_open(struct image *img, const char *dir, struct err *err)
{
	return image_open_layer(img, dir, NULL, err);
}

uint32_t image_layers(const struct image *img)
{
	uint32_t n = 0;

	for (; img->parent; img = img->parent)
		n++;
	return n;
}

int image_check_files(const struct image *img, struct err *err)
{
	int ret = 0;

	for (; img && ret == 0; img = img->parent)
		ret = identity_check(&img->identity, err);
	return ret;
}

void image_close(struct image *img)
{
	struct image *parent = img->parent;

	image_files_close(img);
	while (parent) {
		struct image *next = parent->parent;

		image_files_close(parent);
		free(parent);
		parent = next;
	}
}
