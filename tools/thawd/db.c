/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"

#define BUSY_TIMEOUT_MS 2000 /* ours: another connection of this process recovers the log */

/* ---- errors ---- */

/* The errno that says the same, or EIO. */
static int code_of(sqlite3 *handle, int rc)
{
	int code = handle ? sqlite3_system_errno(handle) : 0;

	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EUCLEAN;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return code > 0 ? code : EIO;
	default:
		return EIO;
	}
}

static int failed(const struct db *db, int rc, struct err *err)
{
	int code = code_of(db->handle, rc);

	if (code == EBUSY)
		return err_set(err, code, "%s is in use by another process", db->path);
	if ((rc & 0xff) == SQLITE_IOERR && code != EIO)
		return err_set(err, code, "%s: %s", db->path, strerrordesc_np(code));
	return err_set(err, code, "%s: %s", db->path,
		       db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
}

/* ---- opening ---- */

static int execute(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : failed(db, rc, err);
}

/* The first column of the first row, into @text if that is not NULL. */
static int ask(struct db *db, const char *sql, int64_t *number, char *text, size_t size,
	       struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		*number = sqlite3_column_int64(statement, 0);
		if (text)
			snprintf(text, size, "%s",
				 (const char *)sqlite3_column_text(statement, 0));
	}
	sqlite3_finalize(statement);
	return rc == SQLITE_ROW ? 0 : failed(db, rc, err);
}

static int make(struct db *db, const struct db_kind *kind, struct err *err)
{
	char marks[96];
	int ret = db_begin(db, err);

	if (ret < 0)
		return ret;
	snprintf(marks, sizeof(marks),
		 "PRAGMA application_id=%" PRId32 "; PRAGMA user_version=%" PRId32,
		 kind->application_id, kind->version);
	ret = execute(db, kind->schema, err);
	if (ret == 0)
		ret = execute(db, marks, err);
	return db_commit(db, ret, err);
}

/* Is it ours? Nothing is written to a file that is not. Returns 1: it is new, without tables. */
static int check_kind(struct db *db, const struct db_kind *kind, struct err *err)
{
	int64_t ntables = 0, application_id = 0, version = 0;
	int ret = ask(db, "SELECT count(*) FROM sqlite_schema", &ntables, NULL, 0, err);

	if (ret == 0)
		ret = ask(db, "PRAGMA application_id", &application_id, NULL, 0, err);
	if (ret == 0)
		ret = ask(db, "PRAGMA user_version", &version, NULL, 0, err);
	if (ret < 0)
		return ret;
	if (ntables == 0 && application_id == 0)
		return 1;
	if (application_id != kind->application_id)
		return err_set(err, EINVAL,
			       "%s is not thawd's %s: it belongs to something else", db->path,
			       kind->what);
	if (version != kind->version)
		return err_set(err, EINVAL,
			       "%s is a %s of version %" PRId64 ", expected %" PRId32, db->path,
			       kind->what, version, kind->version);
	return 0;
}

static int check_pages(struct db *db, struct err *err)
{
	int64_t number;
	char text[128];
	int ret = ask(db, "PRAGMA quick_check(1)", &number, text, sizeof(text), err);

	if (ret == 0 && strcmp(text, "ok") != 0)
		ret = err_set(err, EUCLEAN, "%s is damaged: %s", db->path, text);
	return ret;
}

static int prepare(struct db *db, const char *const *statements, unsigned int n,
		   struct err *err)
{
	db->statements = calloc(n, sizeof(struct sqlite3_stmt *));
	if (!db->statements)
		return err_set(err, ENOMEM, "%s: out of memory", db->path);
	for (db->n = 0; db->n < n; db->n++) {
		int rc = sqlite3_prepare_v3(db->handle, statements[db->n], -1,
					    SQLITE_PREPARE_PERSISTENT, &db->statements[db->n],
					    NULL);

		if (rc != SQLITE_OK)
			return failed(db, rc, err);
	}
	return 0;
}

static int open_handle(struct db *db, const char *path, const struct db_kind *kind,
		       struct err *err)
{
	int rc = sqlite3_open_v2(path, &db->handle,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
					 SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
				 NULL);

