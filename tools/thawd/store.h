/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - functions, their versions and aliases, and the images behind them, in one directory
 * that survives the death of the process at any moment:
 *
 *	DIR/thawd.db	all but the images (SQLite)
 *	DIR/images/ID/	an image, named by its id; a layer's parents are beside it
 *	DIR/tmp/	what is being copied or removed
 *
 * A function is what AWS Lambda takes for one: $LATEST, which changes, versions 1, 2, ... that do
 * not, and aliases that point to one of these. A number is never used again, not even by a new
 * function of that name.
 *
 * An image comes in by a copy, and is found under its name when all of it is on the disk; only then
 * is it written down that a version uses it. It goes when no version uses it and nobody holds it.
 *
 * Threads: any. What changes something waits for the disk, and for others that do; store_resolve,
 * the store_list functions, store_hold and store_release wait for neither.
 *
 * Processes: one at a time. The lock goes with the last descriptor of it, also one that a fork
 * inherited: open zygotes first.
 *
 * Errors of all: -EINVAL a name or value that may not be; -ENOENT no such function, version or
 * alias; what db.h says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"
#include "snapshot/manifest.h"
#include "tools/thawd/names.h"
#include "tools/thawd/policy.h"
#include "tools/thawd/stamp.h"

struct err;
struct store;

#define STORE_DESCRIPTION_SIZE 257u  /* bytes and a NUL; Lambda's */
#define STORE_ENVIRONMENT_SIZE 4097u /* of the JSON text, and a NUL; Lambda's 4 KiB */
#define STORE_SHA256_SIZE      45u   /* base64 and a NUL */
#define STORE_MAX_TIMEOUT_MS   900000u
#define STORE_MAX_SLOTS	       65536u
#define STORE_PAGE_MAX	       10000u
#define STORE_PATH_SIZE	       1024u /* of an image, with its NUL */

/* "rewind", "reuse", "fresh"; in the order of enum policy_mode, NULL at the end. */
extern const char *const store_modes[];

/* Of $LATEST and of each version. */
struct store_config {
	uint64_t memory;     /* bytes that a slot counts with; 0: the image's */
	uint32_t timeout_ms; /* 1 to STORE_MAX_TIMEOUT_MS */
	enum policy_mode mode;
	uint32_t min;		  /* slots kept when idle */
	uint32_t max;		  /* slots; 0: what there is room for */
	uint32_t idle_timeout_ms; /* 0: none */
	uint32_t weight;	  /* 1 to POLICY_MAX_WEIGHT */
	char description[STORE_DESCRIPTION_SIZE];
	/* A JSON object whose values are strings, in compact form with sorted keys; "": none. The
	 * image has these values already: nothing sets them. */
	char environment[STORE_ENVIRONMENT_SIZE];
};

/* Lambda's defaults: 3 s, and nothing said of the rest. */
void store_config_default(struct store_config *config);

/* One version of a function, $LATEST included. */
struct store_record {
	char name[NAMES_FUNCTION_SIZE];
	int64_t version; /* 0: $LATEST */
	char image[MANIFEST_ID_SIZE];
	char code_sha256[STORE_SHA256_SIZE]; /* of the bytes of manifest.json, in base64 */
	uint64_t code_size;		     /* bytes of all of the image's files */
	char modified[STAMP_TIME_SIZE];
	char revision[STAMP_UUID_SIZE]; /* another one with each change */
	struct store_config config;
	uint32_t provisioned; /* slots that are always there: its own and its aliases' */
	bool is_reserved;     /* the function's; `reserved` means something */
	uint32_t reserved;
};

struct store_alias {
	char name[NAMES_QUALIFIER_SIZE];
	int64_t version;
	char description[STORE_DESCRIPTION_SIZE];
	char modified[STAMP_TIME_SIZE];
	char revision[STAMP_UUID_SIZE];
	uint32_t provisioned;
};

/*
 * store_open - make @dir or go on with what is there: what a process left half-done goes. @dir is
 * used by this name as long as the store is open.
 * Errors: also -EBUSY another process has it; -ENAMETOOLONG; the file system's.
 */
int store_open(struct store **store, const char *dir, struct err *err) must_check;
void store_close(struct store *s);

