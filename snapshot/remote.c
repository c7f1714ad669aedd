/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/remote.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "devices/mailbox.h"
#include "engine/fds.h"
#include "snapshot/zygote.h"

/* Ours: a machine's own deadline stops it; this is for a process that does not. */
#define REMOTE_GRACE (1 * NSEC_PER_SEC)
/* Ours: making or rewinding a machine takes milliseconds, on an emulated host seconds. */
#define REMOTE_PATIENCE (60 * NSEC_PER_SEC)

/* ---- what comes from a shell ---- */

/* Not believed any more: killed, and dead for the caller. Returns @ret, of which s->err tells. */
static int remote_die(struct remote *s, int ret, struct err *err)
{
	if (s->pidfd >= 0)
		pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0);
	s->state = REMOTE_DEAD;
	s->ret = ret;
	if (err)
		*err = s->err;
	return ret;
}

static int died_of(struct remote *s, int status, struct err *err)
{
	int ret;

	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		ret = err_set(&s->err, ERR_CRASHED,
			      "the machine's process died of SIG%s (signal %d)",
			      name ? name : "?", WTERMSIG(status));
	} else {
		ret = err_set(&s->err, ERR_CRASHED,
			      "the machine's process ended with status %d",
			      WEXITSTATUS(status));
	}
	return remote_die(s, ret, err);
}

/* Is there something to be read before @until? Once it is, the answer is no even if there is: a
 * shell that talks all the time would have its caller listen for ever. */
static int wait_in_time(const struct remote *s, nsec_t until)
{
	return clock_monotonic() < until ? fds_wait_readable(s->socket, until) : 0;
}

/* One packet, whatever it says. @until: 0: no limit. */
static int remote_hear(struct remote *s, struct packet_msg *msg, struct packet_parts *parts,
		       void *buf, nsec_t until, struct err *err)
{
	int ret = until != 0 ? wait_in_time(s, until) : 1;

	if (ret == 0)
		return remote_die(s,
				  err_set(&s->err, ERR_TIMED_OUT,
					  "the machine's process did not answer in time, and "
					  "was killed"),
				  err);
	if (ret > 0)
		ret = packet_recv(s->socket, msg, parts, buf, 0);
	/* Of a shell that died, the zygote tells; so it is the zygote that is missing. */
	if (ret == 0)
		return remote_die(s,
				  err_set(&s->err, EPIPE,
					  "the zygote has died, and this machine's process "
					  "with it"),
				  err);
	if (ret < 0)
		return remote_die(s,
				  err_set(&s->err, -ret, "listen to a machine's process: %s",
					  strerrordesc_np(-ret)),
				  err);
	return 0;
}

/* An answer. Anything else ends the machine. */
static int remote_recv(struct remote *s, struct packet_msg *msg, struct packet_parts *parts,
		       void *buf, nsec_t until, struct err *err)
{
	int ret = remote_hear(s, msg, parts, buf, until, err);

	if (ret < 0)
		return ret;
	if (msg->type == PACKET_DIED) {
		ret = died_of(s, (int)msg->value, err);
	} else if (msg->type == PACKET_FAILED && msg->ret < 0) {
		s->err = msg->err;
		ret = remote_die(s, msg->ret, err);
	}
	if (ret < 0)
		packet_close_fds(parts);
	return ret;
}

/* The answer of type @type; what the guest prints before it is passed on. @fd: takes the
 * descriptor that comes with it; NULL: none may come. */
static int remote_answer(struct remote *s, enum packet_type type, struct packet_msg *msg,
			 int *fd, nsec_t until, struct err *err)
{
	uint8_t buf[PACKET_MAX_DATA];
	struct packet_parts parts;
	int ret;

	*msg = (struct packet_msg){ 0 };
	for (;;) {
		parts = (struct packet_parts){ .nfds = fd ? 1 : 0 };
		ret = remote_recv(s, msg, &parts, buf, until, err);
		if (ret < 0)
			return ret;
		if (msg->type == type)
			break;
		packet_close_fds(&parts);
		if (msg->type != PACKET_LOG)
			return remote_die(s,
					  err_set(&s->err, EPROTO,
						  "the machine's process said %u, expected %u",
						  msg->type, (unsigned int)type),
					  err);
		if (s->log)
			s->log(s->log_arg, (uint32_t)msg->value, parts.data, parts.len);
	}
	if (fd && parts.nfds > 0) {
		*fd = parts.fds[0];
		parts.fds[0] = parts.fds[--parts.nfds];
	}
	packet_close_fds(&parts);
	return 0;
}

