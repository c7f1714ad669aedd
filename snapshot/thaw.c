/* SPDX-License-Identifier: Apache-2.0 */
/* thaw.c - the public face of snapshot/: handles, and nothing that is not done elsewhere. */
#include "snapshot/thaw.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/fork.h"
#include "snapshot/handles.h"
#include "snapshot/inspect.h"
#include "snapshot/machine.h"
#include "snapshot/restore.h"
#include "snapshot/rewind.h"
#include "snapshot/sharing.h"
#include "snapshot/tier.h"
#include "snapshot/version.h"

struct thaw_clone {
	struct thaw_template *template;
	int mailbox_fd;
	struct machine machine;
	struct rewind rewind; /* open when is_rewindable */
	bool is_rewindable;
	bool is_rewound; /* and has not been invoked since */
	struct phases phases;
	thaw_log *log;
	void *log_arg;
	char crash[MAILBOX_CRASH_TEXT];
};

struct thaw_snapshot {
	struct fork fork;
};

_Static_assert(sizeof(struct thaw_err) == sizeof(struct err), "one is the other");
_Static_assert(THAW_DAMAGED == (int)ERR_DAMAGED && THAW_UNFIT == (int)ERR_UNFIT &&
		       THAW_NO_KVM == (int)ERR_NO_KVM && THAW_CRASHED == (int)ERR_CRASHED &&
		       THAW_TIMED_OUT == (int)ERR_TIMED_OUT,
	       "the public reasons are ours");
_Static_assert(THAW_EVENT_MAX == ABI_EVENT_MAX, "the public limit is the mailbox's");
_Static_assert(THAW_EVENT_MAX == ABI_REPLY_MAX, "the public limit is the mailbox's");

void *handle_make(size_t size, struct thaw_err *err)
{
	void *p = calloc(1, size);

	if (!p)
		err_set(handle_err(err), ENOMEM, "no memory for a handle of %zu bytes", size);
	return p;
}

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
	*image = i;
	return 0;
}

void thaw_image_close(struct thaw_image *image)
{
	if (!image || !handle_drop(&image->uses))
		return;
	image_close(&image->image);
	free(image);
}

