/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uffd.h - userfaultfd: whoever touches memory that is not there yet waits until it is put
 * there. A thin wrapper: one descriptor, ranges of anonymous memory registered with it, faults
 * read from it, pages placed through it. Any thread may place pages; one reads faults.
 *
 * A registered page that is missing stays missing until it is placed: closing the descriptor or
 * unregistering the range makes it a page of zeros, so neither may happen while a guest could
 * still run that expects something else there.
 *
 * Faults that come out of KVM_RUN are faults in kernel mode: the descriptor must be allowed to
 * handle those (CAP_SYS_PTRACE, vm.unprivileged_userfaultfd=1, or access to /dev/userfaultfd).
 * Source: userfaultfd(2), ioctl_userfaultfd(2), Documentation/admin-guide/mm/userfaultfd.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

/* What a descriptor or a range is for, and how a page is placed; or'ed together. */
enum uffd_mode {
	UFFD_MISSING = 0,  /* pages that are not there; always */
	UFFD_WP = 1u << 0, /* pages may be write-protected, and writes to them are faults */
};

struct uffd {
	int fd; /* non-blocking; readable when there is a fault */
};

/* One fault, read from the descriptor. */
struct uffd_fault {
	uint8_t *page; /* host address, rounded down to a page */
	bool write;    /* the access was a write */
	bool wp;       /* the page is there, but write-protected */
};

/*
 * uffd_open - a descriptor for @mode.
 * Errors: -EPERM, -ENOSYS: refused or not there, the sentence says what would help;
 * -ERR_UNFIT: a kernel without write-protection of anonymous memory (before 5.7).
 */
int uffd_open(struct uffd *u, enum uffd_mode mode, struct err *err) must_check;
/* @u: open, or with fd -1. Missing pages become zeros, and who waits for one goes on. */
void uffd_close(struct uffd *u);

/* From here on missing pages in [addr, addr + len) are faults. Whole pages. Errors: -errno. */
int uffd_register(const struct uffd *u, void *addr, size_t len, enum uffd_mode mode,
		  struct err *err) must_check;
/* No longer: what is missing is zero. */
int uffd_unregister(const struct uffd *u, void *addr, size_t len, struct err *err) must_check;

/*
 * uffd_read - the next fault.
 * Returns 1: @f is one; 0: there is none now; or -errno.
 */
int uffd_read(const struct uffd *u, struct uffd_fault *f, struct err *err) must_check;

/*
 * uffd_copy - place @len bytes of @src at @dst, whole pages, and wake who waits for them.
 * Pages that are there already are left as they are. @mode: UFFD_WP places them protected.
 * Errors: -errno of UFFDIO_COPY: -ENOENT the range is not registered, -ENOMEM.
 * Cost: a page in one call with many takes 1.3 us, alone 100 us with the switch of threads.
 */
int uffd_copy(const struct uffd *u, void *dst, const void *src, size_t len, enum uffd_mode mode,
	      struct err *err) must_check;

/* The same with pages of zeros, which cost no memory until they are written to. */
int uffd_zero(const struct uffd *u, void *dst, size_t len, struct err *err) must_check;

/* Make protected pages writable, and wake who waits to write. */
int uffd_unprotect(const struct uffd *u, void *addr, size_t len, struct err *err) must_check;

/* Wake whoever waits for a page in the range: it looks again. */
void uffd_wake(const struct uffd *u, void *addr, size_t len);
