/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/functions/sql_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "guest/functions/reply.h"

#define FLUSH_SIZE ((size_t)64 * 1024) /* ours: few writes, and the buffer stays small */

/* Bytes of an error's text that are shown: six times as many fit into the reserve. */
#define ERROR_SIZE 500u

static void text_add(struct reply *r, const char *text)
{
	reply_add(r, text, strlen(text));
}

static void escape_add(struct reply *r, unsigned char c)
{
	static const char letters[] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
					['\t'] = 't', ['"'] = '"',  ['\\'] = '\\' };
	char out[8];

	if (c < sizeof(letters) && letters[c])
		snprintf(out, sizeof(out), "\\%c", letters[c]);
	else
		snprintf(out, sizeof(out), "\\u%04x", c);
	text_add(r, out);
}

static void string_add(struct reply *r, const char *s, size_t size)
{
	size_t plain = 0; /* start of the bytes that are written as they are */

	text_add(r, "\"");
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		reply_add(r, s + plain, i - plain);
		escape_add(r, c);
		plain = i + 1;
	}
	reply_add(r, s + plain, size - plain);
	text_add(r, "\"");
}

static void real_add(struct reply *r, double value)
{
	char out[64];

	if (isinf(value)) { /* JSON has no infinity */
		text_add(r, value > 0 ? "1e999" : "-1e999");
		return;
	}
	sqlite3_snprintf(sizeof(out), out, "%!.20g", value);
	text_add(r, out);
}

static void value_add(struct reply *r, sqlite3_stmt *stmt, int column)
{
	const char *text;

	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_NULL:
		text_add(r, "null");
		break;
	case SQLITE_FLOAT:
		real_add(r, sqlite3_column_double(stmt, column));
		break;
	case SQLITE_BLOB:
		text = sqlite3_column_blob(stmt, column);
		string_add(r, text ? text : "", (size_t)sqlite3_column_bytes(stmt, column));
		break;
	case SQLITE_INTEGER:
		text = (const char *)sqlite3_column_text(stmt, column);
		text_add(r, text ? text : "null");
		break;
	default:
		text = (const char *)sqlite3_column_text(stmt, column);
		string_add(r, text ? text : "", text ? strlen(text) : 0);
	}
}

static void row_add(struct reply *r, sqlite3_stmt *stmt)
{
	int n = sqlite3_data_count(stmt);

	for (int i = 0; i < n; i++) {
		const char *name = sqlite3_column_name(stmt, i);

		text_add(r, i ? "," : "{");
		string_add(r, name ? name : "", name ? strlen(name) : 0);
		text_add(r, ":");
		value_add(r, stmt, i);
	}
	text_add(r, "}");
}

static void error_add(struct reply *r, const char *why)
{
	size_t size = strlen(why);

	if (size > ERROR_SIZE) {
		size = ERROR_SIZE;
		while (size &&
		       ((unsigned char)why[size] & 0xc0) == 0x80) /* inside a character */
			size--;
	}
	r->closing = true;
	text_add(r, "{\"error\":");
	string_add(r, why, size);
	text_add(r, "}\n");
}

/*
 * Run one statement. Returns 1 to go on, 0 when an error line ended the reply, or -errno of
 * the flush.
 */
static int statement_run(sqlite3 *db, sqlite3_stmt *stmt, struct reply *r)
{
	const char *before = "[";
	const char *fault = NULL;
	int rc, ret = 0;

	while (!fault && ret == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		size_t start = r->len;

		text_add(r, before);
		row_add(r, stmt);
		fault = r->fault;
		if (fault)
			reply_cut(r, start);
		else
			before = ",\n";
		if (r->len >= FLUSH_SIZE)
			ret = reply_flush(r);
	}
	if (ret < 0)
		return ret;
	r->closing = true;
	if (*before == ',')
		text_add(r, "]\n");
	if (!fault && rc != SQLITE_DONE)
		fault = sqlite3_errmsg(db);
	if (fault)
		error_add(r, fault);
	r->closing = false;
	return fault ? 0 : 1;
}

int sql_answer(sqlite3 *db, const char *sql, struct reply *r)
{
	int ret = 1;

	while (ret > 0 && *sql) {
		sqlite3_stmt *stmt;

		if (sqlite3_prepare_v2(db, sql, -1, &stmt, &sql) != SQLITE_OK) {
			error_add(r, sqlite3_errmsg(db));
			break;
		}
		if (stmt) /* not only a comment or ';' */
			ret = statement_run(db, stmt, r);
		sqlite3_finalize(stmt);
	}
	return ret < 0 ? ret : 0;
}