/* ---- changes ---- */

/* Whether what is put may be there, or must. */
enum store_put {
	STORE_CREATE, /* -EEXIST if it is there */
	STORE_UPDATE, /* -ENOENT if it is not */
	STORE_EITHER,
};

struct store_change {
	enum store_put how;
	const char *dir; /* of the image; NULL: the one that it has */
	const struct store_config
		*config;      /* NULL: the one that it has, or store_config_default */
	const char *revision; /* -ESTALE if $LATEST has another one; NULL: whichever */
};

/*
 * store_put - a new $LATEST of a function. All of the image is checked. The parents of a layer are
 * in this store already, or beside it.
 * @out: what is there then; unspecified after an error
 * Errors: also -EINVAL a new function without an image; -EEXIST the store has an image of that id
 * and another content; those of image_open and image_verify (snapshot/image.h); the file system's.
 */
int store_put(struct store *s, const char *name, const struct store_change *change,
	      struct store_record *out, struct err *err) must_check;

/*
 * store_publish - the next version, with what $LATEST has; the last one where nothing changed since.
 * @description: NULL: that of $LATEST. @revision: as of a change. @out: as of store_put.
 */
int store_publish(struct store *s, const char *name, const char *description,
		  const char *revision, struct store_record *out, struct err *err) must_check;

/*
 * store_put_alias - let alias->name point to alias->version, with alias->description; the rest of
 * @alias is written when it is there.
 * @revision: -ESTALE if the alias has another one; NULL: whichever
 */
int store_put_alias(struct store *s, const char *name, enum store_put how,
		    struct store_alias *alias, const char *revision,
		    struct err *err) must_check;
int store_delete_alias(struct store *s, const char *name, const char *alias,
		       struct err *err) must_check;

/* With all its versions and aliases. */
int store_delete(struct store *s, const char *name, struct err *err) must_check;

/* Errors: also -EBUSY an alias points to it; -EINVAL $LATEST cannot go alone. */
int store_delete_version(struct store *s, const char *name, int64_t version,
			 struct err *err) must_check;

/* Slots set aside for a function, and no more than these: 0: it may not run; -1: no more. */
int store_reserve(struct store *s, const char *name, int64_t slots, struct err *err) must_check;

/* Slots that are always there for what @qualifier is, a version or an alias; 0: none. */
int store_provision(struct store *s, const char *name, const char *qualifier, int64_t slots,
		    struct err *err) must_check;

/* ---- reading ---- */

/* Another number after each change of what can be read here; from any thread. */
uint64_t store_changes(const struct store *s);

/* @qualifier: NULL, "$LATEST", a number, or an alias */
int store_resolve(struct store *s, const char *name, const char *qualifier,
		  struct store_record *out, struct err *err) must_check;
int store_get_alias(struct store *s, const char *name, const char *alias,
		    struct store_alias *out, struct err *err) must_check;

/*
 * Up to @max (1 to STORE_PAGE_MAX) of those after @marker in the order of their names or numbers;
 * NULL or 0: from the beginning. Return how many are in @out: as many as @max, there may be more
 * after the last one.
 */
int store_list(struct store *s, const char *marker, size_t max, struct store_record *out,
	       struct err *err) must_check;
/* $LATEST is the first: @marker -1 is the beginning. */
int store_list_versions(struct store *s, const char *name, int64_t marker, size_t max,
			struct store_record *out, struct err *err) must_check;
int store_list_aliases(struct store *s, const char *name, const char *marker, size_t max,
		       struct store_alias *out, struct err *err) must_check;

/* ---- images ---- */

/* Where it is, for thaw_image_open. */
void store_image_path(const struct store *s, const char *image, char path[STORE_PATH_SIZE]);

/*
 * store_hold - keep an image though no version may use it any more. To be called before it is
 * opened: what was resolved may be gone. Errors: -ENOENT it is; -ENOMEM.
 */
int store_hold(struct store *s, const char *image, struct err *err) must_check;

/* Undo one store_hold. Returns whether it was the last one: then store_collect may find something. */
bool store_release(struct store *s, const char *image);

/* Remove images that nobody needs. Also done by whatever takes a version away. */
int store_collect(struct store *s, struct err *err) must_check;
