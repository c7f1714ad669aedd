/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql_json.h - run SQL and write what `sqlite3 -json` prints for it, byte for byte.
 *
 * A statement that has rows gives "[{row},\n{row}]\n"; one without prints nothing. NULL is
 * null, an integer its digits, a real "%!.20g" of SQLite's printf (infinity: 1e999), text and
 * blobs are strings. In text only '"', '\\' and bytes below 0x20 are escaped, and a NUL ends
 * it; in a blob all bytes stand for characters.
 *
 * Where the program writes to its stderr, the reply gets one more line {"error":"reason"},
 * after the rows that came before it; later statements of the event are not run. EXPLAIN,
 * which the program draws as a table, gives its rows like any other statement.
 */
#pragma once

#include <sqlite3.h>

struct reply;

/*
 * sql_answer - run all statements of @sql, which a NUL ends.
 * Returns 0, or -errno when the reply could not be handed over. Errors of the SQL are part of
 * the reply.
 */
int sql_answer(sqlite3 *db, const char *sql, struct reply *r);
