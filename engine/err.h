/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - why something failed: an errno for the program, a sentence for a person.
 *
 * A function that can fail for a reason worth explaining takes a last argument
 * `struct err *err` and returns 0 or -errno. It writes @err exactly when it returns a
 * negative value. The caller owns the struct, so reporting an error never allocates.
 * NULL is allowed and drops the sentence.
 *
 * Some reasons decide what a program does next (its exit code), so they have one errno each
 * that is used for nothing else in this project:
 */
#pragma once

#include <errno.h>

enum {
	ERR_DAMAGED = EBADMSG, /* an image's bytes are not what was written */
	ERR_UNFIT = ENOTSUP,   /* an intact image that this host or version cannot run */
	ERR_NO_KVM = ENODEV,   /* no usable /dev/kvm here */
	ERR_CRASHED = ENOTRECOVERABLE, /* the guest died or ended without an answer */
	ERR_TIMED_OUT = ETIMEDOUT,     /* the guest did not answer in time */
};

struct err {
	char text[240]; /* "outer: inner"; no newline; always ends in NUL */
};

/* Start a sentence. Returns -code. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Start a sentence about a failed system call: adds strerror(errno). Returns -errno. */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Say what was being done when @ret came back: "fmt: <old text>". Returns @ret. */
int err_wrap(struct err *err, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));
