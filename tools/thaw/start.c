/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/start.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/log.h"
#include "engine/loop.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/guest_io.h"

/* A machine that does not stop at its deadline is stuck in the host, not in the guest. */
#define START_GRACE (10 * NSEC_PER_SEC)

/* The stamps that the library took; the request is when the caller made it. */
static void take_stamps(const struct thaw_stamps *s, struct phases *p)
{
	p->at[PHASE_SHELL] = s->shell;
	p->at[PHASE_MEMORY] = s->memory;
	p->at[PHASE_STATE] = s->state;
	p->at[PHASE_FIRST_INSTRUCTION] = s->first_instruction;
	p->at[PHASE_FIRST_RESPONSE] = s->first_response;
	p->at[PHASE_RELEASED] = s->released;
}

static void take_clone_stamps(const struct thaw_clone *clone, struct phases *p)
{
	struct thaw_stamps s;

	thaw_clone_stamps(clone, &s);
	take_stamps(&s, p);
}

static void take_reply(const struct thaw_reply *reply, struct start_result *r)
{
	memcpy(r->reply, reply->data, reply->len);
	r->reply_len = reply->len;
}

static void take_crash(const char *crash, struct start_result *r)
{
	if (crash)
		snprintf(r->crash, sizeof(r->crash), "%s", crash);
}

static void count(struct thaw_clone *clone, struct start_result *r)
{
	size_t n = thaw_clone_counters(clone, r->counters, START_MAX_COUNTERS);

	r->ncounters = MIN(n, START_MAX_COUNTERS);
	r->emulated = thaw_clone_emulated(clone);
}

static int invoke(struct thaw_clone *clone, const struct start_plan *plan,
		  struct start_result *r)
{
	struct thaw_reply reply;
	int ret = thaw_clone_invoke(clone, plan->event, plan->event_len, plan->timeout_ms,
				    &reply, &r->err);

	if (ret == 0) {
		take_reply(&reply, r);
		take_clone_stamps(clone, &r->phases);
		if (plan->count)
			count(clone, r);
	} else {
		take_crash(thaw_clone_crash(clone), r);
	}
	return ret;
}

void start_here(const struct start_plan *plan, bool quiet, struct start_result *r)
{
	struct thaw_clone *clone;
	int ret = thaw_clone_open(&clone, plan->template, quiet ? NULL : guest_log, NULL,
				  &r->err);

	if (ret == 0)
		ret = invoke(clone, plan, r);
	thaw_clone_close(clone);
	phase_mark(&r->phases, PHASE_TORN_DOWN);
	guest_log_end();
	r->ret = ret;
}

void start_warm(const struct start_plan *plan, struct thaw_clone **clone,
		struct start_result *r)
{
	uint64_t before = 0;
	int ret = 0;

	if (!*clone) {
		ret = thaw_clone_open(clone, plan->template, guest_log, NULL, &r->err);
		/* The first start would be the restore of the slot: not what is measured. */
		if (ret == 0)
			ret = thaw_clone_rewind(*clone, plan->verify, &r->err);
	}
	if (ret == 0 && plan->count)
		before = thaw_clone_emulated(*clone);
	r->phases.at[PHASE_REQUEST] = clock_monotonic();
	if (ret == 0)
		ret = invoke(*clone, plan, r);
	if (ret == 0)
		r->emulated -= before;
	if (ret == 0)
		ret = thaw_clone_rewind(*clone, plan->verify, &r->err);
	if (ret == 0)
		take_clone_stamps(*clone, &r->phases);
	r->ret = ret;
}

/* A shell that waits; the request is when it was asked for, not when it had to be made. */
static int take_shell(struct thaw_slot **slot, struct thaw_pool *pool, bool quiet,
		      struct start_result *r)
{
	thaw_log *log = quiet ? NULL : guest_log;
	int ret;

	for (int tries = 0;; tries++) {
		r->phases.at[PHASE_REQUEST] = clock_monotonic();
		ret = thaw_slot_start(slot, pool, NULL, log, NULL, &r->err);
		if (ret != -EAGAIN || tries > 0)
			return ret;
		ret = thaw_pool_fill(pool, &r->err);
		if (ret < 0)
			return ret;
	}
}

void start_in_shell(const struct start_plan *plan, struct thaw_pool *pool, bool quiet,
		    struct start_result *r)
{
	struct thaw_slot *slot = NULL;
	struct thaw_reply reply = { 0 };
	struct thaw_stamps stamps;
	int ret = take_shell(&slot, pool, quiet, r);

	if (ret == 0) {
		ret = thaw_slot_invoke(slot, plan->event, plan->event_len, plan->timeout_ms,
				       &reply, &r->err);
		thaw_slot_stamps(slot, &stamps);
		take_stamps(&stamps, &r->phases);
	}
	if (ret == 0)
		take_reply(&reply, r);
	else if (slot)
		take_crash(thaw_slot_crash(slot), r);
	thaw_slot_close(slot);
	guest_log_end();
	r->ret = ret;
}

static int on_exit_of_child(struct loop_watch *w, uint32_t events)
{
	(void)events;
	(void)w;
	return 0;
}

/* Wait until @pid has ended, or @deadline (0: none) has passed. Returns 1, 0, or -errno. */
static int wait_for_end(pid_t pid, nsec_t deadline, struct err *err)
{
	auto_close int pidfd = pidfd_open(pid, 0);
	struct loop_watch watch = { .fd = pidfd, .callback = on_exit_of_child };
	struct loop loop;
	int ret;

	if (pidfd < 0)
		return err_sys(err, "pidfd_open");
	ret = loop_init(&loop, err);
	if (ret < 0)
		return ret;
	ret = loop_add(&loop, &watch, EPOLLIN, err);
	while (ret == 0) {
		ret = loop_wait(&loop, deadline);
		if (ret != -EINTR)
			break;
		ret = 0;
	}
	loop_fini(&loop);
	return ret;
}

/* The child is gone afterwards in every case. */
static void reap(pid_t pid, nsec_t deadline, struct start_result *r)
{
	struct err *err = cmd_err(&r->err);
	struct err why = { 0 };
	int status = 0;
	int ended = wait_for_end(pid, deadline, &why);

	if (ended <= 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (ended < 0) {
		*err = why;
		r->ret = ended;
	} else if (ended == 0) {
		r->ret = err_set(err, ERR_TIMED_OUT,
				 "the machine's process did not stop in time");
	} else if (WIFSIGNALED(status)) {
		r->ret = err_set(err, EIO, "the machine's process died of signal %d",
				 WTERMSIG(status));
	}
}

static void child(const struct start_plan *plan, bool quiet, pid_t parent,
		  struct start_result *r)
{
	/* Nobody is left to read the reply of a machine whose parent died. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		start_here(plan, quiet, r);
	log_flush(STDERR_FILENO);
	_exit(0);
}

void start_in_child(const struct start_plan *plan, bool quiet, struct start_result *r)
{
	struct err *err = cmd_err(&r->err);
	pid_t parent = getpid();
	nsec_t deadline;
	pid_t pid;

	/* What the child overwrites when it comes to an end of its own. */
	r->ret = err_set(err, EIO, "the machine's process ended before it said how");
	pid = fork();
	if (pid < 0) {
		r->ret = err_sys(err, "fork");
		return;
	}
	if (pid == 0)
		child(plan, quiet, parent, r);
	deadline = clock_deadline(plan->timeout_ms);
	reap(pid, deadline ? deadline + START_GRACE : 0, r);
}
