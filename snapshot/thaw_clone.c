/* SPDX-License-Identifier: Apache-2.0 */
/* thaw_clone.c - the public face of clones. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/handles.h"
#include "snapshot/machine.h"
#include "snapshot/restore.h"
#include "snapshot/rewind.h"
#include "snapshot/snapshot.h"

struct thaw_clone {
	struct thaw_template *template;
	int mailbox_fd;
	struct machine machine;
	struct rewind rewind; /* open when is_rewindable */
	bool is_rewindable;
	bool is_started; /* it has a machine */
	bool is_rewound; /* and has not been invoked since */
	struct phases phases;
	thaw_log *log;
	void *log_arg;
	char crash[MAILBOX_CRASH_TEXT];
};

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

static int create(struct thaw_clone *c, struct err *err)
{
	const struct thaw_template *t = c->template;

	c->mailbox_fd = mailbox_memfd(err);
	if (c->mailbox_fd < 0)
		return c->mailbox_fd;
	if (t->tier->maps)
		return machine_create_mapped(&c->machine, &t->host->kvm, &t->template,
					     c->mailbox_fd, err);
	return machine_create(&c->machine, &t->host->kvm, &t->template.shape, c->mailbox_fd,
			      err);
}

static void clone_free(struct thaw_clone *c)
{
	if (c->mailbox_fd >= 0)
		close(c->mailbox_fd);
	thaw_template_close(c->template);
	free(c);
}

static int clone_make(struct thaw_clone *c, struct err *err)
{
	int ret = create(c, err);

	if (ret < 0)
		return ret;
	if (c->log)
		c->machine.mailbox->ops = (struct mailbox_ops){ .log = clone_log, .arg = c };
	machine_log_serial(&c->machine);
	ret = restore_prepare(&c->machine, &c->template->template, c->template->tier, err);
	if (ret < 0)
		machine_destroy(&c->machine);
	phase_mark(&c->phases, PHASE_SHELL);
	return ret;
}

static int clone_start(struct thaw_clone *c, struct err *err)
{
	const struct thaw_template *t = c->template;
	int ret = restore(&c->machine, &t->template, t->tier, &c->phases, err);

	c->is_started = ret == 0;
	if (ret == 0 && t->tier->rewinds)
		ret = clone_ready_rewind(c, err);
	return ret;
}

static int clone_new(struct thaw_clone **clone, const struct thaw_template *t, thaw_log *log,
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
	ret = clone_make(c, handle_err(err));
	if (ret < 0)
		clone_free(c);
	else
		*clone = c;
	return ret;
}

int thaw_clone_make(struct thaw_clone **clone, const struct thaw_template *t, thaw_log *log,
		    void *arg, struct thaw_err *err)
{
	int ret = clone_new(clone, t, log, arg, err);

	if (ret < 0)
		return ret;
	/* A VM's first KVM_RUN makes a thread of KVM's own, also one that comes back at once. */
	ret = vcpu_complete(&(*clone)->machine.vm.vcpus[0], handle_err(err));
	if (ret < 0) {
		thaw_clone_close(*clone);
		*clone = NULL;
	}
	return ret;
}

int thaw_clone_start(struct thaw_clone *clone, struct thaw_err *err)
{
	if (clone->is_started)
		return err_set(handle_err(err), EINVAL, "the clone was started before");
	clone->phases = (struct phases){ .at[PHASE_REQUEST] = clock_monotonic() };
	phase_mark(&clone->phases, PHASE_SHELL);
	return clone_start(clone, handle_err(err));
}

int thaw_clone_open(struct thaw_clone **clone, const struct thaw_template *t, thaw_log *log,
		    void *arg, struct thaw_err *err)
{
	int ret = clone_new(clone, t, log, arg, err);

	if (ret == 0)
		ret = clone_start(*clone, handle_err(err));
	if (ret < 0) {
		thaw_clone_close(*clone);
		*clone = NULL;
	}
	return ret;
}

void thaw_clone_close(struct thaw_clone *clone)
{
	if (!clone)
		return;
	if (clone->is_rewindable)
		rewind_close(&clone->rewind);
	machine_destroy(&clone->machine);
	clone_free(clone);
}

int thaw_clone_invoke(struct thaw_clone *clone, const void *event, size_t len,
		      unsigned int timeout_ms, struct thaw_reply *reply, struct thaw_err *err)
{
	struct invocation inv = { .event = event,
				  .len = len,
				  .deadline = clock_deadline(timeout_ms) };
	struct mailbox_reply r;
	int ret, changed;
	bool first;

	if (clone->is_rewound) {
		clone->phases = (struct phases){ .at[PHASE_REQUEST] = clock_monotonic() };
		clone->is_rewound = false;
	}
	first = clone->phases.at[PHASE_FIRST_RESPONSE] == 0;
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

static int check_started(const struct thaw_clone *c, struct err *err)
{
	return c->is_started ? 0 : err_set(err, EINVAL, "the clone was not started yet");
}

/* Its devices are at rest. */
static int clone_rewind(struct thaw_clone *clone, int verify, struct err *err)
{
	int ret = rewind_machine(&clone->rewind, &clone->machine, err);

	if (ret < 0)
		return ret;
	phase_mark(&clone->phases, PHASE_RELEASED);
	clone->is_rewound = true;
	return verify ? rewind_verify(&clone->rewind, &clone->machine, err) : 0;
}

int thaw_clone_rewind(struct thaw_clone *clone, int verify, struct thaw_err *err)
{
	int ret = check_started(clone, handle_err(err));

	if (ret == 0)
		ret = clone_ready_rewind(clone, handle_err(err));
	if (ret < 0)
		return ret;
	worker_lock(&clone->machine.vm.worker);
	ret = clone_rewind(clone, verify, handle_err(err));
	worker_unlock(&clone->machine.vm.worker);
	return ret;
}

void thaw_clone_rewinds(const struct thaw_clone *clone, struct thaw_rewinds *rewinds)
{
	handle_rewinds(&clone->rewind.stats, rewinds);
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

uint64_t thaw_clone_emulated(const struct thaw_clone *clone)
{
	const struct vm *vm = &clone->machine.vm;

	return vcpu_counts_emulated(vm->kvm, vm->vcpus[0].fd);
}

size_t thaw_clone_counters(struct thaw_clone *clone, struct thaw_counter *counters, size_t cap)
{
	struct vm *vm = &clone->machine.vm;
	size_t n = 0;

	worker_lock_to_read(&vm->worker);
	for (uint32_t i = 0; i < vm->ndevices; i++) {
		const struct device *dev = vm->devices[i];
		const struct device_counter *c = dev->type->counters;

		for (; c && c->name; c++, n++) {
			if (n < cap)
				counters[n] = (struct thaw_counter){ dev->type->name, c->name,
								     dev->instance,
								     device_count(dev, c) };
		}
	}
	worker_unlock(&vm->worker);
	return n;
}

/* ---- snapshots ---- */

int thaw_snapshot_begin(struct thaw_snapshot **snapshot, struct thaw_clone *clone,
			struct thaw_err *err)
{
	struct thaw_snapshot *s = handle_make(sizeof(*s), err);
	int ret;

	*snapshot = NULL;
	if (!s)
		return -ENOMEM;
	ret = check_started(clone, handle_err(err));
	if (ret == 0 && clone->template->tier->needs_fill)
		ret = fork_begin(&s->fork, &clone->machine, &clone->template->template,
				 handle_err(err));
	else if (ret == 0)
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
