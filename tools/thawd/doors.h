/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doors.h - listening sockets that outlive the program: it is executed anew with them open, and told
 * of them by a variable, THAWD_DOORS="FD=ADDRESS FD=ADDRESS ...". Addresses have no spaces.
 */
#pragma once

#include <stdint.h>

#include "engine/util.h"

struct err;

#define DOORS_MAX	   8u
#define DOORS_ADDRESS_SIZE 128u /* ours: a path of a Unix socket has at most 108 */

struct doors {
	uint32_t n;
	struct {
		int fd; /* -1: somebody has it */
		char address[DOORS_ADDRESS_SIZE];
	} door[DOORS_MAX];
};

/* What was left by whoever was here before. The variable goes. */
void doors_take(struct doors *d);

/* The descriptor for @address, or -1. It is the caller's then. */
int doors_inherit(struct doors *d, const char *address);

/* Close what nobody wanted. */
void doors_close(struct doors *d);

/* Leave @n descriptors to whoever is executed next. Errors: -ENOMEM; what fcntl says. */
int doors_bequeath(const int fds[], const char *const addresses[], uint32_t n,
		   struct err *err) must_check;
