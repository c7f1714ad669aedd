/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - what `build` and `boot` have in common: the options that describe a guest, and a
 * machine that is about to run its first instruction.
 */
#pragma once

#include <getopt.h>

#include "snapshot/disks.h"
#include "snapshot/machine.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/guest_serial.h"
#include "tools/thaw/linux_guest.h"

#define LAUNCH_MAX_ENV 256u /* --env options; ours */

struct launch {
	const char *mem_text; /* --mem; NULL: not given */
	uint64_t mem_size;    /* bytes */
	const char *files;    /* --files, a directory or a cpio archive; NULL: none */
	const char *env[LAUNCH_MAX_ENV + 1];
	uint32_t nenv;
	char **argv;		    /* PROGRAM [ARG]... */
	enum drive_mode drive_mode; /* of drives that say nothing */
	struct linux_guest linux_guest;

	struct kvm kvm;
	struct cpuid cpuid; /* of the vCPU */
	int mailbox_fd;
	struct disks disks; /* of the machine's drives */
	struct machine machine;
	struct guest_serial serial; /* of a Linux guest on the terminal */
};

/* To be put first in a command's list of long options. */
#define LAUNCH_OPTIONS                                                                         \
	LINUX_GUEST_OPTIONS, { "mem", required_argument, NULL, 'm' },                          \
		{ "files", required_argument, NULL, 'f' },                                     \
	{                                                                                      \
		"env", required_argument, NULL, 'e'                                            \
	}

#define LAUNCH_HELP                                                                            \
	"  --mem SIZE         guest memory, 16M to 3G (64M); of Linux 32M to 256G (128M)\n"    \
	"  --files DIR|CPIO   files that the program can read, as /...\n"                      \
	"  --env NAME=VALUE   a variable of the program's environment; "                       \
	"repeatable\n" LINUX_GUEST_HELP

void launch_init(struct launch *l);

/* Take one of LAUNCH_OPTIONS. Returns 0 or an exit code. */
int launch_option(struct launch *l, const struct cmd *cmd, int opt, const char *value);

/* All options were taken: do they go together? Returns 0 or an exit code. */
int launch_check(struct launch *l, const struct cmd *cmd);

/*
 * launch_boot - make the machine and put the guest in, ready for machine_run().
 * @mode: enum abi_boot_mode; @ops: what the mailbox does for the guest.
 * launch_fini is safe afterwards in every case.
 */
int launch_boot(struct launch *l, uint32_t mode, const struct mailbox_ops *ops,
		struct err *err) must_check;
/* For an image's manifest. */
const char *launch_kind(const struct launch *l);

/* The program's name as the guest sees it, without folders; where none is given, that of the initrd
 * which brings its own. */
const char *launch_name(const struct launch *l);

/* If the guest crashed, print its registers on stderr. */
void launch_print_crash(const struct launch *l);
void launch_fini(struct launch *l);
