/* SPDX-License-Identifier: Apache-2.0 */
/* functions.c - functions that were asked for: found in the store, loaded, handed to the policy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG "thawd"
#include "engine/err.h"
#include "engine/log.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/manager_state.h"
#include "tools/thawd/queue.h"

/* Ours: invocations that wait for one function. */
#define MAX_QUEUED 10000u
/* Ours: beyond its own timeout, in which a machine stops by itself, before it is killed. */
#define GRACE (2 * NSEC_PER_SEC)
/* Ours: for a machine, before a client hears that there are too many of its kind. */
#define WAIT (10 * NSEC_PER_SEC)

static struct policy_function policy_of(const struct function *f)
{
	const struct store_record *r = &f->record;
	const struct store_config *c = &r->config;

	return (struct policy_function){
		.memory = c->memory ? c->memory : machines_memory(f->kind),
		.mode = c->mode,
		.weight = c->weight,
		.min = c->min,
		.max = c->max,
		.provisioned = r->provisioned,
		.is_reserved = r->is_reserved,
		.reserved = r->reserved,
		.group = f->group,
		.max_queued = MAX_QUEUED,
		.idle_timeout = c->idle_timeout_ms * NSEC_PER_MSEC,
		.wait = WAIT,
		.timeout = c->timeout_ms * NSEC_PER_MSEC + GRACE,
	};
}

/* ---- logs ---- */

/* Ours: what is printed meanwhile is written at once. */
#define WRITE_AFTER (20 * NSEC_PER_MSEC)

void function_print(struct function *f, const void *text, size_t len)
{
	struct manager *m = f->m;

	function_log_add(&f->log, text, len);
	if (f->log.len == 0 || f->is_unwritten)
		return;
	f->is_unwritten = true;
	LIST_INSERT_HEAD(&m->unwritten, f, unwritten);
	if (m->write_at == 0)
		m->write_at = clock_monotonic() + WRITE_AFTER;
}

void function_write_log(struct function *f)
{
	if (!f->is_unwritten)
		return;
	function_log_flush(&f->log);
	LIST_REMOVE(f, unwritten);
	f->is_unwritten = false;
}

void manager_write_logs(struct manager *m)
{
	while (!LIST_EMPTY(&m->unwritten))
		function_write_log(LIST_FIRST(&m->unwritten));
	m->write_at = 0;
}

/* ---- ends ---- */

static void work_collect(struct job *job)
{
	const struct manager *m = container_of(job, struct manager, collect);
	struct err err;

	if (store_collect(m->config.store, &err) < 0)
		log_warn("images that nobody needs: %s", err.text);
}

static void collect(struct manager *m);

static void done_collect(struct job *job)
{
	struct manager *m = container_of(job, struct manager, collect);

	m->collects = false;
	if (m->collect_again)
		collect(m);
}

/* On a thread: it waits for the disk. */
static void collect(struct manager *m)
{
	m->collect_again = m->collects;
	if (m->collects)
		return;
	m->collects = true;
	m->collect = (struct job){ .work = work_collect, .done = done_collect };
	jobs_add(m->config.jobs, &m->collect);
}

static void function_free(struct function *f)
{
	struct function **at;

	for (at = &f->m->functions; *at != f; at = &(*at)->next)
		;
	*at = f->next;
	f->m->nfunctions--;
	known_forget(&f->m->known);
	if (f->kind)
		machines_unload(f->kind);
	function_write_log(f);
	function_log_close(&f->log);
	if (store_release(f->m->config.store, f->record.image) && !f->m->is_stopping)
		collect(f->m);
	free(f);
}

static void refuse_waiting(struct function *f, const struct outcome *why)
{
	while (f->first) {
		struct invocation *inv = f->first;

		f->first = inv->next;
		invocation_end(inv, why);
	}
	f->end = &f->first;
}

static void free_if_unused(struct function *f)
{
	if (f->state == FUNCTION_REMOVED && f->nslots == 0 && f->ninvocations == 0)
		function_free(f);
}

void function_lost_invocation(struct function *f)
{
	f->ninvocations--;
	free_if_unused(f);
}

void function_lost_slot(struct function *f)
{
	f->nslots--;
	free_if_unused(f);
}

void function_pass_on(struct invocation *inv)
{
	const struct outcome gone = { .error = AWS_RESOURCE_CONFLICT,
				      .message = "the function was changed or removed" };
	struct function *f = inv->function, *next;
	struct err err;

	if (!f->m->is_closing &&
	    function_find(&next, f->m, f->record.name, f->version, &err) == 0) {
		invocation_move(inv, next);
		return;
	}
	f->counts[FUNCTION_REFUSED]++;
	invocation_end(inv, &gone);
}

void function_remove(struct function *f)
{
	enum function_state state = f->state;
	struct invocation *inv = f->first;

	f->state = FUNCTION_REMOVED;
	known_forget(&f->m->known);
	if (state == FUNCTION_READY)
		policy_remove(f->m->policy, f->number);
	f->first = NULL;
	f->ninvocations++; /* until all have gone */
	while (inv) {
		struct invocation *next = inv->next;

		function_pass_on(inv);
		inv = next;
	}
	function_lost_invocation(f);
}