const char *thaw_image_id(const struct thaw_image *image)
{
	return image->image.manifest.id;
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

static void clone_log(void *arg, uint32_t stream, const void *data, size_t len)
{
	const struct thaw_clone *c = arg;

	c->log(c->log_arg, stream, data, len);
}

static int clone_ready_rewind(struct thaw_clone *c, struct err *err)
{
	int ret;

	if (c->is_rewindable)
		return 0;
	ret = rewind_open(&c->rewind, &c->machine, &c->template->template, err);
	if (ret < 0)
		rewind_close(&c->rewind);
	c->is_rewindable = ret == 0;
	return ret;
}

static int clone_start(struct thaw_clone *c, struct err *err)
{
	const struct thaw_template *t = c->template;
	int ret;

	c->mailbox_fd = mailbox_memfd(err);
	if (c->mailbox_fd < 0)
		return c->mailbox_fd;
	if (t->tier->maps)
		ret = machine_create_mapped(&c->machine, &t->host->kvm, &t->template,
					    c->mailbox_fd, err);
	else
		ret = machine_create(&c->machine, &t->host->kvm, &t->template.shape,
				     c->mailbox_fd, err);
	if (ret < 0)
		return ret;
	ret = restore_prepare(&c->machine, &t->template, t->tier, err);
	phase_mark(&c->phases, PHASE_SHELL);
	if (c->log)
		c->machine.mailbox->ops = (struct mailbox_ops){ .log = clone_log, .arg = c };
	if (ret == 0)
		ret = restore(&c->machine, &t->template, t->tier, &c->phases, err);
	if (ret == 0 && t->tier->rewinds)
		ret = clone_ready_rewind(c, err);
	if (ret < 0)
		machine_destroy(&c->machine);
	return ret;
}

int thaw_clone_open(struct thaw_clone **clone, const struct thaw_template *t, thaw_log *log,
		    void *arg, struct thaw_err *err)
{
	nsec_t request = clock_monotonic();
	struct thaw_clone *c = handle_make(sizeof(*c), err);
	int ret;

	*clone = NULL;
	if (!c)
		return -ENOMEM;
	c->template = handle_hold(t);
	c->phases.at[PHASE_REQUEST] = request;
	c->log = log;
	c->log_arg = arg;
	ret = clone_start(c, handle_err(err));
	if (ret < 0) {
		if (c->mailbox_fd >= 0)
			close(c->mailbox_fd);
		thaw_template_close(c->template);
		free(c);
		return ret;
	}
	*clone = c;
	return 0;
}

void thaw_clone_close(struct thaw_clone *clone)
{
	if (!clone)
		return;
	if (clone->is_rewindable)
		rewind_close(&clone->rewind);
	machine_destroy(&clone->machine);
	close(clone->mailbox_fd);
	thaw_template_close(clone->template);
	free(clone);
}

int thaw_clone_invoke(struct thaw_clone *clone, const void *event, size_t len,
		      unsigned int timeout_ms, struct thaw_reply *reply, struct thaw_err *err)
{
	struct invocation inv = { .event = event, .len = len };
	struct mailbox_reply r;
	int ret, changed;
	bool first;

	if (clone->is_rewound) {
		clone->phases = (struct phases){ .at[PHASE_REQUEST] = clock_monotonic() };
		clone->is_rewound = false;
	}
	first = clone->phases.at[PHASE_FIRST_RESPONSE] == 0;

	if (timeout_ms > 0)
		inv.deadline = clock_monotonic() + timeout_ms * NSEC_PER_MSEC;
	ret = machine_invoke(&clone->machine, &inv, &r, first ? &clone->phases : NULL,
			     handle_err(err));
	/* Of memory that is not what it was, neither a reply nor a crash says anything. */
	changed = tier_recheck(clone->template->tier, &clone->template->template,
			       handle_err(err));
	if (changed < 0)
		return changed;
	if (ret == 0)
		*reply = (struct thaw_reply){ .data = r.data, .len = r.len };
	return ret;
}

int thaw_clone_rewind(struct thaw_clone *clone, int verify, struct thaw_err *err)
{
	int ret = clone_ready_rewind(clone, handle_err(err));

	if (ret == 0)
		ret = rewind_machine(&clone->rewind, &clone->machine, handle_err(err));
	if (ret < 0)
		return ret;
	phase_mark(&clone->phases, PHASE_RELEASED);
	clone->is_rewound = true;
	return verify ? rewind_verify(&clone->rewind, &clone->machine, handle_err(err)) : 0;
}

void handle_rewinds(const struct rewind_stats *s, struct thaw_rewinds *rewinds)
{
	*rewinds = (struct thaw_rewinds){
		.rewinds = s->rewinds,
		.pages_compared = s->pages_compared,
		.pages_copied = s->pages_copied,
		.pages_given_back = s->pages_given_back,
		.flushes = s->flushes,
		.full_loads = s->full_loads,
	};
}

void thaw_clone_rewinds(const struct thaw_clone *clone, struct thaw_rewinds *rewinds)
{
	handle_rewinds(&clone->rewind.stats, rewinds);
}

int thaw_snapshot_begin(struct thaw_snapshot **snapshot, struct thaw_clone *clone,
			struct thaw_err *err)
{
	struct thaw_snapshot *s = handle_make(sizeof(*s), err);
	int ret;

	*snapshot = NULL;
	if (!s)
		return -ENOMEM;
	if (clone->template->tier->needs_fill)
		ret = fork_begin(&s->fork, &clone->machine, &clone->template->template,
				 handle_err(err));
	else
		ret = err_set(handle_err(err), EINVAL,
			      "a clone of tier %s cannot be snapshot: expected map or warm",
			      clone->template->tier->name);
	if (ret < 0) {
		thaw_snapshot_close(s);
		return ret;
	}
	*snapshot = s;
	return 0;
}

int thaw_snapshot_write(struct thaw_snapshot *snapshot, const char *dir, int sync,
			struct thaw_err *err)
{
	return fork_write(&snapshot->fork, dir, sync, handle_err(err));
}

void thaw_snapshot_stats(const struct thaw_snapshot *snapshot,
			 struct thaw_snapshot_stats *stats)
{
	const struct fork_stats *s = &snapshot->fork.stats;

	*stats = (struct thaw_snapshot_stats){
		.pause_ns = s->pause_ns,
		.pages_copied = s->pages_copied,
		.pages_stored = s->pages_stored,
		.size = s->size,
	};
}

void thaw_snapshot_close(struct thaw_snapshot *snapshot)
{
	if (!snapshot)
		return;
	fork_close(&snapshot->fork);
	free(snapshot);
}

const char *thaw_clone_crash(struct thaw_clone *clone)
{
	const struct mailbox *mb = clone->machine.mailbox;

	if (mb->stop != MAILBOX_CRASH)
		return NULL;
	mailbox_crash_text(mb, clone->crash, sizeof(clone->crash));
	return clone->crash;
}

void thaw_clone_stamps(const struct thaw_clone *clone, struct thaw_stamps *stamps)
{
	handle_stamps(&clone->phases, stamps);
}

void handle_stamps(const struct phases *phases, struct thaw_stamps *stamps)
{
	const nsec_t *at = phases->at;

	*stamps = (struct thaw_stamps){
		.request = at[PHASE_REQUEST],
		.shell = at[PHASE_SHELL],
		.memory = at[PHASE_MEMORY],
		.state = at[PHASE_STATE],
		.first_instruction = at[PHASE_FIRST_INSTRUCTION],
		.first_response = at[PHASE_FIRST_RESPONSE],
		.released = at[PHASE_RELEASED],
	};
}