/* ---- what a shell is told ---- */

static int remote_tell(struct remote *s, const struct packet_msg *msg,
		       const struct packet_parts *parts, struct err *err)
{
	int ret;

	/* There is room for all that a shell may be told before it answers: one that lets it
	 * fill up does not read, and is not waited for. */
	ret = packet_send(s->socket, msg, parts, MSG_DONTWAIT);
	if (ret == 0)
		return 0;
	if (ret == -EPIPE || ret == -ECONNRESET) {
		struct packet_msg why;

		/* The zygote's last word on it lies there; that is never a success. */
		return remote_answer(s, PACKET_DIED, &why, NULL,
				     clock_monotonic() + REMOTE_GRACE, err);
	}
	if (ret == -EAGAIN)
		ret = err_set(&s->err, EPROTO, "the machine's process does not listen");
	else
		ret = err_set(&s->err, -ret, "talk to a machine's process: %s",
			      strerrordesc_np(-ret));
	return remote_die(s, ret, err);
}

static int map_window(struct remote *s, int mailbox_fd, struct err *err)
{
	static const size_t needed[] = { 0, ABI_WINDOW_EVENT, ABI_WINDOW_REPLY };
	void *window =
		mmap(NULL, ABI_WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mailbox_fd, 0);

	if (window == MAP_FAILED)
		return err_sys(err, "map a mailbox");
	s->window = window;
	/* What every start needs of it is there before the first one: the shell finds these
	 * pages, too. Zeros, as they are. */
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		*(volatile uint8_t *)(s->window + needed[i]) = 0;
	return 0;
}

int remote_make(struct remote *s, const struct zygote *z, int state_fd, struct err *err)
{
	auto_close int mailbox_fd = mailbox_memfd(err);
	int ret = mailbox_fd;

	*s = (struct remote){ .socket = -1, .pidfd = -1 };
	if (ret >= 0)
		ret = map_window(s, mailbox_fd, err);
	if (ret >= 0)
		ret = zygote_make(z, state_fd, mailbox_fd, err);
	if (ret < 0) {
		remote_close(s);
		return ret;
	}
	s->socket = ret;
	s->state = REMOTE_MAKING;
	return 0;
}

int remote_await(struct remote *s, struct err *err)
{
	nsec_t until = clock_monotonic() + REMOTE_PATIENCE;
	struct packet_msg msg;
	int ret = remote_answer(s, PACKET_BORN, &msg, &s->pidfd, until, err);

	if (ret < 0)
		return ret;
	if (s->pidfd < 0)
		return remote_die(s, err_set(&s->err, EPROTO, "a shell without its descriptor"),
				  err);
	s->pid = (pid_t)msg.value;
	ret = remote_answer(s, PACKET_READY, &msg, NULL, until, err);
	if (ret < 0)
		return ret;
	s->state = REMOTE_WAITING;
	return 0;
}

int remote_start(struct remote *s, const struct remote_machine *m, struct err *err)
{
	struct packet_msg msg = { .type = PACKET_START,
				  .value = s->log ? PACKET_START_LOGS : 0 };
	struct packet_parts parts = { .fds = { m->memory_fd, m->state_fd },
				      .nfds = m->state_fd < 0 ? 1 : 2 };
	int ret = remote_tell(s, &msg, &parts, err);

	if (ret == 0)
		s->state = REMOTE_IDLE;
	return ret;
}

/* May it be asked for something now? */
static int check_idle(struct remote *s, struct err *err)
{
	if (s->state == REMOTE_DEAD) {
		if (err)
			*err = s->err;
		return s->ret;
	}
	if (s->state == REMOTE_BUSY)
		return err_set(err, EBUSY,
			       "the machine has an event, whose reply was not "
			       "waited for");
	return 0;
}

