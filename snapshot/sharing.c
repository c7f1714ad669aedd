/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/sharing.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "snapshot/handles.h"

/* The digest, too: two writes within a tick of the clock leave the same times. */
static bool same_files(const struct image *a, const struct image *b)
{
	return identity_same(&a->identity, &b->identity) &&
	       digest_equal(&a->manifest.files[MANIFEST_MEMORY].sha256,
			    &b->manifest.files[MANIFEST_MEMORY].sha256);
}

/* A layer's memory is that of all below it, too. */
static bool same_memory(const struct image *a, const struct image *b)
{
	for (; a && b && same_files(a, b); a = a->parent, b = b->parent)
		;
	return a == b;
}

/* Put @t on its host's list. Returns one of the same files, held, that was there before. */
static struct thaw_template *join(struct thaw_template *t)
{
	struct thaw_host *host = t->host;
	struct thaw_template *other;

	pthread_mutex_lock(&host->lock);
	for (other = host->filled; other; other = other->next) {
		if (same_memory(other->template.image, t->template.image) &&
		    handle_hold_live(&other->uses))
			break;
	}
	t->next = host->filled;
	host->filled = t;
	pthread_mutex_unlock(&host->lock);
	return other;
}

void sharing_leave(struct thaw_template *t)
{
	struct thaw_template **at = &t->host->filled;

	pthread_mutex_lock(&t->host->lock);
	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
	pthread_mutex_unlock(&t->host->lock);
}

/* Wait until @other is filled. If that failed, @t still is not. */
static int take_from(struct thaw_template *t, struct thaw_template *other, struct err *err)
{
	pthread_mutex_lock(&other->filling);
	pthread_mutex_unlock(&other->filling);
	if (other->template.memory_fd < 0)
		return 0;
	t->template.memory_fd = fcntl(other->template.memory_fd, F_DUPFD_CLOEXEC, 0);
	return t->template.memory_fd < 0 ? err_sys(err, "duplicate a template's memory") : 0;
}

/* No two wait for each other: each waits for one that was on the list before it. */
int sharing_fill(struct thaw_template *t, struct err *err)
{
	struct thaw_template *other;
	int ret = 0;

	pthread_mutex_lock(&t->filling);
	other = join(t);
	if (other) {
		ret = take_from(t, other, err);
		thaw_template_close(other);
	}
	if (ret == 0)
		ret = template_fill(&t->template, err);
	pthread_mutex_unlock(&t->filling);
	return ret;
}

bool sharing_is_one(const struct thaw_template *a, const struct thaw_template *b)
{
	struct stat x, y;

	return fstat(a->template.memory_fd, &x) == 0 && fstat(b->template.memory_fd, &y) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
