/* SPDX-License-Identifier: Apache-2.0 */
/* initrd.h - the first file system of a Linux guest: that of our init, and what it is to start. */
#pragma once

#include "tools/thaw/blob.h"

struct initrd {
	const char *base;    /* an initramfs with our init */
	const char *program; /* a file of this host that becomes /program; NULL: none */
	const char *files;   /* a directory or cpio archive whose files are added; NULL: none */
	const char *const *argv; /* the program and its arguments, as the guest names them */
	const char *const *envp;
};

/*
 * initrd_make - archives one behind the other, as Linux takes them.
 * Errors: -EFBIG above @max bytes; what the file system says.
 */
int initrd_make(struct blob *out, const struct initrd *in, uint64_t max,
		struct err *err) must_check;
