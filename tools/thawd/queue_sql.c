/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sql.c - the tables of the queue, and every statement that is made of them. */
#include "tools/thawd/queue_state.h"

/* AUTOINCREMENT: a line of the dead-letter file names an event by its number for ever. */
const struct db_kind queue_kind = {
	.what = "queue",
	.application_id = 0x74687771, /* ours: "thwq" */
	.version = 1,
	.alone = true,
	.schema = "CREATE TABLE event("
		  " id INTEGER PRIMARY KEY AUTOINCREMENT,"
		  " function TEXT NOT NULL,"
		  " qualifier TEXT NOT NULL,"
		  " request_id TEXT NOT NULL,"
		  " trace TEXT NOT NULL,"
		  " client_context TEXT NOT NULL,"
		  " accepted INTEGER NOT NULL,"
		  " due INTEGER NOT NULL,"
		  " expires INTEGER NOT NULL,"
		  " retries INTEGER NOT NULL,"
		  " attempts INTEGER NOT NULL DEFAULT 0,"
		  " payload BLOB NOT NULL"
		  ") STRICT;"
		  "CREATE INDEX event_function ON event(function, due);"
		  "CREATE INDEX event_due ON event(due);"
		  "CREATE INDEX event_expires ON event(expires);"
		  "CREATE TABLE letters(size INTEGER NOT NULL) STRICT;"
		  "INSERT INTO letters VALUES(0);",
	.session = "CREATE TEMP TABLE taken(id INTEGER PRIMARY KEY, function TEXT NOT NULL);"
		   "CREATE INDEX temp.taken_function ON taken(function);",
};

#define EVENTS                                                                                 \
	"SELECT id, function, qualifier, request_id, trace, client_context, payload, "         \
	"accepted,"                                                                            \
	" expires, retries, attempts FROM event "
#define NOT_TAKEN " AND id NOT IN (SELECT id FROM taken) "

const char *const queue_statements[QUEUE_NSTATEMENTS] = {
	[QUEUE_INSERT] =
		("INSERT INTO event(function, qualifier, request_id, trace, client_context,"
		 " payload, accepted, due, expires, retries)"
		 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"),
	[QUEUE_DELETE] = "DELETE FROM event WHERE id=?1",
	[QUEUE_GET_EXPIRES] = "SELECT expires FROM event WHERE id=?1",
	[QUEUE_SET_RETRY] = "UPDATE event SET due=?2, attempts=attempts+1 WHERE id=?1",
	[QUEUE_SET_DUE] = "UPDATE event SET due=?2 WHERE id=?1",
	[QUEUE_EXPIRE] = "UPDATE event SET expires=0 WHERE function=?1",
	[QUEUE_COUNT] = "SELECT count(*) FROM event",
	[QUEUE_EXPIRED] = (EVENTS "WHERE expires<=?1" NOT_TAKEN "ORDER BY expires LIMIT 1"),
	[QUEUE_NEXT_FUNCTION] = "SELECT min(function) FROM event WHERE function>?1",
	[QUEUE_NEXT] = (EVENTS "WHERE function=?1 AND due<=?2 AND expires>?2" NOT_TAKEN
			       "ORDER BY due, id LIMIT 1"),
	[QUEUE_WAKE] = ("SELECT min((SELECT ifnull(min(due), ?2) FROM event WHERE due>?1),"
			" (SELECT ifnull(min(expires), ?2) FROM event WHERE expires>?1))"),
	[QUEUE_TAKE] = "INSERT INTO taken VALUES(?1, ?2)",
	[QUEUE_UNTAKE] = "DELETE FROM taken WHERE id=?1",
	[QUEUE_TAKEN_EACH] = "SELECT count(*) FROM taken WHERE function=?1",
	[QUEUE_GET_LETTERS] = "SELECT size FROM letters",
	[QUEUE_SET_LETTERS] = "UPDATE letters SET size=?1",
};
