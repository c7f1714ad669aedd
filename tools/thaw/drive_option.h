/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive_option.h - what follows --drive: ID=FILE, and behind it
 *
 *	,ro  ,rw  ,overlay	what becomes of what the machine writes
 *	,serial=TEXT		up to 20 printable bytes
 *	,bytes=SIZE[+BURST]	read and written in a second, at most
 *	,ops=N[+BURST]		requests in a second, at most
 *
 * in any order. They are cut from the end, each of them once; what is left is the file, so that its
 * name may have commas. What looks like an option and is none is part of the name, and most likely
 * no file has it.
 */
#pragma once

#include <stdbool.h>

#include "snapshot/disks.h"
#include "tools/thaw/cmd.h"

/* What the drive is for, and so which options there may be. */
enum drive_use {
	DRIVE_TO_BOOT, /* all */
	DRIVE_TO_START /* the limits; FILE may be empty: that of the image */
};

struct drive_option {
	char *text;	       /* owned: what the spec points into */
	struct disk_spec spec; /* .path "": the image's */
	bool has_bytes, has_ops;
};

/*
 * drive_option_parse - @out: zeroed, with the mode that it has if nothing is said; for
 * drive_option_free in every case. Returns 0, or EXIT_USAGE after saying what is wrong.
 */
int drive_option_parse(struct drive_option *out, const struct cmd *cmd, const char *value,
		       enum drive_use which);
void drive_option_free(struct drive_option *d);
