/* SPDX-License-Identifier: Apache-2.0 */
/* thaw.c - the public face of snapshot/: handles, and nothing that is not done elsewhere. Here
 * hosts, images and templates; clones in thaw_clone.c, pools and slots in files of their own. */
#include "snapshot/thaw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/findings.h"
#include "snapshot/handles.h"
#include "snapshot/inspect.h"
#include "snapshot/sharing.h"
#include "snapshot/tier.h"
#include "snapshot/version.h"

const char *thaw_version(void)
{
	return THAW_VERSION;
}

int thaw_host_open(struct thaw_host **host, struct thaw_err *err)
{
	struct thaw_host *h = handle_make(sizeof(*h), err);
	int ret;

	*host = NULL;
	if (!h)
		return -ENOMEM;
	ret = kvm_open(&h->kvm, handle_err(err));
	if (ret < 0) {
		free(h);
		return ret;
	}
	pthread_mutex_init(&h->lock, NULL);
	h->uses = 1;
	*host = h;
	return 0;
}

void thaw_host_close(struct thaw_host *host)
{
	if (!host || !handle_drop(&host->uses))
		return;
	pthread_mutex_destroy(&host->lock);
	kvm_close(&host->kvm);
	free(host);
}

int thaw_image_open(struct thaw_image **image, const char *dir, struct thaw_err *err)
{
	return thaw_image_open_layer(image, dir, NULL, err);
}

int thaw_image_open_layer(struct thaw_image **image, const char *dir, const char *parent,
			  struct thaw_err *err)
{
	struct thaw_image *i = handle_make(sizeof(*i), err);
	int ret;

	*image = NULL;
	if (!i)
		return -ENOMEM;
	ret = image_open_layer(&i->image, dir, parent, handle_err(err));
	if (ret < 0) {
		free(i);
		return ret;
	}
	i->uses = 1;
	i->image.choices = &i->choices;
	*image = i;
	return 0;
}

int thaw_image_set_drive(struct thaw_image *image, const char *id, const char *path, int fd,
			 struct thaw_err *err)
{
	return disks_choose(&image->choices, &image->image, id, path, fd, handle_err(err));
}

/* @from: NULL: nothing is said of it. */
static int take_limit(struct rate_limit *to, const struct thaw_limit *from, const char *id,
		      struct err *err)
{
	if (!from)
		return 0;
	if (from->size > 0 && from->refill_ms == 0)
		return err_set(err, EINVAL, "drive '%s': a limit without its refill_ms", id);
	if (from->size > INT64_MAX || from->burst > INT64_MAX)
		return err_set(err, EINVAL, "drive '%s': a limit of 2^63 or more", id);
	*to = (struct rate_limit){ .size = from->size,
				   .burst = from->burst,
				   .refill_ms = from->refill_ms };
	return 0;
}

int thaw_image_limit_drive(struct thaw_image *image, const char *id,
			   const struct thaw_limit *bytes, const struct thaw_limit *ops,
			   struct thaw_err *err)
{
	struct rate_limit of_bytes = { 0 }, of_ops = { 0 };
	int ret = take_limit(&of_bytes, bytes, id, handle_err(err));

	if (ret == 0)
		ret = take_limit(&of_ops, ops, id, handle_err(err));
	return ret < 0 ? ret
		       : disks_limit(&image->choices, &image->image, id,
				     bytes ? &of_bytes : NULL, ops ? &of_ops : NULL,
				     handle_err(err));
}

void thaw_image_close(struct thaw_image *image)
{
	if (!image || !handle_drop(&image->uses))
		return;
	image_close(&image->image);
	disk_choices_close(&image->choices);
	free(image);
}

const char *thaw_image_id(const struct thaw_image *image)
{
	return image->image.manifest.id;
}

uint64_t thaw_image_memory(const struct thaw_image *image)
{
	return mem_size(&image->image.ram) + ABI_WINDOW_SIZE +
	       disks_memory(&image->image.manifest);
}

int thaw_image_verify(const struct thaw_image *image, struct thaw_err *err)
{
	return image_verify(&image->image, NULL, NULL, handle_err(err));
}

int thaw_image_inspect(const struct thaw_image *image, char **json, struct thaw_err *err)
{
	return image_inspect(&image->image, json, handle_err(err));
}

static int choose_tier(struct thaw_template *t, const char *tier, unsigned int starts,
		       struct err *err)
{
	const char *why = "asked for", *lacks;

	if (!tier || strcmp(tier, "auto") == 0)
		t->tier = tier_choose(&t->template, starts, &why);
	else
		t->tier = tier_find(tier);
	if (!t->tier)
		return err_set(err, EINVAL,
			       "tier is '%s', expected auto, map, warm, raw, ready, lazy or "
			       "eager",
			       tier);
	lacks = t->tier->lacks ? t->tier->lacks() : NULL;
	snprintf(t->why, sizeof(t->why), "%s%s%s", why, lacks ? "; " : "", lacks ? lacks : "");
	return tier_open(t->tier, &t->template, err);
}

int thaw_template_open(struct thaw_template **t, const struct thaw_host *host,
		       const struct thaw_image *image, const char *tier, unsigned int starts,
		       struct thaw_err *err)
{
	struct thaw_template *new = handle_make(sizeof(*new), err);
	struct findings findings;
	int ret;

	*t = NULL;
	if (!new)
		return -ENOMEM;
	new->uses = 1;
	new->host = handle_hold(host);
	new->image = handle_hold(image);
	new->template.memory_fd = -1;
	pthread_mutex_init(&new->filling, NULL);
	ret = image_check_files(&image->image, handle_err(err));
	if (ret == 0)
		ret = template_open(&new->template, &image->image, &host->kvm, handle_err(err));
	if (ret == 0)
		ret = choose_tier(new, tier, starts, handle_err(err));
	/* What clones of it will ask for: here, nobody waits for a start. */
	if (ret == 0 && new->tier->rewinds)
		ret = findings_get(&host->kvm, &findings, handle_err(err));
	if (ret == 0 && new->tier->needs_fill)
		ret = sharing_fill(new, handle_err(err));
	if (ret < 0) {
		thaw_template_close(new);
		return ret;
	}
	*t = new;
	return 0;
}

void thaw_template_close(struct thaw_template *t)
{
	if (!t || !handle_drop(&t->uses))
		return;
	sharing_leave(t);
	pthread_mutex_destroy(&t->filling);
	template_close(&t->template);
	thaw_image_close(t->image);
	thaw_host_close(t->host);
	free(t);
}

const char *const *thaw_tiers(void)
{
	static const char *const names[] = { "auto",  "map",  "warm",  "raw",
					     "ready", "lazy", "eager", NULL };

	return names;
}

const char *thaw_template_tier(const struct thaw_template *t, const char **why)
{
	if (why)
		*why = t->why;
	return t->tier->name;
}
