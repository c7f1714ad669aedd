/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LOG "zygote"
#include "engine/fds.h"
#include "engine/findings.h"
#include "engine/log.h"
#include "engine/vcpu.h"
#include "snapshot/cell.h"
#include "snapshot/shell.h"

#define RESERVED_FDS UINT64_C(4096) /* ours: shells beyond them make the table grow */
/* Ours: getting ready takes milliseconds, on an emulated host seconds. */
#define READY_PATIENCE_MS 10000
/* Ours: it waits for the ends of all of its shells, of which there may be thousands. */
#define END_PATIENCE_MS 60000

/* A shell that lives. */
struct child {
	pid_t pid;
	uint32_t id; /* of its cell */
	int socket;  /* the shell's own end */
};

/* The zygote's own process. */
struct nursery {
	int socket; /* to the caller */
	int pidfd;  /* of this process */
	struct kvm kvm;
	struct filter filter;
	struct cells cells;
	struct child *children;
	size_t n, cap;
};

/* ---- the zygote's process: getting ready ---- */

/* The caller's handlers are not ours to run. What a terminal sends to all of a group is for
 * the caller, who ends us by closing the socket. */
static void reset_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	sigset_t mask;

	for (int sig = 1; sig < SIGRTMAX; sig++) {
		if (sig != VCPU_SIGNAL) /* may be installed already, and stays as it is */
			signal(sig, SIG_DFL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD); /* comes through while we wait, see nursery_wait */
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* Close all but @keep, the descriptor that becomes number 3; nothing to read, nothing to write
 * to but stderr, where an assertion speaks until there is a guest (shell.c). */
static int keep_one(int keep, struct err *err)
{
	/* Above the places that are filled next: a caller may have had its own standard
	 * descriptors closed. */
	int high = fcntl(keep, F_DUPFD_CLOEXEC, 4);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (high < 0 || null < 0)
		return err_sys(err, "open /dev/null");
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup3(high, 3, O_CLOEXEC);
	if (close_range(4, ~0u, 0) < 0)
		return err_sys(err, "close_range");
	return 0;
}

/* One descriptor for each shell, and a table that does not grow later. */
static void reserve_fds(void)
{
	uint64_t limit = fds_raise_limit();

	fds_reserve(MIN(limit, RESERVED_FDS));
}

static int nursery_init(struct nursery *n, const struct cell_range *range, struct err *err)
{
	struct findings findings;
	int ret;

	log_set_level(LOG_ERROR); /* nobody reads ours, and a thread may have had it locked */
	reset_signals();
	setsid(); /* no terminal is anything to us or to our shells */
	ret = keep_one(n->socket, err);
	n->socket = 3;
	if (ret < 0)
		return ret;
	reserve_fds();
	ret = kvm_open(&n->kvm, err);
	if (ret == 0)
		ret = findings_get(&n->kvm, &findings, err);
	if (ret == 0)
		ret = filter_init(&n->filter, err);
	if (ret == 0)
		ret = cells_open(&n->cells, range, err);
	if (ret < 0)
		return ret;
	n->pidfd = pidfd_open(getpid(), 0);
	return n->pidfd < 0 ? err_sys(err, "pidfd_open of the zygote") : 0;
}

/* ---- the zygote's process: shells ---- */

/* Close all but the @n descriptors of @keep, which may have -1 among them. */
static void keep_these(int *const *keep, unsigned int n)
{
	/* To places above all of them, then to 3, 4, 5 and so on: so a range is what is closed. */
	for (unsigned int i = 0; i < n; i++)
		*keep[i] = fcntl(*keep[i], F_DUPFD_CLOEXEC, 3 + (int)n);
	for (unsigned int i = 0; i < n; i++) {
		*keep[i] = dup3(*keep[i], 3 + (int)i, O_CLOEXEC);
		if (*keep[i] < 0)
			close(3 + (int)i);
	}
	close_range(3 + n, ~0u, 0);
}

/* @parts: PACKET_MAKE_FDS descriptors that nothing else has. */
_Noreturn static void be_shell(struct nursery *n, const struct packet_parts *parts, uint32_t id)
{
	struct shell_birth b = { .kvm = &n->kvm,
				 .filter = &n->filter,
				 .cells = &n->cells,
				 .cell = id,
				 .socket = parts->fds[PACKET_MAKE_SOCKET],
				 .state_fd = parts->fds[PACKET_MAKE_STATE],
				 .mailbox_fd = parts->fds[PACKET_MAKE_MAILBOX],
				 .zygote = n->pidfd };
	int *const keep[] = { &b.socket, &b.state_fd, &b.mailbox_fd,
			      &b.zygote, &n->kvm.fd,  &n->cells.mounts };
	sigset_t none;

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	keep_these(keep, ARRAY_SIZE(keep));
	_exit(shell_main(&b));
}

static bool reserve_child(struct nursery *n)
{
	size_t cap = n->cap ? 2 * n->cap : 64;
	struct child *children;

	if (n->n < n->cap)
		return true;
	children = realloc(n->children, cap * sizeof(*children));
	if (!children)
		return false;
	n->children = children;
	n->cap = cap;
	return true;
}

static int make_shell(struct nursery *n, struct packet_parts *parts, struct err *err)
{
	int *socket = &parts->fds[PACKET_MAKE_SOCKET];
	uint32_t id;
	pid_t pid;
	int ret;

	if (!reserve_child(n))
		return err_set(err, ENOMEM, "no memory to note a shell");
	ret = cells_take(&n->cells, &id, err);
	if (ret < 0)
		return ret;
	pid = cells_fork(&n->cells);
	if (pid == 0)
		be_shell(n, parts, id);
	if (pid < 0) {
		ret = err_sys(err, "fork a shell");
		cells_give(&n->cells, id);
		return ret;
	}
	n->children[n->n++] = (struct child){ .pid = pid, .id = id, .socket = fd_take(socket) };
	return 0;
}

static void nursery_make(struct nursery *n, struct packet_parts *parts)
{
	struct packet_msg msg = { .type = PACKET_FAILED };

	msg.ret = make_shell(n, parts, &msg.err);
	if (msg.ret < 0 &&
	    packet_send(parts->fds[PACKET_MAKE_SOCKET], &msg, NULL, MSG_DONTWAIT) < 0)
		log_debug("nobody hears that there is no shell");
}

/* Say on its socket how a shell ended, and forget it. */
static void bury(struct nursery *n, pid_t pid, int status)
{
	struct packet_msg msg = { .type = PACKET_DIED, .value = (uint64_t)status };

	for (size_t i = 0; i < n->n; i++) {
		if (n->children[i].pid != pid)
			continue;
		/* A caller that is gone, or does not read what it was sent, finds it closed. */
		if (packet_send(n->children[i].socket, &msg, NULL, MSG_DONTWAIT) < 0)
			log_debug("nobody hears that shell %d ended", pid);
		close(n->children[i].socket);
		cells_give(&n->cells, n->children[i].id);
		n->children[i] = n->children[--n->n];
		return;
	}
}

/* In this order: when a process is there no more, its socket says so. */
static void reap(struct nursery *n)
{
	siginfo_t ended = { 0 };

	while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid > 0) {
		bury(n, ended.si_pid,
		     ended.si_code == CLD_EXITED ? ended.si_status << 8 : ended.si_status);
		waitpid(ended.si_pid, NULL, 0);
		ended.si_pid = 0;
	}
}

