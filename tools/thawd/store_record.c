/* SPDX-License-Identifier: Apache-2.0 */
/* store_record.c - versions and aliases as rows. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thawd/store_state.h"

#define TEXT(to, db, statement, column)                                                        \
	snprintf(to, sizeof(to), "%s", db_text(db, statement, column))

static enum policy_mode mode_of(const char *name)
{
	for (unsigned int i = 0; store_modes[i]; i++) {
		if (strcmp(name, store_modes[i]) == 0)
			return (enum policy_mode)i;
	}
	return POLICY_FRESH; /* the one that trusts nothing */
}

static void config_load(struct store_config *c, const struct db *db, enum store_statement id)
{
	c->memory = (uint64_t)db_int(db, id, 7);
	c->timeout_ms = (uint32_t)db_int(db, id, 8);
	c->mode = mode_of(db_text(db, id, 9));
	c->min = (uint32_t)db_int(db, id, 10);
	c->max = (uint32_t)db_int(db, id, 11);
	c->idle_timeout_ms = (uint32_t)db_int(db, id, 12);
	c->weight = (uint32_t)db_int(db, id, 13);
	TEXT(c->description, db, id, 14);
	TEXT(c->environment, db, id, 15);
}

void store_record_load(struct store_record *r, const struct db *db, enum store_statement id)
{
	TEXT(r->name, db, id, 0);
	r->version = db_int(db, id, 1);
	TEXT(r->image, db, id, 2);
	TEXT(r->code_sha256, db, id, 3);
	r->code_size = (uint64_t)db_int(db, id, 4);
	TEXT(r->modified, db, id, 5);
	TEXT(r->revision, db, id, 6);
	config_load(&r->config, db, id);
	r->is_reserved = !db_is_null(db, id, 16);
	r->reserved = (uint32_t)db_int(db, id, 16);
	r->provisioned = (uint32_t)db_int(db, id, 17);
}

void store_alias_load(struct store_alias *a, const struct db *db, enum store_statement id)
{
	TEXT(a->name, db, id, 0);
	a->version = db_int(db, id, 1);
	TEXT(a->description, db, id, 2);
	TEXT(a->modified, db, id, 3);
	TEXT(a->revision, db, id, 4);
	a->provisioned = (uint32_t)db_int(db, id, 5);
}

static int no_version(struct db *db, const char *name, int64_t version, struct err *err)
{
	int ret = 0;

	if (version != 0)
		ret = DB_QUERY(db, STORE_GET_VERSION, err, DB_TEXT(name), DB_INT(0));
	if (ret < 0)
		return ret;
	db_end(db, STORE_GET_VERSION);
	if (ret == 0)
		return err_set(err, ENOENT, "there is no function %s", name);
	return err_set(err, ENOENT, "function %s has no version %" PRId64, name, version);
}

int store_find_version(struct db *db, const char *name, int64_t version,
		       struct store_record *out, struct err *err)
{
	int ret = DB_QUERY(db, STORE_GET_VERSION, err, DB_TEXT(name), DB_INT(version));

	if (ret == 0)
		return no_version(db, name, version, err);
	if (ret < 0)
		return ret;
	store_record_load(out, db, STORE_GET_VERSION);
	db_end(db, STORE_GET_VERSION);
	return 0;
}

int store_find_alias(struct db *db, const char *name, const char *alias,
		     struct store_alias *out, struct err *err)
{
	int ret = DB_QUERY(db, STORE_GET_ALIAS, err, DB_TEXT(name), DB_TEXT(alias));
	struct store_record latest;

	if (ret == 0)
		ret = store_find_version(db, name, 0, &latest, err);
	else if (ret == 1)
		store_alias_load(out, db, STORE_GET_ALIAS);
	if (ret < 0)
		return ret;
	db_end(db, STORE_GET_ALIAS);
	if (ret == 0)
		return err_set(err, ENOENT, "function %s has no alias %s", name, alias);
	return 0;
}

int store_record_save(struct db *db, struct store_record *r, struct err *err)
{
	const struct store_config *c = &r->config;
	int ret = stamp_uuid(r->revision, err);

	if (ret < 0)
		return ret;
	stamp_time(r->modified, stamp_now_ms());
	ret = DB_RUN(db, STORE_PUT_VERSION, err, DB_TEXT(r->name), DB_INT(r->version),
		     DB_TEXT(r->image), DB_TEXT(r->modified), DB_TEXT(r->revision),
		     DB_INT(c->memory), DB_INT(c->timeout_ms), DB_TEXT(store_modes[c->mode]),
		     DB_INT(c->min), DB_INT(c->max), DB_INT(c->idle_timeout_ms),
		     DB_INT(c->weight), DB_TEXT(c->description), DB_TEXT(c->environment));
	return MIN(ret, 0);
}
