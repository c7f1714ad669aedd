/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/machines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/jobs.h"

/* Slots share the memory of the image's template, copy-on-write. */
#define TIER "map"
/* Bytes: the budget is the policy's (policy.h), and libthaw is to refuse none of its slots. */
#define SLOT_MEMORY 1u

struct kind {
	struct machines *m;
	void *data;
	char *path;
	struct job job; /* the one under way, if any */
	bool at_work;
	bool is_dropped; /* nobody wants it */
	/* The job's while there is one, but that starts take from the pool all the same. */
	struct thaw_image *image;
	struct thaw_template *template;
	struct thaw_pool *pool;
	unsigned int wanted; /* shells that starts found missing since the last fill */
	unsigned int asked;  /* of these, by the job */
	int ret;
	struct thaw_err err;
};

struct machines {
	struct machines_config config;
	struct thaw_host *host;
	struct jobs *loads, *fills; /* shells do not wait for another function's image */
};

/* ---- jobs: on a thread ---- */

static void work_load(struct job *job)
{
	struct kind *k = container_of(job, struct kind, job);
	const struct machines *m = k->m;

	k->ret = thaw_image_open(&k->image, k->path, &k->err);
	if (k->ret == 0)
		k->ret = thaw_template_open(&k->template, m->host, k->image, TIER,
					    m->config.slots, &k->err);
	if (k->ret == 0)
		k->ret = thaw_pool_open_empty(&k->pool, m->config.zygote, k->template,
					      m->config.slots, SLOT_MEMORY, &k->err);
}

static void work_fill(struct job *job)
{
	struct kind *k = container_of(job, struct kind, job);

	k->ret = thaw_pool_fill_to(k->pool, k->asked, &k->err);
}

/* Shells that wait are ended, and waited for. */
static void work_drop(struct job *job)
{
	struct kind *k = container_of(job, struct kind, job);

	thaw_pool_close(k->pool);
	thaw_template_close(k->template);
	thaw_image_close(k->image);
}

/* ---- jobs: on the loop ---- */

static void done_drop(struct job *job)
{
	struct kind *k = container_of(job, struct kind, job);

	free(k->path);
	free(k);
}

static void ask_drop(struct kind *k)
{
	k->job = (struct job){ .work = work_drop, .done = done_drop };
	jobs_add(k->m->loads, &k->job);
}

static void done_load(struct job *job)
{
	struct kind *k = container_of(job, struct kind, job);
	const struct machines_config *c = &k->m->config;

	k->at_work = false;
	if (k->is_dropped)
		ask_drop(k);
	else
		c->loaded(k->data, k->ret < 0 ? &k->err : NULL, c->data);
}

static void done_fill(struct job *job);

static void ask_fill(struct kind *k)
{
	k->asked = k->wanted;
	k->at_work = true;
	k->job = (struct job){ .work = work_fill, .done = done_fill };
	jobs_add(k->m->fills, &k->job);
}

/* All that lacked a shell try again, so they are counted anew: who went without one in the
 * meantime, or was counted twice, would leave a shell behind that nobody wants. */
static void done_fill(struct job *job)
{
	struct kind *k = container_of(job, struct kind, job);
	const struct machines_config *c = &k->m->config;

	k->wanted = 0;
	if (!k->is_dropped)
		c->filled(k->data, k->ret < 0 ? &k->err : NULL, c->data);
	k->at_work = false;
	if (k->is_dropped)
		ask_drop(k);
	else if (k->wanted > 0)
		ask_fill(k);
}

/* ---- kinds ---- */

int machines_load(struct kind **out, struct machines *m, const char *path, void *kind_data,
		  struct err *err)
{
	struct kind *k = calloc(1, sizeof(*k));

	*out = NULL;
	if (k)
		k->path = strdup(path);
	if (!k || !k->path) {
		free(k);
		return err_set(err, ENOMEM, "no memory for an image");
	}
	k->m = m;
	k->data = kind_data;
	k->at_work = true;
	k->job = (struct job){ .work = work_load, .done = done_load };
	jobs_add(m->loads, &k->job);
	*out = k;
	return 0;
}

void machines_unload(struct kind *k)
{
	k->is_dropped = true;
	if (!k->at_work)
		ask_drop(k);
}

uint64_t machines_memory(const struct kind *k)
{
	return thaw_image_memory(k->image);
}

int machines_start(struct thaw_slot **slot, struct kind *k, thaw_log *log, void *arg,
		   struct thaw_err *err)
{
	int ret = thaw_slot_start(slot, k->pool, NULL, log, arg, err);

	if (ret == 0)
		thaw_slot_wait_not(*slot);
	if (ret != -EAGAIN)
		return ret;
	k->wanted++;
	if (!k->at_work)
		ask_fill(k);
	return ret;
}

/* ---- all of them ---- */

int machines_open(struct machines **out, struct loop *loop,
		  const struct machines_config *config, struct err *err)
{
	struct machines *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return err_set(err, ENOMEM, "no memory for machines");
	m->config = *config;
	ret = thaw_host_open(&m->host, cmd_thaw_err(err));
	if (ret == 0)
		ret = jobs_open(&m->loads, loop, err);
	if (ret == 0)
		ret = jobs_open(&m->fills, loop, err);
	if (ret < 0)
		machines_close(m);
	else
		*out = m;
	return ret;
}

void machines_close(struct machines *m)
{
	if (!m)
		return;
	jobs_close(m->fills); /* first: what is dropped by then is for the other one */
	jobs_close(m->loads);
	thaw_host_close(m->host);
	free(m);
}