/* ---- beginnings ---- */

static int add_to_policy(struct function *f, struct err *err)
{
	const struct policy_function p = policy_of(f);
	int number = policy_add(f->m->policy, &p, err);

	if (number < 0)
		return number;
	f->number = (uint32_t)number;
	f->m->by_number[number] = f;
	f->state = FUNCTION_READY;
	return 0;
}

void function_loaded(void *kind_data, const struct thaw_err *err, void *data)
{
	struct function *f = kind_data;
	struct outcome why = { .error = AWS_SERVICE };
	struct err add;

	(void)data;
	if (!err && add_to_policy(f, &add) == 0) {
		while (f->first) {
			struct invocation *inv = f->first;

			f->first = inv->next;
			f->nwaiting--;
			invocation_arrive(inv);
		}
		f->end = &f->first;
		return;
	}
	why.message = err ? err->text : add.text;
	log_warn_of(f->record.name, "%s", why.message);
	/* The next one to ask tries anew. */
	f->state = FUNCTION_REMOVED;
	f->ninvocations++; /* until all have gone */
	refuse_waiting(f, &why);
	function_lost_invocation(f);
}

static int function_load(struct function *f, struct err *err)
{
	struct store *store = f->m->config.store;
	char path[STORE_PATH_SIZE];
	int ret = store_hold(store, f->record.image, err);

	if (ret < 0)
		return ret;
	store_image_path(store, f->record.image, path);
	ret = machines_load(&f->kind, f->m->machines, path, f, err);
	if (ret < 0)
		store_release(store, f->record.image);
	return ret;
}

/* That of the other versions, if there are any. */
static uint32_t group_of(struct manager *m, const char *name)
{
	const struct function *f = m->functions;

	while (f && strcmp(f->record.name, name) != 0)
		f = f->next;
	return f ? f->group : ++m->ngroups;
}

static int function_make(struct function **out, struct manager *m,
			 const struct store_record *record, struct err *err)
{
	struct function *f;
	int ret;

	if (m->nfunctions == m->config.limits.functions)
		return err_set(err, ENOSPC, "%u functions are in use, no more are allowed",
			       m->nfunctions);
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_set(err, ENOMEM, "no memory for a function");
	f->m = m;
	f->record = *record;
	f->group = group_of(m, record->name);
	f->end = &f->first;
	names_version(f->version, record->version);
	ret = function_load(f, err);
	if (ret < 0) {
		free(f);
		return ret;
	}
	function_log_open(&f->log, m->config.log_dir, record->name);
	f->next = m->functions;
	m->functions = f;
	m->nfunctions++;
	*out = f;
	return 0;
}

static struct function *find_loaded(struct manager *m, const struct store_record *r)
{
	struct function *f = m->functions;

	while (f && (f->state == FUNCTION_REMOVED || f->record.version != r->version ||
		     strcmp(f->record.name, r->name) != 0))
		f = f->next;
	return f;
}

static int find_once(struct function **out, struct manager *m, const char *name,
		     const char *qualifier, struct err *err)
{
	struct store_record record;
	int ret = store_resolve(m->config.store, name, qualifier[0] ? qualifier : NULL, &record,
				err);

	if (ret < 0)
		return ret;
	*out = find_loaded(m, &record);
	/* manager_changed() was not heard of yet, or comes next. */
	if (*out && strcmp((*out)->record.revision, record.revision) != 0) {
		function_remove(*out);
		*out = find_loaded(m, &record); /* for those that waited */
	}
	return *out ? 0 : function_make(out, m, &record, err);
}

int function_find(struct function **out, struct manager *m, const char *name,
		  const char *qualifier, struct err *err)
{
	uint64_t changes = store_changes(m->config.store);
	int ret;

	*out = known_find(&m->known, changes, name, qualifier);
	if (*out)
		return 0;
	ret = find_once(out, m, name, qualifier, err);
	/* Its image was replaced between the two: the next look sees the new one, or none. */
	if (ret == -ENOENT)
		ret = find_once(out, m, name, qualifier, err);
	if (ret == 0)
		known_add(&m->known, changes, name, qualifier, *out);
	return ret;
}

/* ---- ahead of the first call ---- */

#define PAGE 64 /* records at once; ours */

static int preload(struct manager *m, const struct store_record *r, struct err *err)
{
	char version[NAMES_QUALIFIER_SIZE];
	struct function *f;

	if (r->config.min == 0 && r->provisioned == 0)
		return 0;
	names_version(version, r->version);
	return function_find(&f, m, r->name, version, err);
}

/* All versions of function @name. @r: room for a page. Returns how many, or -errno. */
static int preload_versions(struct manager *m, const char *name, struct store_record *r,
			    struct err *err)
{
	int64_t marker = -1;
	int n, ret = 0;

