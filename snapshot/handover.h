/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - a template's shape and decoded state as one flat, sealed memfd without pointers,
 * made once and mapped by every process that is to hold a machine of it. It never leaves this
 * host nor this program's own processes: it is no file format, and struct layouts are trusted
 * as far as who sent the descriptor is.
 */
#pragma once

#include "engine/util.h"
#include "snapshot/template.h"

struct err;

/* Make it from @t. Returns a descriptor. Errors: -ENOMEM, what memfd_create and mmap say. */
int handover_memfd(const struct template *t, struct err *err) must_check;

/* What it says, mapped read-only. Must not move. */
struct handover {
	const void *map;
	size_t size;
	struct template template; /* .memory_fd -1: that is handed over on its own */
};

/*
 * handover_map - @fd: stays the caller's, and may be closed afterwards.
 * Errors: -EINVAL it is not sealed, not whole, or of another version; what mmap says.
 */
int handover_map(struct handover *h, int fd, struct err *err) must_check;
void handover_unmap(struct handover *h);

/* May a shell that was made for @a hold a machine of @b? */
bool handover_same_shape(const struct template *a, const struct template *b);
