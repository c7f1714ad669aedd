/* SPDX-License-Identifier: Apache-2.0 */
/* thaw_slot.c - the public face of slots. Nothing on the way from thaw_slot_start to the reply
 * allocates, opens a path, or takes a lock, unless memory that was promised has to come back. */
#include <errno.h>

#include "snapshot/fork_memfd.h"
#include "snapshot/pool.h"
#include "snapshot/snapshot.h"

/* Of no shell that could be had: why? */
static int no_shell(const struct thaw_pool *p, struct err *err)
{
	if (!zygote_lives(&p->zygote->zygote))
		return err_set(err, EPIPE, "the zygote has died");
	return err_set(err, EAGAIN,
		       "no shell waits: all of %u slots are in use or to be filled", p->nslots);
}

static void prepare(struct thaw_slot *s, nsec_t request, thaw_log *log, void *arg)
{
	s->remote.phases = (struct phases){ .at[PHASE_REQUEST] = request };
	phase_mark(&s->remote.phases, PHASE_SHELL);
	s->remote.log = log;
	s->remote.log_arg = arg;
}

static struct remote_machine machine_of(const struct thaw_pool *p, const struct admitted *a)
{
	return (struct remote_machine){ .memory_fd = a->template->template.memory_fd,
					.state_fd = a == p->own ? -1 : a->state_fd,
					.disks = &a->template->template.disks };
}

int thaw_slot_start(struct thaw_slot **slot, struct thaw_pool *pool,
		    const struct thaw_template *t, thaw_log *log, void *arg,
		    struct thaw_err *err)
{
	nsec_t request = clock_monotonic();
	const struct admitted *a = t ? pool_find(pool, t) : pool->own;
	struct remote_machine m;
	struct thaw_slot *s;
	int ret;

	*slot = NULL;
	if (!a)
		return err_set(handle_err(err), EINVAL,
			       "the template was not admitted to this pool");
	ret = endings_promise(&pool->zygote->endings, pool->slot_memory, "a machine",
			      handle_err(err));
	if (ret < 0)
		return ret;
	m = machine_of(pool, a);
	while ((s = pool_take(pool)) != NULL) {
		prepare(s, request, log, arg);
		if (remote_start(&s->remote, &m, NULL) == 0)
			break;
		pool_release(s); /* it died while it waited; another one may not have */
	}
	if (!s) {
		account_give(&pool->zygote->account, pool->slot_memory);
		return no_shell(pool, handle_err(err));
	}
	s->admitted = a;
	s->memory = pool->slot_memory;
	*slot = s;
	return 0;
}

void thaw_slot_close(struct thaw_slot *slot)
{
	if (slot)
		pool_release(slot);
}

int thaw_slot_send(struct thaw_slot *slot, const void *event, size_t len,
		   unsigned int timeout_ms, struct thaw_err *err)
{
	return remote_send(&slot->remote, event, len, clock_deadline(timeout_ms),
			   handle_err(err));
}

int thaw_slot_wait(struct thaw_slot *slot, struct thaw_reply *reply, struct thaw_err *err)
{
	size_t len = 0;
	int ret = remote_wait(&slot->remote, &len, handle_err(err));

	if (ret == 0)
		*reply = (struct thaw_reply){ .data = slot->remote.window + ABI_WINDOW_REPLY,
					      .len = len };
	return ret;
}

int thaw_slot_fd(const struct thaw_slot *slot)
{
	return slot->remote.socket;
}

void thaw_slot_wait_not(struct thaw_slot *slot)
{
	slot->remote.is_impatient = true;
}

int thaw_slot_invoke(struct thaw_slot *slot, const void *event, size_t len,
		     unsigned int timeout_ms, struct thaw_reply *reply, struct thaw_err *err)
{
	int ret = thaw_slot_send(slot, event, len, timeout_ms, err);

	return ret < 0 ? ret : thaw_slot_wait(slot, reply, err);
}

int thaw_slot_rewind(struct thaw_slot *slot, int verify, struct thaw_err *err)
{
	return remote_rewind(&slot->remote, verify != 0, handle_err(err));
}

int thaw_slot_settle(struct thaw_slot *slot, struct thaw_err *err)
{
	return remote_settle(&slot->remote, handle_err(err));
}

int thaw_slot_pid(const struct thaw_slot *slot)
{
	return slot->remote.pid;
}

void thaw_slot_stamps(const struct thaw_slot *slot, struct thaw_stamps *stamps)
{
	handle_stamps(&slot->remote.phases, stamps);
}

void thaw_slot_rewinds(const struct thaw_slot *slot, struct thaw_rewinds *rewinds)
{
	handle_rewinds(&slot->remote.rewinds, rewinds);
}

const char *thaw_slot_crash(struct thaw_slot *slot)
{
	const struct mailbox seen = { .window = slot->remote.window };

	if (!slot->remote.crashed)
		return NULL;
	mailbox_crash_text(&seen, slot->crash, sizeof(slot->crash));
	return slot->crash;
}

/* ---- snapshots ---- */

/* What it is handed over in. The shell may keep that, and fill it, until it is gone. */
static int ready_fork(struct thaw_slot *s, const struct template *t, struct err *err)
{
	auto_close int fd = -1;
	int ret;

	if (s->remote.fork_fd >= 0)
		return 0;
	fd = fork_memfd(t, err);
	if (fd < 0)
		return fd;
	ret = endings_promise(&s->pool->zygote->endings, s->pool->slot_memory,
			      "a machine's first snapshot", err);
	if (ret < 0)
		return ret;
	s->memory += s->pool->slot_memory;
	s->remote.fork_fd = fd_take(&fd);
	return 0;
}

static int snapshot_take(struct thaw_snapshot *n, struct thaw_slot *s, struct err *err)
{
	const struct thaw_template *t = s->admitted->template;
	nsec_t pause = 0;
	int ret;

	n->template = handle_hold(t);
	ret = fork_check(&t->template, err);
	if (ret == 0)
		ret = ready_fork(s, &t->template, err);
	if (ret == 0)
		ret = remote_fork(&s->remote, &pause, err);
	if (ret < 0)
		return ret;
	ret = fork_receive(&n->fork, &t->host->kvm, &t->template, s->remote.fork_fd, err);
	n->fork.stats.pause_ns = pause;
	if (ret == -EPROTO)
		remote_distrust(&s->remote, ret, err);
	return ret;
}

int thaw_slot_snapshot_begin(struct thaw_snapshot **snapshot, struct thaw_slot *slot,
			     struct thaw_err *err)
{
	struct thaw_snapshot *s = handle_make(sizeof(*s), err);
	struct err why = { 0 };
	int ret;

	*snapshot = NULL;
	if (!s)
		return -ENOMEM;
	ret = snapshot_take(s, slot, &why);
	if (ret < 0) {
		if (err)
			*handle_err(err) = why;
		thaw_snapshot_close(s);
		return ret;
	}
	*snapshot = s;
	return 0;
}
