/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/remote.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

#include "devices/mailbox.h"
#include "snapshot/disks.h"
#include "snapshot/remote_talk.h"
#include "snapshot/zygote.h"

/* Ours: a machine's own deadline stops it; this is for a process that does not. */
#define REMOTE_GRACE (1 * NSEC_PER_SEC)
/* Ours: making, rewinding or forking a machine takes milliseconds, on an emulated host seconds. */
#define REMOTE_PATIENCE (60 * NSEC_PER_SEC)

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

	*s = remote_empty();
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

static int answer(struct remote *s, enum packet_type type, struct packet_msg *msg, nsec_t until,
		  struct err *err)
{
	if (s->is_impatient)
		return remote_answer_now(s, type, msg, until, err);
	return remote_answer(s, type, msg, NULL, until, err);
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
	struct packet_parts parts = { .fds = { m->memory_fd, m->state_fd }, .nfds = 1 };
	int ret;

	if (m->state_fd >= 0) {
		msg.value |= PACKET_START_STATE;
		parts.nfds = 2;
	}
	parts.nfds += disks_fds(m->disks, parts.fds + parts.nfds);
	ret = remote_tell(s, &msg, &parts, err);

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
		until = MAX(s->deadline, s->is_impatient ? 0 : clock_monotonic()) +
			REMOTE_GRACE;
	ret = answer(s, PACKET_REPLY, &msg, until, err);
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
	if (ret < 0)
		return ret;
	s->state = REMOTE_REWINDING;
	s->patience = clock_monotonic() + REMOTE_PATIENCE;
	return 0;
}

int remote_settle(struct remote *s, struct err *err)
{
	struct packet_msg msg;
	int ret;

	if (s->state != REMOTE_REWINDING)
		return check_idle(s, err);
	ret = answer(s, PACKET_REWOUND, &msg, s->patience, err);
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

int remote_fork(struct remote *s, nsec_t *pause, struct err *err)
{
	const struct packet_msg ask = { .type = PACKET_FORK };
	const struct packet_parts parts = { .fds = { s->fork_fd }, .nfds = 1 };
	struct packet_msg msg;
	nsec_t start;
	int ret = remote_settle(s, err);

	start = clock_monotonic();
	if (ret == 0)
		ret = remote_tell(s, &ask, &parts, err);
	if (ret == 0)
		ret = remote_answer(s, PACKET_FORKED, &msg, NULL, start + REMOTE_PATIENCE, err);
	*pause = clock_monotonic() - start;
	if (ret == 0 && msg.ret < 0) {
		ret = msg.ret;
		if (err)
			*err = msg.err;
	}
	return ret;
}

void remote_distrust(struct remote *s, int ret, const struct err *err)
{
	s->err = *err;
	remote_die(s, ret, NULL);
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
	fd_cleanup(&s->fork_fd);
	*s = remote_empty();
	return pidfd;
}

void remote_close(struct remote *s)
{
	int pidfd = remote_end(s);

	fd_cleanup(&pidfd);
}
