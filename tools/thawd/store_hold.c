/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_hold.c - images that somebody uses at this moment. hold_lock is held for a few system calls
 * at most, never for a wait for the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "tools/thawd/store_state.h"

struct hold {
	char image[MANIFEST_ID_SIZE];
	unsigned int n; /* not 0 */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct hold *)a)->image, ((const struct hold *)b)->image);
}

static struct hold *find(const struct store *s, const char *image)
{
	struct hold key, **node;

	snprintf(key.image, sizeof(key.image), "%s", image);
	node = tfind(&key, &s->holds, compare);
	return node ? *node : NULL;
}

static int add(struct store *s, const char *image, struct err *err)
{
	struct hold *h;

	if (faccessat(s->images_fd, image, F_OK, 0) < 0)
		return err_set(err, ENOENT, "image %s is not in the store any more", image);
	h = calloc(1, sizeof(*h));
	if (h) {
		snprintf(h->image, sizeof(h->image), "%s", image);
		h->n = 1;
	}
	if (h && tsearch(h, &s->holds, compare))
		return 0;
	free(h);
	return err_set(err, ENOMEM, "hold image %s: out of memory", image);
}

int store_hold(struct store *s, const char *image, struct err *err)
{
	struct hold *h;
	int ret = 0;

	pthread_mutex_lock(&s->hold_lock);
	h = find(s, image);
	if (h)
		h->n++;
	else
		ret = add(s, image, err);
	pthread_mutex_unlock(&s->hold_lock);
	return ret;
}

bool store_release(struct store *s, const char *image)
{
	struct hold *h;
	bool is_last;

	pthread_mutex_lock(&s->hold_lock);
	h = find(s, image);
	is_last = h && --h->n == 0;
	if (is_last) {
		tdelete(h, &s->holds, compare);
		free(h);
	}
	pthread_mutex_unlock(&s->hold_lock);
	return is_last;
}

int store_take_away(struct store *s, const char *id, struct err *err)
{
	int ret = 1;

	pthread_mutex_lock(&s->hold_lock);
	if (find(s, id))
		ret = 0;
	else if (renameat(s->images_fd, id, s->tmp_fd, id) < 0 && errno != ENOENT)
		ret = err_sys(err, "remove image %s", id);
	pthread_mutex_unlock(&s->hold_lock);
	return ret;
}

void store_drop_holds(struct store *s)
{
	tdestroy(s->holds, free);
	s->holds = NULL;
}
