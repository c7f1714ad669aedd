/* SPDX-License-Identifier: Apache-2.0 */
/* store_read.c - what is asked on the way of an invocation, and lists. */
#include <errno.h>

#include "engine/err.h"
#include "tools/thawd/store_state.h"

static int find_aliased(struct db *db, const char *name, const char *alias,
			struct store_record *out, struct err *err)
{
	int ret = DB_QUERY(db, STORE_GET_ALIASED, err, DB_TEXT(name), DB_TEXT(alias));
	struct store_alias found;

	if (ret == 0) {
		ret = store_find_alias(db, name, alias, &found, err);
		/* Made since it was asked for. */
		return ret < 0 ? ret : store_find_version(db, name, found.version, out, err);
	}
	if (ret < 0)
		return ret;
	store_record_load(out, db, STORE_GET_ALIASED);
	db_end(db, STORE_GET_ALIASED);
	return 0;
}

int store_resolve(struct store *s, const char *name, const char *qualifier,
		  struct store_record *out, struct err *err)
{
	int64_t version;
	int kind = names_qualified(name, qualifier, &version, err);
	int ret;

	if (kind < 0)
		return kind;
	pthread_mutex_lock(&s->read_lock);
	if (kind == NAMES_VERSION)
		ret = store_find_version(&s->read, name, version, out, err);
	else
		ret = find_aliased(&s->read, name, qualifier, out, err);
	pthread_mutex_unlock(&s->read_lock);
	return ret;
}

int store_get_alias(struct store *s, const char *name, const char *alias,
		    struct store_alias *out, struct err *err)
{
	int ret = names_check_function(name, err);

	if (ret == 0)
		ret = names_check_alias(alias, err);
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&s->read_lock);
	ret = store_find_alias(&s->read, name, alias, out, err);
	pthread_mutex_unlock(&s->read_lock);
	return ret;
}

static int check_max(size_t max, struct err *err)
{
	if (max >= 1 && max <= STORE_PAGE_MAX)
		return 0;
	return err_set(err, EINVAL, "a page of %zu entries, expected 1 to %u", max,
		       STORE_PAGE_MAX);
}

/* The rows of a query whose first step gave @ret. */
static int load_records(struct db *db, enum store_statement id, int ret,
			struct store_record *out, struct err *err)
{
	int n = 0;

	for (; ret == 1; ret = db_next(db, id, err))
		store_record_load(&out[n++], db, id);
	return ret < 0 ? ret : n;
}

int store_list(struct store *s, const char *marker, size_t max, struct store_record *out,
	       struct err *err)
{
	int ret = check_max(max, err);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&s->read_lock);
	ret = DB_QUERY(&s->read, STORE_LIST, err, DB_TEXT(marker ? marker : ""), DB_INT(max));
	ret = load_records(&s->read, STORE_LIST, ret, out, err);
	pthread_mutex_unlock(&s->read_lock);
	return ret;
}

/* A list of @max things of a function that is there. */
static int check_list(struct store *s, const char *name, size_t max, struct err *err)
{
	struct store_record latest;
	int ret = check_max(max, err);

	return ret < 0 ? ret : store_resolve(s, name, NULL, &latest, err);
}

int store_list_versions(struct store *s, const char *name, int64_t marker, size_t max,
			struct store_record *out, struct err *err)
{
	int ret = check_list(s, name, max, err);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&s->read_lock);
	ret = DB_QUERY(&s->read, STORE_LIST_VERSIONS, err, DB_TEXT(name), DB_INT(marker),
		       DB_INT(max));
	ret = load_records(&s->read, STORE_LIST_VERSIONS, ret, out, err);
	pthread_mutex_unlock(&s->read_lock);
	return ret;
}

static int load_aliases(struct db *db, int ret, struct store_alias *out, struct err *err)
{
	int n = 0;

	for (; ret == 1; ret = db_next(db, STORE_LIST_ALIASES, err))
		store_alias_load(&out[n++], db, STORE_LIST_ALIASES);
	return ret < 0 ? ret : n;
}

int store_list_aliases(struct store *s, const char *name, const char *marker, size_t max,
		       struct store_alias *out, struct err *err)
{
	int ret = check_list(s, name, max, err);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&s->read_lock);
	ret = DB_QUERY(&s->read, STORE_LIST_ALIASES, err, DB_TEXT(name),
		       DB_TEXT(marker ? marker : ""), DB_INT(max));
	ret = load_aliases(&s->read, ret, out, err);
	pthread_mutex_unlock(&s->read_lock);
	return ret;
}
