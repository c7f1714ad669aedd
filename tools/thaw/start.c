/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/start.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/log.h"
#include "engine/loop.h"
#include "snapshot/restore.h"
#include "tools/thaw/guest_io.h"

/* A machine that does not stop at its deadline is stuck in the host, not in the guest. */
#define START_GRACE NSEC_PER_SEC

static int invoke(struct machine *m, const struct start_plan *plan, struct start_result *r)
{
	struct invocation inv = { .event = plan->event, .len = plan->event_len };
	struct mailbox_reply reply;
	int ret;

	if (plan->timeout_ms > 0)
		inv.deadline = clock_monotonic() + plan->timeout_ms * NSEC_PER_MSEC;
	ret = machine_invoke(m, &inv, &reply, &r->phases, &r->err);
	if (ret == 0) {
		r->reply_len = reply.len;
	} else if (ret == -ERR_CRASHED && m->mailbox->stop == MAILBOX_CRASH) {
		r->crashed = true;
		r->crash = mailbox_crash(m->mailbox);
	}
	return ret;
}

void start_here(const struct start_plan *plan, int mailbox_fd, bool quiet,
		struct start_result *r)
{
	static struct machine m; /* too large for the stack; one per process */
	int ret = machine_create(&m, plan->kvm, &plan->template->shape, mailbox_fd, &r->err);

	r->ret = ret;
	if (ret < 0)
		return;
	phase_mark(&r->phases, PHASE_SHELL);
	if (!quiet)
		m.mailbox->ops.log = guest_log;
	ret = restore(&m, plan->template, plan->tier, &r->phases, &r->err);
	if (ret == 0)
		ret = invoke(&m, plan, r);
	machine_destroy(&m);
	phase_mark(&r->phases, PHASE_TORN_DOWN);
	r->ret = ret;
}

static int on_exit_of_child(struct loop_watch *w, uint32_t events)
{
	(void)events;
	(void)w;
	return 0;
}

/* Wait for @pid; past @deadline (0: none) kill it. Returns its wait status, or -errno. */
static int wait_for(pid_t pid, nsec_t deadline, struct err *err)
{
	auto_close int pidfd = pidfd_open(pid, 0);
	struct loop_watch watch = { .fd = pidfd, .callback = on_exit_of_child };
	struct loop loop;
	int status = 0, n, ret;

	if (pidfd < 0)
		return err_sys(err, "pidfd_open");
	ret = loop_init(&loop, err);
	if (ret < 0)
		return ret;
	ret = loop_add(&loop, &watch, EPOLLIN, err);
	do {
		n = ret < 0 ? 0 : loop_wait(&loop, deadline);
	} while (n == -EINTR);
	if (n == 0)
		kill(pid, SIGKILL);
	loop_fini(&loop);
	if (waitpid(pid, &status, 0) < 0)
		return err_sys(err, "waitpid");
	return ret < 0 ? ret : status;
}

static void child(const struct start_plan *plan, int mailbox_fd, bool quiet, pid_t parent,
		  struct start_result *r)
{
	/* Nobody is left to read the reply of a machine whose parent died. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		start_here(plan, mailbox_fd, quiet, r);
	log_flush(STDERR_FILENO);
	_exit(0);
}

void start_in_child(const struct start_plan *plan, int mailbox_fd, bool quiet,
		    struct start_result *r)
{
	pid_t parent = getpid();
	nsec_t deadline = 0;
	pid_t pid;
	int status;

	/* What the child overwrites when it comes to an end of its own. */
	r->ret = err_set(&r->err, EIO, "the machine's process ended before it said how");
	pid = fork();
	if (pid < 0) {
		r->ret = err_sys(&r->err, "fork");
		return;
	}
	if (pid == 0)
		child(plan, mailbox_fd, quiet, parent, r);
	if (plan->timeout_ms > 0)
		deadline = clock_monotonic() + plan->timeout_ms * NSEC_PER_MSEC + START_GRACE;
	status = wait_for(pid, deadline, &r->err);
	if (status < 0)
		r->ret = status;
	else if (WIFSIGNALED(status))
		r->ret = err_set(&r->err, EIO, "the machine's process died of signal %d",
				 WTERMSIG(status));
}
