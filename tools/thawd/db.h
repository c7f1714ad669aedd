/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - one connection to an SQLite file of ours. What a transaction wrote is on the disk when it
 * was committed (journal_mode=WAL, synchronous=FULL). All statements are prepared when the file is
 * opened, and called by their index.
 *
 *	DB_RUN(db, INSERT_EVENT, err, DB_TEXT(name), DB_INT(due));
 *
 *	for (ret = DB_QUERY(db, SELECT_DUE, err, DB_INT(now)); ret == 1; ret = db_next(db, SELECT_DUE, err))
 *		use(db_text(db, SELECT_DUE, 0));		// a loop left early: db_end
 *
 * A connection is used by one thread at a time, and belongs to the process that opened it: not to
 * what that forks.
 *
 * Errors are the operating system's where it had one (-ENOSPC, -EFBIG), or -EBUSY another process
 * has the file; -EUCLEAN it is damaged; -ENOMEM; -EIO.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;
struct sqlite3;
struct sqlite3_stmt;

/* What a file holds. */
struct db_kind {
	const char *what;	/* for sentences: "store" */
	int32_t application_id; /* in the file's header: whose it is */
	int32_t version;	/* of the schema */
	const char *schema;	/* makes a new file's tables */
	const char *session;	/* made anew for each connection; may be NULL */
	bool alone; /* no second connection: the file stays locked while it is open */
	bool check; /* all pages are looked at when it is opened */
};

struct db {
	struct sqlite3 *handle;
	struct sqlite3_stmt **statements;
	unsigned int n;
	char path[256]; /* for sentences: a long one is cut */
};

/*
 * db_open - open @path, which is made if it is not there.
 * @statements: @n texts; a statement's index is its place there.
 * Errors: also -EINVAL a file of somebody else, or of another version. @db is closed then.
 */
int db_open(struct db *db, const char *path, const struct db_kind *kind,
	    const char *const *statements, unsigned int n, struct err *err) must_check;

/* Also of one that is zeroed. */
void db_close(struct db *db);

struct db_value {
	enum { DB_TYPE_INT, DB_TYPE_TEXT, DB_TYPE_BLOB } type;
	int64_t number;
	const void *data; /* must stay until the statement ends; NULL: SQL's NULL */
	size_t len;
};

#define DB_INT(value) ((struct db_value){ .type = DB_TYPE_INT, .number = (int64_t)(value) })
#define DB_TEXT(text) ((struct db_value){ .type = DB_TYPE_TEXT, .data = (text) })
#define DB_BLOB(buf, size)                                                                     \
	((struct db_value){ .type = DB_TYPE_BLOB, .data = (buf), .len = (size) })

#define DB_VALUES(...)                                                                         \
	(const struct db_value[]){ __VA_ARGS__ },                                              \
		sizeof((const struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value)
#define DB_RUN(db, id, err, ...)   db_run(db, id, err, DB_VALUES(__VA_ARGS__))
#define DB_QUERY(db, id, err, ...) db_query(db, id, err, DB_VALUES(__VA_ARGS__))

/* To the end, rows are passed over. Returns how many rows it changed. */
int db_run(struct db *db, unsigned int id, struct err *err, const struct db_value *values,
	   size_t n) must_check;

/* Returns 1: a row is there, to be read with the functions below; 0: none, and the statement has
 * ended. */
int db_query(struct db *db, unsigned int id, struct err *err, const struct db_value *values,
	     size_t n) must_check;
int db_next(struct db *db, unsigned int id, struct err *err) must_check;
void db_end(struct db *db, unsigned int id);

/* Columns, from 0, of the row that is there. What is returned lives until the next one. */
int64_t db_int(const struct db *db, unsigned int id, int column);
const char *db_text(const struct db *db, unsigned int id, int column); /* NULL becomes "" */
const void *db_blob(const struct db *db, unsigned int id, int column, size_t *len);
bool db_is_null(const struct db *db, unsigned int id, int column);
int64_t db_last_id(const struct db *db);

/*
 * db_begin, db_commit - a transaction that may write. db_commit undoes it when @ret, which it
 * returns, is negative, or when it cannot be written.
 */
int db_begin(struct db *db, struct err *err) must_check;
int db_commit(struct db *db, int ret, struct err *err) must_check;
