/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_store.h - a store in a scratch directory, images for it, and the calls that its tests make
 * most. One at a time; the names begin with "depot", which is what all of that is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/mem.h"
#include "snapshot/manifest.h"
#include "tools/thawd/store.h"

struct depot {
	char dir[256]; /* scratch; the store is in "store" */
	struct mem mem;
	struct manifest man; /* of the image that was made last */
	struct store *store;
	struct store_record rec; /* what the last call found */
	struct err err;
};
extern struct depot depot;

void depot_make(void);
void depot_remove(void);
/* Open the store; close it before if it is open. */
void depot_open(void);
void depot_close(void);

/* "DIR/NAME" */
const char *depot_path(const char *name);

/* Another image with each call; a layer on the one before with @is_layer. */
void depot_image(const char *name, bool is_layer);

/* Calls that go on with whatever comes, and the same that assert. @image, @config: NULL as in
 * struct store_change. */
int depot_put(const char *name, const char *image, const struct store_config *config);
void depot_must_put(const char *name, const char *image, const struct store_config *config);
int depot_publish(const char *name);
void depot_must_publish(const char *name, int64_t version);
int depot_point(const char *name, const char *alias, int64_t version);
int depot_resolve(const char *name, const char *qualifier);

/* Expect @ret to be -@code, with a sentence that holds @says. */
void depot_expect_error(int ret, int code, const char *says);

/* How many images there are; nothing may be in tmp/. */
int depot_images(void);

/* Expect the image of depot.rec to be usable. */
void depot_expect_whole(void);
