/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/util.h"
#include "tools/thaw/cmd.h"

#define PROGRAM	   "qemu-system-x86_64"
#define ROM_SIZE   65536u
#define ROM_RESET  0xfff0u /* the first instruction: SDM vol. 3A, 9.1.4 */
#define ANSWER_MS  10000   /* ours: longer than any start; a hang becomes an error */
#define MONITOR_FD 3	   /* in QEMU */

extern char **environ;

/* A running QEMU and what its monitor said that was not looked at yet. */
struct monitor {
	pid_t pid;
	int fd;
	size_t len;
	char text[8192];
};

static int start(struct monitor *m, const struct qemu *q, const char *incoming, struct err *err)
{
	const char *const argv[] = { PROGRAM,
				     "-M",
				     "microvm",
				     "-accel",
				     "kvm",
				     "-m",
				     "64",
				     "-bios",
				     q->rom,
				     "-display",
				     "none",
				     "-nodefaults",
				     "-no-user-config",
				     "-chardev",
				     "socket,id=m,fd=3",
				     "-mon",
				     "chardev=m,mode=control",
				     incoming ? "-incoming" : NULL,
				     incoming,
				     NULL };
	posix_spawn_file_actions_t files;
	int pair[2], ret;

	m->len = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "make a socket pair");
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, pair[1], MONITOR_FD);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	ret = posix_spawnp(&m->pid, PROGRAM, &files, NULL, (char *const *)(uintptr_t)argv,
			   environ);
	posix_spawn_file_actions_destroy(&files);
	close(pair[1]);
	m->fd = pair[0];
	if (ret == 0)
		return 0;
	close(pair[0]);
	return err_set(err, ret, "start %s: %s", PROGRAM, strerrordesc_np(ret));
}

static void stop(struct monitor *m)
{
	kill(m->pid, SIGKILL);
	waitpid(m->pid, NULL, 0);
	close(m->fd);
}

static int say(const struct monitor *m, const char *line, struct err *err)
{
	size_t len = strlen(line);

	if (send(m->fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		return err_sys(err, "write to %s", PROGRAM);
	return 0;
}

/* Wait until the monitor has said @either or @or (NULL: none); what came is dropped then.
 * Returns 0 for the first, 1 for the second. */
static int hear(struct monitor *m, const char *either, const char * or, struct err *err)
{
	for (;;) {
		struct pollfd p = { .fd = m->fd, .events = POLLIN };
		ssize_t n;

		m->text[m->len] = '\0';
		if (strstr(m->text, either) || (or &&strstr(m->text, or))) {
			m->len = 0;
			return strstr(m->text, either) ? 0 : 1;
		}
		if (m->len == sizeof(m->text) - 1)
			m->len = 0; /* chatter */
		if (poll(&p, 1, ANSWER_MS) <= 0)
			return err_set(err, EIO, "%s did not say '%s' in %d ms", PROGRAM,
				       either, ANSWER_MS);
		n = read(m->fd, m->text + m->len, sizeof(m->text) - 1 - m->len);
		if (n <= 0)
			return err_set(err, EIO, "%s ended before it said '%s'", PROGRAM,
				       either);
		m->len += (size_t)n;
	}
}

static int make_rom(const struct qemu *q, struct err *err)
{
	static const uint8_t halt[] = { 0xf4, 0xeb, 0xfd }; /* hlt; jmp back to it */
	static const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 }; /* ljmp f000:0 */
	uint8_t rom[4096] = { 0 };
	auto_close int fd = open(q->rom, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && ftruncate(fd, ROM_SIZE) == 0;

	memcpy(rom, halt, sizeof(halt));
	ok = ok && pwrite(fd, rom, sizeof(rom), 0) == sizeof(rom) &&
	     pwrite(fd, reset, sizeof(reset), ROM_RESET) == sizeof(reset);
	return ok ? 0 : err_sys(err, "write %s", q->rom);
}

/* Write the state of the running guest out, wait until that is done. It is not stopped before:
 * a guest that was would not go on by itself when it is thawed. */
static int freeze(struct monitor *m, const struct qemu *q, struct err *err)
{
	char line[400];
	int ret = say(m, "{'execute':'qmp_capabilities'}", err);

	snprintf(line, sizeof(line), "{'execute':'migrate','arguments':{'uri':'exec:cat >%s'}}",
		 q->frozen);
	if (ret == 0)
		ret = hear(m, "\"return\"", NULL, err);
	if (ret == 0)
		ret = say(m, line, err);
	while (ret == 0) {
		ret = say(m, "{'execute':'query-migrate'}", err);
		if (ret == 0)
			ret = hear(m, "\"completed\"", "\"status\"", err);
		if (ret <= 0)
			return ret;
		ret = 0;
		usleep(10000); /* not part of any sample */
	}
	return ret;
}

int qemu_open(struct qemu *q, const char *scratch, struct thaw_err *err)
{
	static struct monitor m;
	int ret;

	snprintf(q->rom, sizeof(q->rom), "%.80s/qemu.rom", scratch);
	snprintf(q->frozen, sizeof(q->frozen), "%.80s/qemu.state", scratch);
	ret = make_rom(q, cmd_err(err));
	if (ret == 0)
		ret = start(&m, q, NULL, cmd_err(err));
	if (ret < 0)
		return ret;
	ret = freeze(&m, q, cmd_err(err));
	stop(&m);
	return ret;
}

int qemu_sample(void *arg, double *us, struct thaw_err *err)
{
	static struct monitor m;
	const struct qemu *q = arg;
	char incoming[160];
	nsec_t from;
	int ret;

	snprintf(incoming, sizeof(incoming), "exec:cat %s", q->frozen);
	from = clock_monotonic();
	ret = start(&m, q, incoming, cmd_err(err));
	if (ret < 0)
		return ret;
	/* It may run before it heard that we want events: then it says so when asked. */
	ret = say(&m, "{'execute':'qmp_capabilities'}{'execute':'query-status'}", cmd_err(err));
	if (ret == 0)
		ret = hear(&m, "\"RESUME\"", "\"status\": \"running\"", cmd_err(err));
	*us = (double)(clock_monotonic() - from) / 1e3;
	stop(&m);
	return ret < 0 ? ret : 0;
}
