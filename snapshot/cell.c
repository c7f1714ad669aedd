/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/cell.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/err.h"

/* ---- what all cells share ---- */

static int check_range(const struct cell_range *r, struct err *err)
{
	uint64_t end = (uint64_t)r->first_id + r->count;

	/* 0 is root; the last one means "leave it as it is" (setresuid(2)). */
	if (r->first_id == 0 || r->count == 0 || end > UINT32_MAX)
		return err_set(err, EINVAL, "%u users from %u on: expected some of 1 to %u",
			       r->count, r->first_id, UINT32_MAX - 1);
	if (geteuid() >= r->first_id && geteuid() < end)
		return err_set(err, EINVAL, "%u users from %u on: %u is who asks for them",
			       r->count, r->first_id, geteuid());
	return 0;
}

static int check_capabilities(struct err *err)
{
	/* clang-format off */
	static const struct {
		unsigned int number;
		const char *name;
	} needed[] = {
		{ CAP_SYS_ADMIN, "SYS_ADMIN" },	  /* namespaces, mounts */
		{ CAP_SYS_CHROOT, "SYS_CHROOT" }, /* setns(2) into other mounts */
		{ CAP_SETUID, "SETUID" },
		{ CAP_SETGID, "SETGID" },
		{ CAP_SETPCAP, "SETPCAP" },	  /* the bounding set */
		{ CAP_KILL, "KILL" },		  /* of other users: those in cells */
	};
	/* clang-format on */
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, has) < 0)
		return err_sys(err, "capget");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!(has[needed[i].number / 32].effective & 1u << needed[i].number % 32))
			return err_set(err, EPERM, "cells need root: CAP_%s is missing",
				       needed[i].name);
	}
	return 0;
}

/* In a mount namespace of this process alone: nothing but an empty root. */
static int empty_mounts(struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, "keep mounts to a cell");
	/* /proc is a directory that is there. The one inode is the root. */
	if (mount("cell", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=1,mode=555") < 0)
		return err_sys(err, "mount the root of a cell");
	/* Of an initramfs nobody can let go. */
	if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, "pivot_root to the root of a cell");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(err, "let go of the host's mounts");
	return 0;
}

/* Made once, and copied by each cell: a copy of one mount costs a twentieth of leaving all of
 * the host's. */
static int make_mounts(struct cells *c, struct err *err)
{
	auto_close int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int ret;

	if (own < 0)
		return err_sys(err, "open /proc/self/ns/mnt");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "unshare mounts");
	c->mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	ret = c->mounts < 0 ? err_sys(err, "open /proc/self/ns/mnt") : empty_mounts(err);
	if (ret == 0 && setns(own, CLONE_NEWNS) < 0)
		ret = err_sys(err, "setns back to our mounts");
	return ret;
}

/* Children inherit it, so it is dropped once. It bounds what execve(2) gives. */
static int drop_bounding_set(struct err *err)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(err, "PR_CAPBSET_DROP %lu", cap);
	}
	return 0;
}

int cells_open(struct cells *c, const struct cell_range *range, struct err *err)
{
	int ret;

	*c = (struct cells){ .processes = -1, .mounts = -1 };
	if (!range)
		return 0;
	ret = check_range(range, err);
	if (ret == 0)
		ret = check_capabilities(err);
	if (ret < 0)
		return ret;
	c->taken = calloc(range->count, 1);
	if (!c->taken)
		return err_set(err, ENOMEM, "no memory for %u users", range->count);
	c->range = *range;
	c->processes = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	ret = c->processes < 0 ? err_sys(err, "open /proc/self/ns/pid") : make_mounts(c, err);
	if (ret == 0)
		ret = drop_bounding_set(err);
	if (ret < 0)
		cells_close(c);
	return ret;
}

void cells_close(struct cells *c)
{
	fd_cleanup(&c->processes);
	fd_cleanup(&c->mounts);
	free(c->taken);
	*c = (struct cells){ .processes = -1, .mounts = -1 };
}

/* ---- ids ---- */

int cells_take(struct cells *c, uint32_t *id, struct err *err)
{
	*id = CELL_NONE;
	if (c->range.count == 0)
		return 0;
	for (uint32_t i = 0; i < c->range.count; i++) {
		uint32_t at = c->next;

		c->next = (at + 1) % c->range.count;
		if (c->taken[at])
			continue;
		c->taken[at] = 1;
		*id = c->range.first_id + at;
		return 0;
	}
	return err_set(err, EUSERS,
		       "all %u users of cells are those of processes that are there, or end",
		       c->range.count);
}

void cells_give(struct cells *c, uint32_t id)
{
	if (id != CELL_NONE)
		c->taken[id - c->range.first_id] = 0;
}

/* ---- one cell ---- */

pid_t cells_fork(const struct cells *c)
{
	pid_t pid;
	int error, back;

	if (c->range.count == 0)
		return fork();
	if (unshare(CLONE_NEWPID) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		return 0;
	error = errno;
	/* Else the next child would be in this one's: it is refused another one. */
	back = setns(c->processes, CLONE_NEWPID);
	assert(back == 0);
	errno = error;
	return pid;
}

static int leave_host(const struct cells *c, struct err *err)
{
	if (setns(c->mounts, CLONE_NEWNS) < 0)
		return err_sys(err, "setns to a cell's mounts");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_sys(err, "unshare the namespaces of a cell");
	return 0;
}

/* clang-format off */
static const struct {
	int what;
	rlim_t most;
	const char *name;
} limits[] = {
	/* ours: it has a dozen */
	{ RLIMIT_NOFILE, 64, "RLIMIT_NOFILE" },
	/* ours. Of the user: itself, KVM's thread in it, and whoever had the number before and is
	 * not quite gone, such as the shells of a zygote that was killed. */
	{ RLIMIT_NPROC, 64, "RLIMIT_NPROC" },
	/* a guest's memory would be in it */
	{ RLIMIT_CORE, 0, "RLIMIT_CORE" },
	{ RLIMIT_MEMLOCK, 0, "RLIMIT_MEMLOCK" },
	{ RLIMIT_MSGQUEUE, 0, "RLIMIT_MSGQUEUE" },
};
/* clang-format on */

static int set_limits(struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct rlimit limit = { limits[i].most, limits[i].most };

		if (setrlimit((__rlimit_resource_t)limits[i].what, &limit) < 0)
			return err_sys(err, "%s", limits[i].name);
	}
	return 0;
}

/* Last: nothing of the rest is allowed afterwards. */
static int become(uint32_t id, struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return err_sys(err, "become user %u", id);
	/* Who was not root keeps them, and inheritable ones everybody does. The ambient ones
	 * go with those. */
	if (syscall(SYS_capset, &head, none) < 0)
		return err_sys(err, "capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "PR_SET_NO_NEW_PRIVS");
	return 0;
}

int cell_enter(const struct cells *c, uint32_t id, struct err *err)
{
	int ret;

	if (id == CELL_NONE)
		return 0;
	ret = leave_host(c, err);
	if (ret == 0)
		ret = set_limits(err);
	return ret < 0 ? ret : become(id, err);
}
