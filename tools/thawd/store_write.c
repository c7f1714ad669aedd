/* SPDX-License-Identifier: Apache-2.0 */
/* store_write.c - changes of functions and versions. Each is one transaction under write_lock. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thawd/store_state.h"

/* ---- put ---- */

/* May @change be made of what is there, which goes to @r? A new function's has defaults. */
static int prepare(struct store *s, const char *name, const struct store_change *change,
		   struct store_record *r, struct err *err)
{
	int ret = store_find_version(&s->write, name, 0, r, err);
	bool is_new = ret == -ENOENT;

	if (ret < 0 && !(is_new && change->how != STORE_UPDATE))
		return ret;
	if (is_new && change->revision)
		return ret;
	if (is_new && !change->dir)
		return err_set(err, EINVAL, "a new function needs an image: %s", name);
	if (!is_new && change->how == STORE_CREATE)
		return err_set(err, EEXIST, "there is a function %s already", name);
	if (!is_new)
		return store_check_revision(r->revision, change->revision, err);
	*r = (struct store_record){ 0 };
	snprintf(r->name, sizeof(r->name), "%s", name);
	store_config_default(&r->config);
	return 0;
}

static int save(struct store *s, struct store_record *r, struct err *err)
{
	int ret = db_begin(&s->write, err);

	if (ret < 0)
		return ret;
	ret = DB_RUN(&s->write, STORE_PUT_FUNCTION, err, DB_TEXT(r->name));
	if (ret >= 0)
		ret = store_record_save(&s->write, r, err);
	if (ret >= 0)
		ret = store_find_version(&s->write, r->name, 0, r, err);
	return store_commit(s, ret, err);
}

static int put(struct store *s, const char *name, const struct store_change *change,
	       struct store_record *r, struct err *err)
{
	int ret = prepare(s, name, change, r, err);

	if (ret == 0 && change->config) {
		r->config = *change->config;
		ret = store_config_settle(&r->config, err);
	}
	if (ret == 0 && change->dir)
		ret = store_import(s, change->dir, r->image, err);
	if (ret == 0)
		ret = save(s, r, err);
	if (change->dir) /* the old one, or what became of no use */
		store_sweep(s, NULL);
	return ret;
}

int store_put(struct store *s, const char *name, const struct store_change *change,
	      struct store_record *out, struct err *err)
{
	int ret = names_check_function(name, err);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&s->write_lock);
	ret = put(s, name, change, out, err);
	pthread_mutex_unlock(&s->write_lock);
	return ret;
}

/* ---- publish ---- */

static bool is_same(const struct store_record *a, const struct store_record *b)
{
	const struct store_config *x = &a->config, *y = &b->config;

	return strcmp(a->image, b->image) == 0 && x->memory == y->memory &&
	       x->timeout_ms == y->timeout_ms && x->mode == y->mode && x->min == y->min &&
	       x->max == y->max && x->idle_timeout_ms == y->idle_timeout_ms &&
	       x->weight == y->weight && strcmp(x->description, y->description) == 0 &&
	       strcmp(x->environment, y->environment) == 0;
}

/* The last version, if it is the same as @r: returns 1, and it is in @r then. */
static int is_published(struct store *s, struct store_record *r, struct err *err)
{
	struct store_record last;
	int64_t number;
	int ret = DB_QUERY(&s->write, STORE_LAST_VERSION, err, DB_TEXT(r->name));

	if (ret < 0)
		return ret;
	number = db_int(&s->write, STORE_LAST_VERSION, 0);
	db_end(&s->write, STORE_LAST_VERSION);
	if (number == 0)
		return 0;
	ret = store_find_version(&s->write, r->name, number, &last, err);
	if (ret < 0 || !is_same(&last, r))
		return ret;
	*r = last;
	return 1;
}

static int add_version(struct store *s, struct store_record *r, struct err *err)
{
	int ret = DB_QUERY(&s->write, STORE_NEXT_NUMBER, err, DB_TEXT(r->name));

	if (ret < 0)
		return ret;
	r->version = db_int(&s->write, STORE_NEXT_NUMBER, 0);
	ret = db_next(&s->write, STORE_NEXT_NUMBER, err);
	if (ret == 0)
		ret = store_record_save(&s->write, r, err);
	if (ret == 0)
		ret = store_find_version(&s->write, r->name, r->version, r, err);
	return ret;
}

static int publish(struct store *s, const char *description, const char *revision,
		   struct store_record *r, struct err *err)
{
	int ret = store_check_revision(r->revision, revision, err);

	if (ret == 0 && description)
		ret = store_check_description(description, err);
	if (ret < 0)
		return ret;
	if (description)
		snprintf(r->config.description, sizeof(r->config.description), "%s",
			 description);
	ret = is_published(s, r, err);
	return ret == 0 ? add_version(s, r, err) : ret;
}

