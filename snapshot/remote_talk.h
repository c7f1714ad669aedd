/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_talk.h - to say something to a shell, and to hear what it answers: never longer than
 * wanted, and whatever it does. What came of it that is no answer ends the shell for its caller.
 */
#pragma once

#include "snapshot/remote.h"

/* Errors: -EPROTO it does not listen; as remote_answer, when it is dead. */
int remote_tell(struct remote *s, const struct packet_msg *msg,
		const struct packet_parts *parts, struct err *err) must_check;

/*
 * remote_answer - the answer of type @type. What the guest prints before it is passed on.
 * @fd: takes the descriptor that comes with it; NULL: none may come. @until: 0: no limit.
 * Errors: -ERR_TIMED_OUT; -ERR_CRASHED the shell died; -EPIPE the zygote did; -EPROTO it said
 * something else; what it said could not be done (PACKET_FAILED).
 */
int remote_answer(struct remote *s, enum packet_type type, struct packet_msg *msg, int *fd,
		  nsec_t until, struct err *err) must_check;

/* The same without waiting: -EAGAIN it has not answered yet, or prints so much that others should
 * have their turn. */
int remote_answer_now(struct remote *s, enum packet_type type, struct packet_msg *msg,
		      nsec_t until, struct err *err) must_check;

/* Not believed any more: killed, and dead for the caller. Returns @ret, of which s->err tells. */
int remote_die(struct remote *s, int ret, struct err *err);
