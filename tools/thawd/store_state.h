/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_state.h - between the store's own files only.
 *
 * One connection writes, under write_lock, which is also held while images are brought in and
 * removed; another one reads, so that whoever asks does not wait for a disk. An image that a
 * version uses is in images/, whole. The other way round is not so at every moment: what is there
 * and unused goes when the store is opened.
 */
#pragma once

#include <pthread.h>

#include "tools/thawd/db.h"
#include "tools/thawd/store.h"

enum store_statement {
	STORE_GET_VERSION,     /* function, number: a record; the next three as well */
	STORE_GET_ALIASED,     /* function, alias */
	STORE_LIST,	       /* marker, max */
	STORE_LIST_VERSIONS,   /* function, marker, max */
	STORE_GET_ALIAS,       /* function, name: an alias; the next as well */
	STORE_LIST_ALIASES,    /* function, marker, max */
	STORE_PUT_FUNCTION,    /* name */
	STORE_PUT_VERSION,     /* as STORE_NCOLUMNS columns of a record */
	STORE_LAST_VERSION,    /* function: its number, or NULL */
	STORE_NEXT_NUMBER,     /* function: a number that it never had */
	STORE_PUT_ALIAS,       /* function, name, version, description, modified, revision */
	STORE_DELETE_ALIAS,    /* function, name */
	STORE_DELETE_ALIASES,  /* function */
	STORE_ALIAS_OF,	       /* function, version: the name of one that points there */
	STORE_DELETE_VERSION,  /* function, number */
	STORE_DELETE_VERSIONS, /* function */
	STORE_DELETE_FUNCTION, /* name */
	STORE_RESERVE,	       /* name, slots */
	STORE_PROVISION,       /* function, number, slots */
	STORE_PROVISION_ALIAS, /* function, name, slots */
	STORE_PUT_IMAGE,       /* id, parent, sha256, size */
	STORE_GET_IMAGE,       /* id: its digest */
	STORE_UNUSED_IMAGES,   /* those that no version and no layer uses */
	STORE_DELETE_IMAGE,    /* id */
	STORE_NSTATEMENTS
};

extern const struct db_kind store_kind;
extern const char *const store_statements[STORE_NSTATEMENTS];

struct store {
	char dir[STORE_PATH_SIZE - sizeof("/images/") - MANIFEST_ID_SIZE];
	int dir_fd; /* locked */
	int images_fd;
	int tmp_fd;
	pthread_mutex_t write_lock;
	struct db write;
	pthread_mutex_t read_lock;
	struct db read;
	_Atomic uint64_t changes; /* transactions that were committed */
	pthread_mutex_t hold_lock;
	void *holds; /* of tsearch(3): struct hold, by image */
};

/* ---- store.c ---- */

/* write_lock and a transaction, around what a change is; store_end returns what db_commit does, but
 * no count. */
int store_begin(struct store *s, struct err *err) must_check;
int store_end(struct store *s, int ret, struct err *err) must_check;

/* Of these two, what is counted by store_changes. As db_commit. */
int store_commit(struct store *s, int ret, struct err *err) must_check;

/* The same where versions went: the change is done, though an image could not be removed yet. */
int store_end_and_sweep(struct store *s, int ret, struct err *err) must_check;

/* Errors: -ESTALE @is is not @wanted, which may be NULL: any. */
int store_check_revision(const char *is, const char *wanted, struct err *err) must_check;

/* ---- store_record.c ---- */

/* What STORE_GET_VERSION and its like have found. */
void store_record_load(struct store_record *r, const struct db *db, enum store_statement id);
void store_alias_load(struct store_alias *a, const struct db *db, enum store_statement id);

/* Of one connection, whose lock is held. Errors: -ENOENT. */
int store_find_version(struct db *db, const char *name, int64_t version,
		       struct store_record *out, struct err *err) must_check;
int store_find_alias(struct db *db, const char *name, const char *alias,
		     struct store_alias *out, struct err *err) must_check;

/* Write @r, which gets a new revision and time. */
int store_record_save(struct db *db, struct store_record *r, struct err *err) must_check;

/* ---- store_config.c ---- */

/* Check @config and bring its environment into the one form. Errors: -EINVAL. */
int store_config_settle(struct store_config *config, struct err *err) must_check;
int store_check_description(const char *text, struct err *err) must_check;

/* ---- store_images.c; write_lock is held ---- */

/* Bring in the image in @dir and those below it, and write down that they are there. */
int store_import(struct store *s, const char *dir, char id[MANIFEST_ID_SIZE],
		 struct err *err) must_check;

/* Remove images that nothing uses, be they written down or not. */
int store_sweep(struct store *s, struct err *err);

/* Everything in tmp/. */
void store_clear_tmp(struct store *s);

/* ---- store_hold.c ---- */

/* From images/ to tmp/, unless it is held. Returns 1, or 0 it stays. */
int store_take_away(struct store *s, const char *id, struct err *err) must_check;
void store_drop_holds(struct store *s);
