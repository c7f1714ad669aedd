/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql.c - a function with an expensive start: it fills an in-memory SQLite database with the
 * table of orders.h. An event is SQL text, its reply is what `sqlite3 -json` prints for it on
 * the same table (sql_json.h). Nothing that an event does is seen by the next one: writes and
 * changes of the connection are refused. SQLite sorts in memory here, so a query that sorts the
 * whole table asks for a machine of more than 64 MiB; in a smaller one it is "out of memory".
 *
 *	sql		answer events
 *	sql --dump	write the table as SQL text to stdout, without SQLite; runs on any Linux
 */
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "guest/functions/event.h"
#include "guest/functions/orders.h"
#include "guest/functions/reply.h"
#include "guest/functions/sql_json.h"
#include "guest/thaw.h"

/* SQLite would look for /dev/urandom, and else seed from the time, as every clone does. */
static int random_read(sqlite3_vfs *vfs, int size, char *out)
{
	ssize_t n = getrandom(out, (size_t)size, 0);

	(void)vfs;
	return n < 0 ? 0 : (int)n;
}

/* A hook: clones must not draw the same numbers. SQLite's generator seeds itself when it is next
 * asked for some. */
static void random_renew(void *arg)
{
	(void)arg;
	sqlite3_randomness(0, NULL);
}

static int database_failed(sqlite3 *db, const char *what)
{
	fprintf(stderr, "sql: %s: %s\n", what, db ? sqlite3_errmsg(db) : "out of memory");
	return -1;
}

static int rows_insert(sqlite3 *db)
{
	sqlite3_stmt *stmt;
	struct order o;
	int rc = sqlite3_prepare_v2(db, "INSERT INTO orders VALUES(?,?,?,?)", -1, &stmt, NULL);

	for (uint32_t id = 1; id <= ORDERS_ROWS && rc == SQLITE_OK; id++) {
		order_make(id, &o);
		sqlite3_bind_int64(stmt, 1, o.id);
		sqlite3_bind_text(stmt, 2, o.customer, -1, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 3, o.region);
		sqlite3_bind_int64(stmt, 4, o.amount);
		sqlite3_step(stmt);
		rc = sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	return rc;
}

/* Reading is all that is left: query_only refuses writes, and nobody may switch it off. */
static int statement_allow(void *arg, int action, const char *a, const char *b, const char *c,
			   const char *d)
{
	size_t len = a ? strlen(a) : 0;

	(void)arg, (void)c, (void)d;
	switch (action) {
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		return SQLITE_DENY;
	case SQLITE_PRAGMA: /* a value after its name, unless it only asks: table_info(orders) */
		return !b || (len >= 5 && (!sqlite3_stricmp(a + len - 5, "_info") ||
					   !sqlite3_stricmp(a + len - 5, "_list") ||
					   !sqlite3_stricmp(a + len - 5, "xinfo")))
			       ? SQLITE_OK
			       : SQLITE_DENY;
	default:
		return SQLITE_OK;
	}
}

static int database_open(sqlite3 **db)
{
	static sqlite3_vfs vfs;

	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite3_initialize() != SQLITE_OK)
		return database_failed(NULL, "start");
	vfs = *sqlite3_vfs_find(NULL);
	vfs.zName = "guest";
	vfs.xRandomness = random_read;
	sqlite3_vfs_register(&vfs, 1);

	if (sqlite3_open(":memory:", db) != SQLITE_OK)
		return database_failed(*db, "open");
	if (sqlite3_exec(*db, "PRAGMA temp_store=MEMORY; BEGIN", NULL, NULL, NULL) ||
	    sqlite3_exec(*db, orders_schema_sql, NULL, NULL, NULL) || rows_insert(*db) ||
	    sqlite3_exec(*db, "COMMIT; ANALYZE; PRAGMA query_only=1", NULL, NULL, NULL) ||
	    sqlite3_set_authorizer(*db, statement_allow, NULL))
		return database_failed(*db, "fill the table");
	return 0;
}

/* Comes back only when something broke. */
static void events_answer(sqlite3 *db)
{
	struct event event = { 0 };
	struct reply reply = { 0 };
	int ret = event_init(&event);

	if (ret == 0)
		ret = reply_init(&reply);
	while (ret == 0 && (ret = event_read(&event)) == 0) {
		reply_begin(&reply);
		ret = sql_answer(db, event.text, &reply);
		if (ret == 0)
			ret = reply_flush(&reply);
	}
	fprintf(stderr, "sql: event %s\n", strerror(-ret));
	event_fini(&event);
	reply_fini(&reply);
}

int main(int argc, char **argv)
{
	sqlite3 *db = NULL;

	if (argc == 2 && strcmp(argv[1], "--dump") == 0)
		return orders_dump(stdout) == 0 ? 0 : 1;
	if (argc != 1) {
		fprintf(stderr, "usage: sql [--dump]\n");
		return 2;
	}
	if (database_open(&db) < 0)
		return 1;
	malloc_trim(0); /* what sorting left behind would be frozen too */
	fprintf(stderr, "sql: %u orders are ready\n", ORDERS_ROWS);
	if (thaw_after_thaw(random_renew, NULL) == 0)
		events_answer(db);
	return 1;
}
