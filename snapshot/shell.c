/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/shell.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "engine/fds.h"
#include "snapshot/fork_memfd.h"
#include "snapshot/handover.h"
#include "snapshot/machine.h"
#include "snapshot/restore.h"
#include "snapshot/tier.h"

struct shell {
	int socket;
	struct kvm kvm;
	struct handover made_for, started; /* .started is mapped when it is another one */
	struct template template;	   /* of the machine, once there is one */
	struct machine machine;
	struct pages pages;   /* until the first rewind takes it */
	struct rewind rewind; /* open when is_rewindable */
	bool is_rewindable, has_machine;
	struct phases phases; /* of the start under way */
};

/* ---- getting ready ---- */

/* With its descriptor the caller can kill this process and no other one. */
static int tell_birth(const struct shell *s, struct err *err)
{
	auto_close int pidfd = pidfd_open(getpid(), 0);
	struct packet_msg msg = { .type = PACKET_BORN };
	const struct packet_parts parts = { .fds = { pidfd }, .nfds = 1 };
	char number[16] = "";
	int ret;

	/* The caller's number for it: getpid(2) says 1 in a cell. */
	if (pidfd < 0 || readlink("/proc/self", number, sizeof(number) - 1) < 0)
		return err_sys(err, "pidfd_open and /proc/self");
	msg.value = strtoul(number, NULL, 10);
	ret = packet_send(s->socket, &msg, &parts, 0);
	return ret < 0 ? err_set(err, -ret, "tell that a shell is there") : 0;
}

/* Go where this shell belongs. What needs a path comes before that, and a filtered process
 * sends no descriptors. */