int remote_send(struct remote *s, const void *event, size_t len, nsec_t deadline,
		struct err *err)
{
	struct packet_msg msg = { .type = PACKET_INVOKE, .value = len, .deadline = deadline };
	nsec_t request = clock_monotonic();
	int ret = check_idle(s, err);

	/* A rewind clears the window: nothing goes there before it is over. */
	if (ret == 0)
		ret = remote_settle(s, err);
	if (ret < 0)
		return ret;
	if (len > ABI_EVENT_MAX)
		return err_set(err, EMSGSIZE, "event has %zu bytes, at most %u fit", len,
			       ABI_EVENT_MAX);
	if (len > 0)
		memcpy(s->window + ABI_WINDOW_EVENT, event, len);
	ret = remote_tell(s, &msg, NULL, err);
	if (ret < 0)
		return ret;
	s->state = REMOTE_BUSY;
	s->deadline = deadline;
	s->crashed = false;
	if (s->is_rewound)
		s->phases = (struct phases){ .at[PHASE_REQUEST] = request };
	s->is_rewound = false;
	return 0;
}

/* The stamps that are the shell's to take, each of which it takes once a start. */
static void take_phases(struct remote *s, const struct phases *p)
{
	static const enum phase theirs[] = { PHASE_MEMORY, PHASE_STATE,
					     PHASE_FIRST_INSTRUCTION };

	for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
		s->phases.at[theirs[i]] = p->at[theirs[i]];
	if (s->phases.at[PHASE_FIRST_RESPONSE] == 0)
		phase_mark(&s->phases, PHASE_FIRST_RESPONSE);
}

int remote_wait(struct remote *s, size_t *len, struct err *err)
{
	struct packet_msg msg;
	nsec_t until = 0;
	int ret;

	if (s->state != REMOTE_BUSY) {
		ret = check_idle(s, err);
		return ret < 0 ? ret : err_set(err, EINVAL, "no event was sent to wait for");
	}
	/* Who comes late still gets what came in time. */
	if (s->deadline)
		until = MAX(s->deadline, clock_monotonic()) + REMOTE_GRACE;
	ret = remote_answer(s, PACKET_REPLY, &msg, NULL, until, err);
	if (ret < 0)
		return ret;
	s->state = REMOTE_IDLE;
	s->crashed = msg.crashed != 0;
	if (msg.ret < 0) {
		if (err)
			*err = msg.err;
		return msg.ret;
	}
	take_phases(s, &msg.phases);
	*len = (size_t)MIN(msg.value, (uint64_t)ABI_REPLY_MAX);
	return 0;
}

int remote_rewind(struct remote *s, bool verify, struct err *err)
{
	struct packet_msg msg = { .type = PACKET_REWIND, .value = verify };
	int ret = check_idle(s, err);

	if (ret == 0)
		ret = remote_settle(s, err);
	if (ret == 0)
		ret = remote_tell(s, &msg, NULL, err);
	if (ret == 0)
		s->state = REMOTE_REWINDING;
	return ret;
}

int remote_settle(struct remote *s, struct err *err)
{
	struct packet_msg msg;
	int ret;

	if (s->state != REMOTE_REWINDING)
		return check_idle(s, err);
	ret = remote_answer(s, PACKET_REWOUND, &msg, NULL, clock_monotonic() + REMOTE_PATIENCE,
			    err);
	if (ret < 0)
		return ret;
	if (msg.ret < 0) {
		s->err = msg.err;
		return remote_die(s, msg.ret, err);
	}
	s->state = REMOTE_IDLE;
	s->crashed = false;
	s->is_rewound = true;
	s->rewinds = msg.rewinds;
	s->phases.at[PHASE_RELEASED] = msg.phases.at[PHASE_RELEASED];
	return 0;
}

int remote_end(struct remote *s)
{
	int pidfd = s->pidfd;

	if (s->pidfd >= 0)
		pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0);
	if (s->socket >= 0)
		close(s->socket);
	if (s->window)
		munmap(s->window, ABI_WINDOW_SIZE);
	*s = (struct remote){ .socket = -1, .pidfd = -1 };
	return pidfd;
}

void remote_close(struct remote *s)
{
	int pidfd = remote_end(s);

	fd_cleanup(&pidfd);
}
