/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_guest.h - the options that describe a Linux guest, and the files that it boots from.
 *
 * Without --kernel and --initrd it is ours (guest/linux), from $THAW_LINUX or from where `make
 * linux-guest` or `make install` left it. Drives named root, upper and data are what our init takes
 * for the root file system, for what is written above it, and for /data.
 */
#pragma once

#include <getopt.h>
#include <stdbool.h>

#include "engine/boot_linux.h"
#include "snapshot/manifest.h"
#include "tools/thaw/blob.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/drive_option.h"

struct linux_guest {
	bool wanted;		     /* --linux, or any of the others */
	const char *kernel, *initrd; /* NULL: ours */
	const char *cmdline;	     /* more of it; NULL: none */
	enum linux_entry entry;
	uint32_t ndrives;
	struct drive_option drives[MANIFEST_MAX_DRIVES];
};

enum { OPT_LINUX = 512, OPT_KERNEL, OPT_INITRD, OPT_ROOTFS, OPT_CMDLINE, OPT_DRIVE, OPT_ENTRY };

#define LINUX_GUEST_OPTIONS                                                                    \
	{ "linux", no_argument, NULL, OPT_LINUX },                                             \
		{ "kernel", required_argument, NULL, OPT_KERNEL },                             \
		{ "initrd", required_argument, NULL, OPT_INITRD },                             \
		{ "rootfs", required_argument, NULL, OPT_ROOTFS },                             \
		{ "cmdline", required_argument, NULL, OPT_CMDLINE },                           \
		{ "drive", required_argument, NULL, OPT_DRIVE },                               \
	{                                                                                      \
		"entry", required_argument, NULL, OPT_ENTRY                                    \
	}

#define LINUX_GUEST_HELP                                                                       \
	"  --linux            a Linux guest, not kindling\n"                                   \
	"  --kernel FILE      its kernel, vmlinux or bzImage (ours)\n"                         \
	"  --initrd FILE      its initrd, which brings its program (ours, with PROGRAM)\n"     \
	"  --rootfs FILE      its root file system: PROGRAM is in it\n"                        \
	"  --drive ID=FILE[,ro|,rw|,overlay][,serial=TEXT][,bytes=SIZE[+BURST]]"               \
	"[,ops=N[+BURST]]\n"                                                                   \
	"                     a disk, and what a machine may take of it in a second; "         \
	"repeatable\n"                                                                         \
	"  --cmdline TEXT     more of the kernel's command line\n"                             \
	"  --entry pvh|64     how the kernel is entered\n"

/*
 * linux_guest_option - take one of LINUX_GUEST_OPTIONS. @writable: the mode of a drive that says
 * nothing. Returns 0 or an exit code.
 */
int linux_guest_option(struct linux_guest *g, const struct cmd *cmd, int opt, const char *value,
		       enum drive_mode writable);
void linux_guest_fini(struct linux_guest *g);

/* What is to run in it. */
struct linux_program {
	const char *const *argv; /* argv[0]: a file of this host, or of the root file system */
	const char *const *envp;
	const char *files; /* as of initrd.h */
	bool terminal;	   /* on the console, and without events */
};

/* What it runs on. */
struct linux_host {
	bool is_slow;	    /* in ring 0: our kernel for such hosts */
	const char *quirks; /* arguments that a kernel needs here; "": none */
	uint32_t nvirtio;   /* places of the board with a virtio device */
};

/* What it boots from. Zeroed; linux_guest_files_free in every case. */
struct linux_files {
	struct blob kernel, initrd;
	char *cmdline;
};

/*
 * linux_guest_files - read the kernel, make the initrd and the command line.
 * Errors: the file system's; -ENOENT ours is not there, and how to get it; -EFBIG.
 */
int linux_guest_files(const struct linux_guest *g, const struct linux_program *p,
		      const struct linux_host *host, struct linux_files *out,
		      struct err *err) must_check;
void linux_guest_files_free(struct linux_files *f);
