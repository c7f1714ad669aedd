/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/clock.h"
#include "tools/thaw/cmd.h"

static const char event[] = "ping";

int spawn_open(struct spawn *s, const char *guest, struct thaw_err *err)
{
	*s = (struct spawn){ .event = { -1, -1 }, .reply = { -1, -1 } };
	snprintf(s->program, sizeof(s->program), "%.200s/bench/answer", guest);
	if (access(s->program, X_OK) < 0)
		return err_sys(cmd_err(err), "%s", s->program);
	if (pipe2(s->event, O_CLOEXEC) < 0 || pipe2(s->reply, O_CLOEXEC) < 0)
		return err_sys(cmd_err(err), "make a pipe");
	return 0;
}

void spawn_close(struct spawn *s)
{
	for (int i = 0; i < 2; i++) {
		if (s->event[i] >= 0)
			close(s->event[i]);
		if (s->reply[i] >= 0)
			close(s->reply[i]);
	}
}

/* Start it and wait for its end. Returns 0 or an errno. */
static int start(const struct spawn *s, int *status)
{
	const char *const argv[] = { "answer", NULL };
	char *const env[] = { NULL };
	posix_spawn_file_actions_t files;
	pid_t pid;
	int ret;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, s->event[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, s->reply[1], STDOUT_FILENO);
	ret = posix_spawn(&pid, s->program, &files, NULL, (char *const *)(uintptr_t)argv, env);
	if (ret == 0 && waitpid(pid, status, 0) < 0)
		ret = errno;
	posix_spawn_file_actions_destroy(&files);
	return ret;
}

int spawn_sample(void *arg, double *us, struct thaw_err *err)
{
	const struct spawn *s = arg;
	char reply[sizeof(event)] = "";
	nsec_t from = clock_monotonic();
	int ret, status = 0;

	if (write(s->event[1], event, sizeof(event)) != sizeof(event))
		return err_sys(cmd_err(err), "write the event to a pipe");
	ret = start(s, &status);
	if (ret != 0)
		return err_set(cmd_err(err), ret, "posix_spawn of %s: %s", s->program,
			       strerrordesc_np(ret));
	if (status != 0 || read(s->reply[0], reply, sizeof(reply)) != sizeof(reply))
		return err_set(cmd_err(err), EIO, "%s did not answer", s->program);
	*us = (double)(clock_monotonic() - from) / 1e3;
	if (memcmp(reply, event, sizeof(event)) != 0)
		return err_set(cmd_err(err), EIO, "%s answered wrongly", s->program);
	return 0;
}
