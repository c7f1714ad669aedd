/* SPDX-License-Identifier: Apache-2.0 */
/* store_sql.c - the tables of the store, and every statement that is made of them. */
#include "tools/thawd/store_state.h"

/* Numbers of versions that were, also of functions that are gone, are in `published`. */
const struct db_kind store_kind = {
	.what = "store",
	.application_id = 0x74687764, /* ours: "thwd" */
	.version = 1,
	.check = true,
	.schema = "CREATE TABLE image("
		  " id TEXT PRIMARY KEY,"
		  " parent TEXT REFERENCES image,"
		  " sha256 TEXT NOT NULL,"
		  " size INTEGER NOT NULL"
		  ") STRICT, WITHOUT ROWID;"
		  "CREATE INDEX image_parent ON image(parent);"
		  "CREATE TABLE function("
		  " name TEXT PRIMARY KEY,"
		  " reserved INTEGER"
		  ") STRICT, WITHOUT ROWID;"
		  "CREATE TABLE published("
		  " function TEXT PRIMARY KEY,"
		  " last INTEGER NOT NULL"
		  ") STRICT, WITHOUT ROWID;"
		  "CREATE TABLE version("
		  " function TEXT NOT NULL REFERENCES function,"
		  " number INTEGER NOT NULL,"
		  " image TEXT NOT NULL REFERENCES image,"
		  " modified TEXT NOT NULL,"
		  " revision TEXT NOT NULL,"
		  " memory INTEGER NOT NULL,"
		  " timeout_ms INTEGER NOT NULL,"
		  " mode TEXT NOT NULL,"
		  " min INTEGER NOT NULL,"
		  " max INTEGER NOT NULL,"
		  " idle_timeout_ms INTEGER NOT NULL,"
		  " weight INTEGER NOT NULL,"
		  " description TEXT NOT NULL,"
		  " environment TEXT NOT NULL,"
		  " provisioned INTEGER NOT NULL DEFAULT 0,"
		  " PRIMARY KEY(function, number)"
		  ") STRICT, WITHOUT ROWID;"
		  "CREATE INDEX version_image ON version(image);"
		  "CREATE TABLE alias("
		  " function TEXT NOT NULL,"
		  " name TEXT NOT NULL,"
		  " version INTEGER NOT NULL,"
		  " description TEXT NOT NULL,"
		  " modified TEXT NOT NULL,"
		  " revision TEXT NOT NULL,"
		  " provisioned INTEGER NOT NULL DEFAULT 0,"
		  " PRIMARY KEY(function, name),"
		  " FOREIGN KEY(function, version) REFERENCES version"
		  ") STRICT, WITHOUT ROWID;"
		  "CREATE INDEX alias_version ON alias(function, version);",
};

#define RECORDS                                                                                \
	"SELECT v.function, v.number, v.image, i.sha256, i.size, v.modified, v.revision,"      \
	" v.memory, v.timeout_ms, v.mode, v.min, v.max, v.idle_timeout_ms, v.weight,"          \
	" v.description, v.environment, f.reserved, v.provisioned +"                           \
	" (SELECT total(provisioned) FROM alias a WHERE a.function=v.function"                 \
	"  AND a.version=v.number)"                                                            \
	" FROM version v JOIN image i ON i.id=v.image JOIN function f ON f.name=v.function "
#define ALIASES "SELECT name, version, description, modified, revision, provisioned FROM alias "

const char *const store_statements[STORE_NSTATEMENTS] = {
	[STORE_GET_VERSION] = (RECORDS "WHERE v.function=?1 AND v.number=?2"),
	[STORE_GET_ALIASED] =
		(RECORDS "WHERE v.function=?1 AND v.number="
			 "(SELECT version FROM alias WHERE function=?1 AND name=?2)"),
	[STORE_LIST] =
		(RECORDS "WHERE v.function>?1 AND v.number=0 ORDER BY v.function LIMIT ?2"),
	[STORE_LIST_VERSIONS] =
		(RECORDS "WHERE v.function=?1 AND v.number>?2 ORDER BY v.number LIMIT ?3"),
	[STORE_GET_ALIAS] = (ALIASES "WHERE function=?1 AND name=?2"),
	[STORE_LIST_ALIASES] = (ALIASES "WHERE function=?1 AND name>?2 ORDER BY name LIMIT ?3"),
	[STORE_PUT_FUNCTION] = "INSERT INTO function(name) VALUES(?1) ON CONFLICT DO NOTHING",
	[STORE_PUT_VERSION] =
		("INSERT INTO version(function, number, image, modified, revision, memory,"
		 " timeout_ms, mode, min, max, idle_timeout_ms, weight, description, "
		 "environment)"
		 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
		 " ON CONFLICT DO UPDATE SET image=excluded.image, modified=excluded.modified,"
		 " revision=excluded.revision, memory=excluded.memory,"
		 " timeout_ms=excluded.timeout_ms, mode=excluded.mode, min=excluded.min,"
		 " max=excluded.max, idle_timeout_ms=excluded.idle_timeout_ms,"
		 " weight=excluded.weight, description=excluded.description,"
		 " environment=excluded.environment"),
	[STORE_LAST_VERSION] = "SELECT max(number) FROM version WHERE function=?1 AND number>0",
	[STORE_NEXT_NUMBER] = ("INSERT INTO published VALUES(?1, 1)"
			       " ON CONFLICT DO UPDATE SET last=last+1 RETURNING last"),
	[STORE_PUT_ALIAS] =
		("INSERT INTO alias(function, name, version, description, modified, revision)"
		 " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET"
		 " version=excluded.version, description=excluded.description,"
		 " modified=excluded.modified, revision=excluded.revision"),
	[STORE_DELETE_ALIAS] = "DELETE FROM alias WHERE function=?1 AND name=?2",
	[STORE_DELETE_ALIASES] = "DELETE FROM alias WHERE function=?1",
	[STORE_ALIAS_OF] = "SELECT name FROM alias WHERE function=?1 AND version=?2",
	[STORE_DELETE_VERSION] = "DELETE FROM version WHERE function=?1 AND number=?2",
	[STORE_DELETE_VERSIONS] = "DELETE FROM version WHERE function=?1",
	[STORE_DELETE_FUNCTION] = "DELETE FROM function WHERE name=?1",
	[STORE_RESERVE] = "UPDATE function SET reserved=nullif(?2, -1) WHERE name=?1",
	[STORE_PROVISION] = "UPDATE version SET provisioned=?3 WHERE function=?1 AND number=?2",
	[STORE_PROVISION_ALIAS] =
		"UPDATE alias SET provisioned=?3 WHERE function=?1 AND name=?2",
	[STORE_PUT_IMAGE] = "INSERT OR IGNORE INTO image VALUES(?1, ?2, ?3, ?4)",
	[STORE_GET_IMAGE] = "SELECT sha256 FROM image WHERE id=?1",
	[STORE_UNUSED_IMAGES] =
		("SELECT id FROM image i WHERE NOT EXISTS(SELECT 1 FROM version "
		 "WHERE image=i.id)"
		 " AND NOT EXISTS(SELECT 1 FROM image WHERE parent=i.id)"),
	[STORE_DELETE_IMAGE] = "DELETE FROM image WHERE id=?1",
};