	if (rc != SQLITE_OK)
		return failed(db, rc, err);
	sqlite3_busy_timeout(db->handle, kind->alone ? 0 : BUSY_TIMEOUT_MS);
	return kind->alone ? execute(db, "PRAGMA locking_mode=EXCLUSIVE", err) : 0;
}

static int settle(struct db *db, const struct db_kind *kind, struct err *err)
{
	int ret = check_kind(db, kind, err);
	bool is_new = ret == 1;

	if (ret >= 0)
		ret = execute(db,
			      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			      "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
			      "PRAGMA journal_size_limit=16777216",
			      err);
	if (ret == 0 && is_new)
		ret = make(db, kind, err);
	if (ret == 0 && kind->check)
		ret = check_pages(db, err);
	if (ret == 0 && kind->session)
		ret = execute(db, kind->session, err);
	return ret;
}

int db_open(struct db *db, const char *path, const struct db_kind *kind,
	    const char *const *statements, unsigned int n, struct err *err)
{
	int ret;

	*db = (struct db){ 0 };
	snprintf(db->path, sizeof(db->path), "%s", path);
	ret = open_handle(db, path, kind, err);
	if (ret == 0)
		ret = settle(db, kind, err);
	if (ret == 0)
		ret = prepare(db, statements, n, err);
	if (ret < 0)
		db_close(db);
	return ret;
}

void db_close(struct db *db)
{
	for (unsigned int i = 0; i < db->n; i++)
		sqlite3_finalize(db->statements[i]);
	free(db->statements);
	sqlite3_close(db->handle);
	*db = (struct db){ 0 };
}

/* ---- statements ---- */

static int bind(struct sqlite3_stmt *statement, int i, const struct db_value *value)
{
	if (value->type == DB_TYPE_INT)
		return sqlite3_bind_int64(statement, i, value->number);
	if (!value->data)
		return sqlite3_bind_null(statement, i);
	if (value->type == DB_TYPE_TEXT)
		return sqlite3_bind_text(statement, i, value->data, -1, SQLITE_STATIC);
	return sqlite3_bind_blob64(statement, i, value->data, value->len, SQLITE_STATIC);
}

int db_next(struct db *db, unsigned int id, struct err *err)
{
	int rc = sqlite3_step(db->statements[id]);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		rc = failed(db, rc, err);
	else
		rc = 0;
	sqlite3_reset(db->statements[id]);
	return rc;
}

int db_query(struct db *db, unsigned int id, struct err *err, const struct db_value *values,
	     size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = bind(db->statements[id], (int)i + 1, &values[i]);

		if (rc != SQLITE_OK)
			return failed(db, rc, err);
	}
	return db_next(db, id, err);
}

int db_run(struct db *db, unsigned int id, struct err *err, const struct db_value *values,
	   size_t n)
{
	int ret = db_query(db, id, err, values, n);

	while (ret == 1)
		ret = db_next(db, id, err);
	return ret < 0 ? ret : sqlite3_changes(db->handle);
}

void db_end(struct db *db, unsigned int id)
{
	sqlite3_reset(db->statements[id]);
}

int64_t db_int(const struct db *db, unsigned int id, int column)
{
	return sqlite3_column_int64(db->statements[id], column);
}

const char *db_text(const struct db *db, unsigned int id, int column)
{
	const char *text = (const char *)sqlite3_column_text(db->statements[id], column);

	return text ? text : "";
}

const void *db_blob(const struct db *db, unsigned int id, int column, size_t *len)
{
	const void *data = sqlite3_column_blob(db->statements[id], column);

	*len = (size_t)sqlite3_column_bytes(db->statements[id], column);
	return data;
}

bool db_is_null(const struct db *db, unsigned int id, int column)
{
	return sqlite3_column_type(db->statements[id], column) == SQLITE_NULL;
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int db_begin(struct db *db, struct err *err)
{
	return execute(db, "BEGIN IMMEDIATE", err);
}

int db_commit(struct db *db, int ret, struct err *err)
{
	if (ret >= 0) {
		int rc = execute(db, "COMMIT", err);

		ret = rc < 0 ? rc : ret;
	}
	/* Some errors have undone it already. */
	if (ret < 0 && !sqlite3_get_autocommit(db->handle))
		(void)execute(db, "ROLLBACK", NULL);
	return ret;
}