static int move_in(struct shell *s, const struct shell_birth *b, struct err *err)
{
	int ret = tell_birth(s, err);

	if (ret == 0)
		ret = pages_open(&s->pages, err);
	if (ret == 0)
		ret = cell_enter(b->cells, b->cell, err);
	if (ret < 0)
		return ret;
	fd_cleanup(&b->cells->mounts);
	/* After the cell, which undoes it: get_ready looks whether it came in time. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, "PR_SET_PDEATHSIG");
	return 0;
}

/* Give up what is not needed any more, then tell the caller. */
static int get_ready(struct shell *s, const struct filter *filter, int zygote, struct err *err)
{
	const struct packet_msg msg = { .type = PACKET_READY };
	int ret;

	/* Its number tells nothing: in a cell, whoever is a parent is outside, and number 0. */
	if (fds_wait_readable(zygote, 0) != 0)
		return err_set(err, EPIPE, "the zygote has died");
	close(zygote);
	/* What is the caller's terminal or log is nothing for a guest that broke out. */
	if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		return err_sys(err, "let go of stderr");
	/* Nobody of the same user may look into a process that holds somebody's guest. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "PR_SET_DUMPABLE");
	ret = filter_enter(filter, err);
	/* A VM's first KVM_RUN makes a thread of KVM's own, also one that comes back at once: in the
	 * filter, as everything here. */
	if (ret == 0)
		ret = vcpu_complete(&s->machine.vm.vcpus[0], err);
	if (ret < 0)
		return ret;
	ret = packet_send(s->socket, &msg, NULL, 0);
	return ret < 0 ? err_set(err, -ret, "tell that a shell is ready") : 0;
}

static int shell_make(struct shell *s, const struct shell_birth *b, struct err *err)
{
	int ret;

	s->socket = b->socket;
	s->kvm = *b->kvm;
	ret = move_in(s, b, err);
	if (ret < 0)
		return ret;
	ret = handover_map(&s->made_for, b->state_fd, err);
	if (ret == 0)
		ret = machine_create(&s->machine, &s->kvm, &s->made_for.template.shape,
				     b->mailbox_fd, err);
	for (uint32_t i = 0; i < s->machine.vm.nvcpus && ret == 0; i++)
		ret = vcpu_adopt(&s->machine.vm.vcpus[i], err);
	if (ret < 0)
		return ret;
	close(b->state_fd);
	close(s->kvm.fd);
	s->kvm.fd = -1;
	return get_ready(s, b->filter, b->zygote, err);
}

/* ---- what it is asked ---- */

/* What the guest prints. Who does not want to read it any more is not waited for longer than
 * the guest's time lasts: the signal of its deadline interrupts this. */
static void shell_log(void *arg, uint32_t stream, const void *data, size_t len)
{
	const struct shell *s = arg;
	struct packet_msg msg = { .type = PACKET_LOG, .value = stream };

	for (size_t at = 0; at < len; at += PACKET_MAX_DATA) {
		struct packet_parts parts = { .data = (const uint8_t *)data + at,
					      .len = MIN(len - at, (size_t)PACKET_MAX_DATA) };

		if (packet_offer(s->socket, &msg, &parts, 0) < 0)
			return;
	}
}

/* The template of the machine that comes: the one the shell was made for, or another. */
static int take_template(struct shell *s, const struct packet_msg *msg,
			 const struct packet_parts *parts, struct err *err)
{
	bool has_state = msg->value & PACKET_START_STATE;
	uint32_t drives = has_state ? 2 : 1; /* the first of them */
	int ret;

	if (s->has_machine || parts->nfds < drives)
		return err_set(err, EINVAL, "a start with %u descriptors%s", parts->nfds,
			       s->has_machine ? ", the second one" : "");
	if (has_state) {
		ret = handover_map(&s->started, parts->fds[1], err);
		if (ret < 0)
			return ret;
		if (!handover_same_shape(&s->made_for.template, &s->started.template))
			return err_set(err, EINVAL, "a machine of another shape");
	}
	s->template = has_state ? s->started.template : s->made_for.template;
	s->template.memory_fd = parts->fds[0];
	return disks_adopt(&s->template.disks, parts->fds + drives, parts->nfds - drives, err);
}

static int shell_start(struct shell *s, const struct packet_msg *msg,
		       struct packet_parts *parts, struct err *err)
{
	int ret = take_template(s, msg, parts, err);

	if (ret < 0)
		return ret;
	if (msg->value & PACKET_START_LOGS)
		s->machine.mailbox->ops = (struct mailbox_ops){ .log = shell_log, .arg = s };
	machine_log_serial(&s->machine);
	ret = restore(&s->machine, &s->template, &tier_map, &s->phases, err);
	s->has_machine = ret == 0;
	parts->nfds = 0; /* kept: a rewind maps the memory again */
	return ret;
}

static void shell_invoke(struct shell *s, const struct packet_msg *msg,
			 struct packet_msg *answer)
{
	struct invocation inv = { .len = (size_t)msg->value, .deadline = msg->deadline };
	struct mailbox_reply reply;
	bool first = s->phases.at[PHASE_FIRST_RESPONSE] == 0;

	answer->type = PACKET_REPLY;
	answer->ret = machine_invoke(&s->machine, &inv, &reply, first ? &s->phases : NULL,
				     &answer->err);
	if (answer->ret == 0)
		answer->value = reply.len;
	answer->crashed = s->machine.mailbox->stop == MAILBOX_CRASH;
	answer->phases = s->phases;
}

static int ready_rewind(struct shell *s, struct err *err)
{
	int ret;

	if (s->is_rewindable)
		return 0;
	ret = rewind_open_with(&s->rewind, &s->machine, &s->template, s->pages, err);
	s->is_rewindable = ret == 0;
	return ret;
}

static void shell_rewind(struct shell *s, const struct packet_msg *msg,
			 struct packet_msg *answer)
{
	int ret = ready_rewind(s, &answer->err);

	worker_lock(&s->machine.vm.worker);
	if (ret == 0)
		ret = rewind_machine(&s->rewind, &s->machine, &answer->err);
	s->phases = (struct phases){ 0 };
	phase_mark(&s->phases, PHASE_RELEASED);
	if (ret == 0 && msg->value != 0)
		ret = rewind_verify(&s->rewind, &s->machine, &answer->err);
	worker_unlock(&s->machine.vm.worker);
	answer->type = PACKET_REWOUND;
	answer->ret = ret;
	answer->phases = s->phases;
	answer->rewinds = s->rewind.stats;
	s->phases = (struct phases){ 0 };
}

static void shell_fork(struct shell *s, const struct packet_parts *parts,
		       struct packet_msg *answer)
{
	const struct pages *pages = s->is_rewindable ? &s->rewind.pages : &s->pages;

	answer->type = PACKET_FORKED;
	answer->ret = parts->nfds == 1
			      ? fork_send(&s->machine, pages, parts->fds[0], &answer->err)
			      : err_set(&answer->err, EINVAL, "a fork with %u descriptors",
					parts->nfds);
}

/* The answer to @msg; .type 0: there is none to give. */
static void shell_do(struct shell *s, const struct packet_msg *msg, struct packet_parts *parts,
		     struct packet_msg *answer)
{
	if (msg->type == PACKET_INVOKE && s->has_machine) {
		shell_invoke(s, msg, answer);
	} else if (msg->type == PACKET_REWIND && s->has_machine) {
		shell_rewind(s, msg, answer);
	} else if (msg->type == PACKET_FORK && s->has_machine) {
		shell_fork(s, parts, answer);
	} else {
		answer->ret = msg->type == PACKET_START
				      ? shell_start(s, msg, parts, &answer->err)
				      : err_set(&answer->err, EPROTO, "no such request: %u",
						msg->type);
		answer->type = answer->ret < 0 ? PACKET_FAILED : 0;
	}
}

static int tell_failure(int fd, int ret, const struct err *err)
{
	struct packet_msg msg = { .type = PACKET_FAILED, .ret = ret, .err = *err };

	return packet_send(fd, &msg, NULL, 0);
}

int shell_main(const struct shell_birth *b)
{
	static struct shell s = { .pages.pagemap_fd = -1 };
	static uint8_t buf[PACKET_MAX_DATA];
	struct err err = { 0 };
	int ret = shell_make(&s, b, &err);

	if (ret < 0 && tell_failure(b->socket, ret, &err) < 0)
		ret = -EPIPE;
	while (ret == 0) {
		struct packet_msg msg, answer = { 0 };
		struct packet_parts parts = { .nfds = PACKET_MAX_FDS }; /* PACKET_START */

		ret = packet_recv(s.socket, &msg, &parts, buf, 0);
		if (ret <= 0)
			break;
		shell_do(&s, &msg, &parts, &answer);
		packet_close_fds(&parts);
		ret = answer.type == 0 ? 0 : packet_send(s.socket, &answer, NULL, 0);
		/* A machine whose restore or rewind failed is of no use any more. */
		if (answer.type == PACKET_FAILED ||
		    (answer.type == PACKET_REWOUND && answer.ret < 0))
			break;
	}
	return ret < 0 ? 1 : 0;
}
