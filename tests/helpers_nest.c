/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_nest.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct thaw_cells *cells;

void nest_in_cells(const struct thaw_cells *c)
{
	cells = c;
}

const char *nest_no_cells(void)
{
	struct statfs root;
	int status;
	pid_t pid = fork();

	/* In a container root may be without the privilege. */
	if (pid == 0)
		_exit(geteuid() == 0 && unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 ? 0 : 1);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return "cells need root, with CAP_SYS_ADMIN";
	/* proc(5): the root that was there first, of which nobody can let go */
	if (statfs("/", &root) == 0 &&
	    (root.f_type == RAMFS_MAGIC || root.f_type == TMPFS_MAGIC))
		return "cells need a root that is no initramfs";
	return NULL;
}

void nest_begin(struct nest *n, const char *program)
{
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_zygote_open(&n->zygote, 0, cells, &err), 0), "%s", err.text);
	frozen_make(&n->f, guest_path(program));
	n->template = NULL;
	cr_assert(eq(int, thaw_host_open(&n->host, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_image_open(&n->image, n->f.dir, &err), 0), "%s", err.text);
	nest_take_tier(n, "map");
}

void nest_take_tier(struct nest *n, const char *tier)
{
	struct thaw_err err = { 0 };

	thaw_template_close(n->template);
	n->template = NULL;
	cr_assert(
		eq(int, thaw_template_open(&n->template, n->host, n->image, tier, 2, &err), 0),
		"%s: %s", tier, err.text);
}

void nest_make(struct nest *n, const char *program, unsigned int slots)
{
	struct thaw_err err = { 0 };

	nest_begin(n, program);
	cr_assert(eq(int,
		     thaw_pool_open(&n->pool, n->zygote, n->template, slots, 1 << 20, &err), 0),
		  "%s", err.text);
}

void nest_free(struct nest *n)
{
	thaw_pool_close(n->pool);
	thaw_template_close(n->template);
	thaw_image_close(n->image);
	thaw_host_close(n->host);
	thaw_zygote_close(n->zygote);
	frozen_free(&n->f);
}

struct thaw_slot *nest_start(struct nest *n)
{
	struct thaw_slot *slot = NULL;
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_slot_start(&slot, n->pool, NULL, NULL, NULL, &err), 0), "%s",
		  err.text);
	return slot;
}

void nest_ask(struct thaw_slot *slot, const char *event)
{
	struct thaw_reply reply = { 0 };
	struct thaw_err err = { 0 };
	int ret = thaw_slot_invoke(slot, event, strlen(event), NEST_TIMEOUT_MS, &reply, &err);

	cr_assert(eq(int, ret, 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, strlen(event)));
	cr_assert(eq(int, memcmp(reply.data, event, reply.len), 0));
}

struct thaw_slot *nest_of_one(struct nest *n, pid_t *pid)
{
	struct thaw_slot *slot;

	nest_make(n, "echo", 1);
	slot = nest_start(n);
	nest_ask(slot, "there?");
	*pid = thaw_slot_pid(slot);
	return slot;
}

int nest_children(pid_t pid, pid_t *children, int max)
{
	char path[64];
	int n = 0;
	pid_t child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1) {
		if (n < max)
			children[n] = child;
		n++;
	}
	if (f)
		fclose(f);
	return n;
}

void nest_settle(const struct nest *n, int shells)
{
	pid_t zygote = thaw_zygote_pid(n->zygote);

	for (unsigned int ms = 0; ms < slow() * 5000 && nest_children(zygote, NULL, 0) > shells;
	     ms++)
		usleep(1000);
	cr_assert(eq(int, nest_children(zygote, NULL, 0), shells));
}

bool nest_is_gone(pid_t pid)
{
	char path[64], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return true;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z'; /* it went while we looked */
	fclose(f);
	return state == 'Z' || state == 'X';
}

void nest_wait_gone(pid_t pid)
{
	for (unsigned int ms = 0; ms < slow() * 10000 && !nest_is_gone(pid); ms++)
		usleep(1000);
	cr_assert(nest_is_gone(pid), "process %d is still there", pid);
}
