/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/remote_talk.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "engine/fds.h"

/* Ours: far more than the zygote takes to say how a shell ended. */
#define LAST_WORD (1 * NSEC_PER_SEC)
/* Ours: packets for one of those that a caller has to look after. */
#define AT_ONCE 64u

/* ---- what comes from a shell ---- */

int remote_die(struct remote *s, int ret, struct err *err)
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

/* In place of a time: what is there already, or -EAGAIN. */
#define NO_WAIT 1

/* One packet, whatever it says. @until: 0: no limit. */
static int remote_hear(struct remote *s, struct packet_msg *msg, struct packet_parts *parts,
		       void *buf, nsec_t until, struct err *err)
{
	int ret = until > NO_WAIT ? wait_in_time(s, until) : 1;

	if (ret == 0)
		return remote_die(s,
				  err_set(&s->err, ERR_TIMED_OUT,
					  "the machine's process did not answer in time, and "
					  "was killed"),
				  err);
	if (ret > 0)
		ret = packet_recv(s->socket, msg, parts, buf,
				  until == NO_WAIT ? MSG_DONTWAIT : 0);
	if (ret == -EAGAIN && until == NO_WAIT)
		return err_set(err, EAGAIN, "the machine's process has not answered yet");
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

/* One packet: the answer of type @type, with what comes with it, or what the guest prints, which is
 * passed on. Returns 1 or 0. */
static int hear_answer(struct remote *s, enum packet_type type, struct packet_msg *msg, int *fd,
		       nsec_t until, struct err *err)
{
	uint8_t buf[PACKET_MAX_DATA];
	struct packet_parts parts = { .nfds = fd ? 1 : 0 };
	int ret = remote_recv(s, msg, &parts, buf, until, err);

	if (ret < 0)
		return ret;
	if (msg->type == type && fd && parts.nfds > 0) {
		*fd = parts.fds[0];
		parts.fds[0] = parts.fds[--parts.nfds];
	}
	packet_close_fds(&parts);
	if (msg->type == type)
		return 1;
	if (msg->type != PACKET_LOG)
		return remote_die(s,
				  err_set(&s->err, EPROTO,
					  "the machine's process said %u, expected %u",
					  msg->type, (unsigned int)type),
				  err);
	if (s->log)
		s->log(s->log_arg, (uint32_t)msg->value, parts.data, parts.len);
	return 0;
}

int remote_answer(struct remote *s, enum packet_type type, struct packet_msg *msg, int *fd,
		  nsec_t until, struct err *err)
{
	int ret;

	*msg = (struct packet_msg){ 0 };
	do
		ret = hear_answer(s, type, msg, fd, until, err);
	while (ret == 0);
	return MIN(ret, 0);
}

int remote_answer_now(struct remote *s, enum packet_type type, struct packet_msg *msg,
		      nsec_t until, struct err *err)
{
	bool late = until != 0 && clock_monotonic() >= until;
	int ret = 0;

	*msg = (struct packet_msg){ 0 };
	for (unsigned int i = 0; i < AT_ONCE && ret == 0; i++)
		ret = hear_answer(s, type, msg, NULL, late ? until : NO_WAIT, err);
	if (ret == 0)
		return err_set(err, EAGAIN, "the machine's process talks, but does not answer");
	return MIN(ret, 0);
}

/* ---- what a shell is told ---- */

int remote_tell(struct remote *s, const struct packet_msg *msg,
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
		return remote_answer(s, PACKET_DIED, &why, NULL, clock_monotonic() + LAST_WORD,
				     err);
	}
	if (ret == -EAGAIN)
		ret = err_set(&s->err, EPROTO, "the machine's process does not listen");
	else
		ret = err_set(&s->err, -ret, "talk to a machine's process: %s",
			      strerrordesc_np(-ret));
	return remote_die(s, ret, err);
}