	do {
		n = store_list_versions(m->config.store, name, marker, PAGE, r, err);
		for (int i = 0; i < n && ret == 0; i++)
			ret = preload(m, &r[i], err);
		marker = n > 0 ? r[n - 1].version : marker;
	} while (n == PAGE && ret == 0);
	return MIN(n, ret);
}

/* Of one that was changed: the next one to ask for it hears what is wrong. */
static void preload_function(struct manager *m, const char *name)
{
	auto_free struct store_record *r = calloc(PAGE, sizeof(*r));
	struct err err = { "no memory for a list of versions" };

	if (!r || preload_versions(m, name, r, &err) < 0)
		log_warn_of(name, "%s", err.text);
}

int manager_preload(struct manager *m, struct err *err)
{
	auto_free struct store_record *r = calloc(2 * (size_t)PAGE, sizeof(*r));
	char marker[NAMES_FUNCTION_SIZE] = "";
	int n, ret = 0;

	if (!r)
		return err_set(err, ENOMEM, "no memory for a list of functions");
	do {
		n = store_list(m->config.store, marker, PAGE, r, err);
		for (int i = 0; i < n && ret >= 0; i++)
			ret = preload_versions(m, r[i].name, r + PAGE, err);
		if (n > 0)
			memcpy(marker, r[n - 1].name, sizeof(marker));
	} while (n == PAGE && ret >= 0);
	return MIN(MIN(n, ret), 0);
}

/* ---- changes ---- */

/* What is set aside for a version. */
struct share {
	bool is_reserved;
	uint32_t reserved, provisioned;
};

static struct share share_of(const struct store_record *r)
{
	return (struct share){ r->is_reserved, r->reserved, r->provisioned };
}

static void put_share(struct store_record *r, struct share s)
{
	r->is_reserved = s.is_reserved;
	r->reserved = s.reserved;
	r->provisioned = s.provisioned;
}

/* Of @f, whose image and settings are as they were. Errors: as policy_change; nothing has changed
 * then, so that the next change tries it again. */
static int set_aside(struct function *f, struct share s, struct err *err)
{
	struct share before = share_of(&f->record);
	struct policy_function p;
	int ret = 0;

	put_share(&f->record, s);
	p = policy_of(f);
	if (f->state == FUNCTION_READY)
		ret = policy_change(f->m->policy, f->number, &p, err);
	if (ret < 0)
		put_share(&f->record, before);
	return ret;
}

/*
 * No more than it has, and than it is to have. A reservation itself goes only when all versions of it
 * have come down to one slot. What is refused here, since others have not shrunk yet, grow does.
 */
static void shrink(struct function *f, const struct store_record *now)
{
	struct share s = share_of(&f->record);
	struct err err;

	s.provisioned = MIN(s.provisioned, now->provisioned);
	s.reserved = MIN(s.reserved, now->is_reserved ? now->reserved : MAX(s.provisioned, 1u));
	if (set_aside(f, s, &err) < 0)
		log_debug("%s: version %s, at first: %s", f->record.name, f->version, err.text);
}

static void grow(struct function *f, const struct store_record *now)
{
	struct err err;

	if (set_aside(f, share_of(now), &err) < 0)
		log_warn_of(f->record.name, "version %s: %s", f->version, err.text);
}

static bool is_version_of(const struct function *f, const char *name)
{
	return f->state != FUNCTION_REMOVED && strcmp(f->record.name, name) == 0;
}

/* A version of @name that is loaded, and in the store another one by now, or gone. NULL: none. */
static struct function *find_changed(const struct manager *m, const char *name)
{
	struct store_record now;
	struct function *f;

	for (f = m->functions; f; f = f->next) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): who was freed left this list */
		if (is_version_of(f, name) &&
		    (store_resolve(m->config.store, name, f->version, &now, NULL) < 0 ||
		     strcmp(now.revision, f->record.revision) != 0))
			return f;
	}
	return NULL;
}

/* Each version of @name that is loaded, with what the store has of it. */
static void for_versions(const struct manager *m, const char *name,
			 void (*change)(struct function *f, const struct store_record *now))
{
	struct store_record now;

	for (struct function *f = m->functions; f; f = f->next) {
		if (is_version_of(f, name) &&
		    store_resolve(m->config.store, name, f->version, &now, NULL) == 0)
			change(f, &now);
	}
}

void manager_changed(struct manager *m, const char *name)
{
	struct store_record now;
	struct function *f;
	struct err err;
	int ret;

	policy_tick(m->policy, clock_monotonic());
	while ((f = find_changed(m, name)))
		function_remove(f);
	/* One after the other, and together they are never more than before or after. */
	for_versions(m, name, shrink);
	for_versions(m, name, grow);
	ret = store_resolve(m->config.store, name, NULL, &now, NULL);
	if (ret == 0)
		preload_function(m, name);
	else if (ret == -ENOENT && queue_forget(m->config.queue, name, &err) < 0)
		log_warn_of(name, "its events: %s", err.text);
}
