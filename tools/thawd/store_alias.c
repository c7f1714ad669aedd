/* SPDX-License-Identifier: Apache-2.0 */
/* store_alias.c - changes of aliases. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thawd/store_state.h"

/* Is there what @alias is to point to, and may it be put there? */
static int prepare_alias(struct store *s, const char *name, enum store_put how,
			 const struct store_alias *alias, const char *revision, struct err *err)
{
	struct store_record r;
	struct store_alias old;
	int ret = store_find_version(&s->write, name, alias->version, &r, err);

	if (ret < 0)
		return ret;
	ret = store_find_alias(&s->write, name, alias->name, &old, err);
	if (ret == 0 && how == STORE_CREATE)
		return err_set(err, EEXIST, "function %s has an alias %s already", name,
			       alias->name);
	if (ret == 0)
		return store_check_revision(old.revision, revision, err);
	return ret == -ENOENT && how != STORE_UPDATE && !revision ? 0 : ret;
}

static int save_alias(struct store *s, const char *name, struct store_alias *alias,
		      struct err *err)
{
	char now[STAMP_TIME_SIZE];
	int ret = stamp_uuid(alias->revision, err);

	if (ret < 0)
		return ret;
	stamp_time(now, stamp_now_ms());
	ret = DB_RUN(&s->write, STORE_PUT_ALIAS, err, DB_TEXT(name), DB_TEXT(alias->name),
		     DB_INT(alias->version), DB_TEXT(alias->description), DB_TEXT(now),
		     DB_TEXT(alias->revision));
	return ret < 0 ? ret : store_find_alias(&s->write, name, alias->name, alias, err);
}

int store_put_alias(struct store *s, const char *name, enum store_put how,
		    struct store_alias *alias, const char *revision, struct err *err)
{
	int ret = names_check_function(name, err);

	if (ret == 0)
		ret = names_check_alias(alias->name, err);
	if (ret == 0)
		ret = store_check_description(alias->description, err);
	if (ret == 0)
		ret = store_begin(s, err);
	if (ret < 0)
		return ret;
	ret = prepare_alias(s, name, how, alias, revision, err);
	if (ret == 0)
		ret = save_alias(s, name, alias, err);
	return store_end(s, ret, err);
}

int store_delete_alias(struct store *s, const char *name, const char *alias, struct err *err)
{
	struct store_alias a;
	int ret = names_check_function(name, err);

	if (ret == 0)
		ret = names_check_alias(alias, err);
	if (ret == 0)
		ret = store_begin(s, err);
	if (ret < 0)
		return ret;
	ret = store_find_alias(&s->write, name, alias, &a, err);
	if (ret == 0)
		ret = DB_RUN(&s->write, STORE_DELETE_ALIAS, err, DB_TEXT(name), DB_TEXT(alias));
	return store_end(s, ret, err);
}
