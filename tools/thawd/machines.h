/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machines.h - images made ready to start, and shells for them. What takes time (checking and
 * decoding an image, making shells) is done by one thread, and told on the loop: nothing here waits
 * but machines_close.
 *

 */
#pragma once

#include <stdint.h>

#include "engine/util.h"
#include "snapshot/thaw.h"

struct err;
struct loop;
struct machines;

/* An image in use. */
struct kind;

struct machines_config {
	struct thaw_zygote *zygote; /* outlives the machines */
	uint32_t slots;		    /* of one kind, at most */
	/* An image was read, or could not be; or shells came, or could not be made. @kind_data: as
	 * given to machines_load. @err: NULL: all is well. */
	void (*loaded)(void *kind_data, const struct thaw_err *err, void *data);
	void (*filled)(void *kind_data, const struct thaw_err *err, void *data);
	void *data;
};

/* Errors: -THAW_NO_KVM; -ENOMEM; no thread to be had. */
int machines_open(struct machines **out, struct loop *loop,
		  const struct machines_config *config, struct err *err) must_check;
/* All kinds are unloaded before. Waits for what the thread is at. NULL is allowed. */
void machines_close(struct machines *m);

/* Make the image in directory @path ready; `loaded` follows. Errors: -ENOMEM. */
int machines_load(struct kind **out, struct machines *m, const char *path, void *kind_data,
		  struct err *err) must_check;
/* Its slots are closed before. Nothing is told of it any more. */
void machines_unload(struct kind *k);

/* Bytes that a machine may come to use. @k: loaded. */
uint64_t machines_memory(const struct kind *k);

/*
 * machines_start - a slot with a machine of @k, which waits for nothing (thaw_slot_wait_not).
 * Errors: -EAGAIN no shell waits; one is asked for, and `filled` follows; as thaw_slot_start.
 */
int machines_start(struct thaw_slot **slot, struct kind *k, thaw_log *log, void *arg,
		   struct thaw_err *err) must_check;