static void on_child(int sig)
{
	(void)sig;
}

/* Until the caller wants something, is gone, or a shell ended. SIGCHLD comes only here. */
static bool nursery_wait(const struct nursery *n)
{
	struct pollfd p = { .fd = n->socket, .events = POLLIN };
	sigset_t open;

	sigemptyset(&open);
	return ppoll(&p, 1, NULL, &open) > 0;
}

static void nursery_run(struct nursery *n)
{
	struct packet_parts parts;
	struct packet_msg msg;
	uint8_t buf[PACKET_MAX_DATA];

	signal(SIGCHLD, on_child);
	for (;;) {
		bool asked = nursery_wait(n);

		parts.nfds = PACKET_MAKE_FDS;
		reap(n);
		if (!asked)
			continue;
		if (packet_recv(n->socket, &msg, &parts, buf, MSG_DONTWAIT) <= 0)
			return;
		if (msg.type == PACKET_MAKE && parts.nfds == PACKET_MAKE_FDS)
			nursery_make(n, &parts);
		for (unsigned int i = 0; i < parts.nfds; i++)
			fd_cleanup(&parts.fds[i]);
	}
}

/* In the zygote's process. */
_Noreturn static void nursery_main(int socket, const struct cell_range *cells)
{
	static struct nursery n;
	struct packet_msg msg = { .type = PACKET_ZYGOTE };

	n.socket = socket;
	msg.ret = nursery_init(&n, cells, &msg.err);
	if (packet_send(n.socket, &msg, NULL, 0) < 0 || msg.ret < 0)
		_exit(1);
	nursery_run(&n);
	/* Not by our death only: whoever waits for us finds no shell afterwards. */
	for (size_t i = 0; i < n.n; i++)
		kill(n.children[i].pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	_exit(0);
}

/* ---- the caller's side ---- */

static int await_ready(const struct zygote *z, struct err *err)
{
	struct packet_msg msg;
	int ret;

	if (fds_wait_readable(z->socket, clock_deadline(READY_PATIENCE_MS)) == 0) {
		pidfd_send_signal(z->pidfd, SIGKILL, NULL, 0);
		return err_set(err, ERR_TIMED_OUT, "the zygote was not ready after %d ms",
			       READY_PATIENCE_MS);
	}
	ret = packet_recv(z->socket, &msg, NULL, NULL, 0);
	if (ret <= 0)
		return err_set(err, EPIPE, "the zygote died before it was ready");
	if (msg.ret < 0)
		return err_set(err, -msg.ret, "zygote: %s", msg.err.text);
	return 0;
}

int zygote_open(struct zygote *z, const struct cell_range *cells, struct err *err)
{
	int pair[2], ret;

	*z = (struct zygote){ .socket = -1, .pidfd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair for a zygote");
	z->pid = fork();
	if (z->pid == 0)
		nursery_main(pair[1], cells);
	close(pair[1]);
	z->socket = pair[0];
	if (z->pid < 0) {
		ret = err_sys(err, "fork a zygote");
		zygote_close(z);
		return ret;
	}
	z->pidfd = pidfd_open(z->pid, 0);
	ret = z->pidfd < 0 ? err_sys(err, "pidfd_open of the zygote") : await_ready(z, err);
	if (ret < 0)
		zygote_close(z);
	return ret;
}

void zygote_close(struct zygote *z)
{
	if (z->socket >= 0)
		close(z->socket);
	/* It has only to kill and reap; its shells do not outlive it either way. */
	if (z->pidfd >= 0 && fds_wait_readable(z->pidfd, clock_deadline(END_PATIENCE_MS)) == 0)
		pidfd_send_signal(z->pidfd, SIGKILL, NULL, 0);
	while (z->pid > 0 && waitpid(z->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (z->pidfd >= 0)
		close(z->pidfd);
	*z = (struct zygote){ .socket = -1, .pidfd = -1 };
}

int zygote_make(const struct zygote *z, int state_fd, int mailbox_fd, struct err *err)
{
	struct packet_msg msg = { .type = PACKET_MAKE };
	struct packet_parts parts = { .nfds = PACKET_MAKE_FDS };
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair for a shell");
	parts.fds[PACKET_MAKE_SOCKET] = pair[1];
	parts.fds[PACKET_MAKE_STATE] = state_fd;
	parts.fds[PACKET_MAKE_MAILBOX] = mailbox_fd;
	ret = packet_send(z->socket, &msg, &parts, 0);
	close(pair[1]);
	if (ret == 0)
		return pair[0];
	close(pair[0]);
	if (ret == -EPIPE || ret == -ECONNRESET)
		return err_set(err, EPIPE, "the zygote has died");
	return err_set(err, -ret, "ask the zygote for a shell: %s", strerrordesc_np(-ret));
}

bool zygote_lives(const struct zygote *z)
{
	return fds_wait_readable(z->pidfd, 0) == 0;
}