int store_publish(struct store *s, const char *name, const char *description,
		  const char *revision, struct store_record *out, struct err *err)
{
	int ret = names_check_function(name, err);

	if (ret == 0)
		ret = store_begin(s, err);
	if (ret < 0)
		return ret;
	ret = store_find_version(&s->write, name, 0, out, err);
	if (ret == 0)
		ret = publish(s, description, revision, out, err);
	return store_end(s, ret, err);
}

/* ---- concurrency ---- */

static int check_slots(int64_t slots, int64_t min, struct err *err)
{
	if (slots >= min && slots <= STORE_MAX_SLOTS)
		return 0;
	return err_set(err, EINVAL, "%" PRId64 " slots, expected %" PRId64 " to %u", slots, min,
		       STORE_MAX_SLOTS);
}

int store_reserve(struct store *s, const char *name, int64_t slots, struct err *err)
{
	int ret = names_check_function(name, err);

	if (ret == 0)
		ret = check_slots(slots, -1, err);
	if (ret == 0)
		ret = store_begin(s, err);
	if (ret < 0)
		return ret;
	ret = DB_RUN(&s->write, STORE_RESERVE, err, DB_TEXT(name), DB_INT(slots));
	if (ret == 0)
		ret = err_set(err, ENOENT, "there is no function %s", name);
	return store_end(s, ret, err);
}

static int provision_version(struct store *s, const char *name, int64_t version, int64_t slots,
			     struct err *err)
{
	struct store_record r;
	int ret = store_find_version(&s->write, name, version, &r, err);

	if (ret == 0)
		ret = DB_RUN(&s->write, STORE_PROVISION, err, DB_TEXT(name), DB_INT(version),
			     DB_INT(slots));
	return ret;
}

static int provision_alias(struct store *s, const char *name, const char *alias, int64_t slots,
			   struct err *err)
{
	struct store_alias a;
	int ret = store_find_alias(&s->write, name, alias, &a, err);

	if (ret == 0)
		ret = DB_RUN(&s->write, STORE_PROVISION_ALIAS, err, DB_TEXT(name),
			     DB_TEXT(alias), DB_INT(slots));
	return ret;
}

int store_provision(struct store *s, const char *name, const char *qualifier, int64_t slots,
		    struct err *err)
{
	int64_t version = 0;
	int kind = names_qualified(name, qualifier, &version, err);
	int ret;

	if (kind < 0)
		return kind;
	ret = check_slots(slots, 0, err);
	if (ret == 0)
		ret = store_begin(s, err);
	if (ret < 0)
		return ret;
	ret = kind == NAMES_VERSION ? provision_version(s, name, version, slots, err)
				    : provision_alias(s, name, qualifier, slots, err);
	return store_end(s, ret, err);
}

/* ---- deletion ---- */

static int delete_all(struct store *s, const char *name, struct err *err)
{
	struct store_record r;
	int ret = store_find_version(&s->write, name, 0, &r, err);

	if (ret == 0)
		ret = DB_RUN(&s->write, STORE_DELETE_ALIASES, err, DB_TEXT(name));
	if (ret >= 0)
		ret = DB_RUN(&s->write, STORE_DELETE_VERSIONS, err, DB_TEXT(name));
	if (ret >= 0)
		ret = DB_RUN(&s->write, STORE_DELETE_FUNCTION, err, DB_TEXT(name));
	return ret;
}

int store_delete(struct store *s, const char *name, struct err *err)
{
	int ret = names_check_function(name, err);

	if (ret == 0)
		ret = store_begin(s, err);
	if (ret < 0)
		return ret;
	return store_end_and_sweep(s, delete_all(s, name, err), err);
}

static int delete_version(struct store *s, const char *name, int64_t version, struct err *err)
{
	struct store_record r;
	int ret = store_find_version(&s->write, name, version, &r, err);

	if (ret == 0)
		ret = DB_QUERY(&s->write, STORE_ALIAS_OF, err, DB_TEXT(name), DB_INT(version));
	if (ret == 1)
		ret = err_set(err, EBUSY,
			      "version %" PRId64 " of %s is what alias %s points to", version,
			      name, db_text(&s->write, STORE_ALIAS_OF, 0));
	db_end(&s->write, STORE_ALIAS_OF);
	if (ret == 0)
		ret = DB_RUN(&s->write, STORE_DELETE_VERSION, err, DB_TEXT(name),
			     DB_INT(version));
	return ret;
}

int store_delete_version(struct store *s, const char *name, int64_t version, struct err *err)
{
	int ret = names_check_function(name, err);

	if (ret == 0 && version == 0)
		ret = err_set(err, EINVAL, NAMES_LATEST " of %s goes only with the function",
			      name);
	if (ret == 0)
		ret = store_begin(s, err);
	if (ret < 0)
		return ret;
	return store_end_and_sweep(s, delete_version(s, name, version, err), err);
}
