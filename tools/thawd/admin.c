/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thawd/admin_ask.h"
#include "tools/thawd/aws_error.h"
#include "tools/thawd/catalogue.h"
#include "tools/thawd/function_log.h"
#include "tools/thawd/jobs.h"
#include "tools/thawd/manager.h"
#include "tools/thawd/store.h"

#define BODY_MAX (64u << 10)  /* of a request; ours */
#define LOG_MAX	 (256u << 10) /* of a log that is shown at once; ours */

/* A change of the store on its way: asked for, made on a thread, answered. */
struct change {
	struct job job;
	struct admin *admin;
	struct http_request *request; /* NULL: the client has gone */
	struct admin_ask ask;
	int (*make)(struct change *c, struct err *err);
	struct store_record record; /* what is there now */
	bool has_record;
	int ret;
	struct err err;
};

/* ---- answers ---- */

static enum aws_error error_of(int ret)
{
	switch (ret) {
	case -ENOENT:
		return AWS_RESOURCE_NOT_FOUND;
	case -EEXIST:
	case -EBUSY:
	case -ESTALE:
		return AWS_RESOURCE_CONFLICT;
	case -EINVAL:
	case -ENOTDIR:
	case -ERR_DAMAGED:
	case -ERR_UNFIT:
		return AWS_INVALID_PARAMETER;
	default:
		return AWS_SERVICE;
	}
}

static void refuse(struct http_request *r, int ret, const struct err *err)
{
	aws_refuse(r, &(struct aws_refusal){ .error = error_of(ret), .message = err->text });
}

static void answer(const struct change *c)
{
	if (c->ret < 0)
		refuse(c->request, c->ret, &c->err);
	else
		aws_answer_json(c->request, 200,
				c->has_record ? catalogue_configuration(&c->record)
					      : json_object());
}

/* ---- on the thread ---- */

static int make_put(struct change *c, struct err *err)
{
	struct store *s = c->admin->store;
	struct admin_ask *a = &c->ask;
	struct store_change change = { .how = STORE_EITHER,
				       .dir = a->image,
				       .config = &a->config };
	int ret = store_put(s, a->function, &change, &c->record, err);

	c->has_record = true;
	if (ret == 0 && a->has_reserved)
		ret = store_reserve(s, a->function, a->reserved, err);
	if (ret == 0 && a->has_provisioned)
		ret = store_provision(s, a->function, NAMES_LATEST, a->provisioned, err);
	return ret;
}

static int make_delete(struct change *c, struct err *err)
{
	return store_delete(c->admin->store, c->ask.function, err);
}

static int make_version(struct change *c, struct err *err)
{
	c->has_record = true;
	return store_publish(c->admin->store, c->ask.function, NULL, NULL, &c->record, err);
}

static int make_alias(struct change *c, struct err *err)
{
	struct store *s = c->admin->store;
	const struct admin_ask *a = &c->ask;
	struct store_alias alias = { 0 };
	int ret;

	if (store_get_alias(s, a->function, a->alias, &alias, NULL) < 0)
		memcpy(alias.name, a->alias, sizeof(alias.name));
	if (a->version > 0)
		alias.version = a->version;
	if (alias.version == 0)
		return err_set(err, EINVAL, "version is missing");
	ret = store_put_alias(s, a->function, STORE_EITHER, &alias, NULL, err);
	if (ret == 0 && a->has_provisioned)
		ret = store_provision(s, a->function, a->alias, a->provisioned, err);
	return ret;
}

static int make_no_alias(struct change *c, struct err *err)
{
	return store_delete_alias(c->admin->store, c->ask.function, c->ask.alias, err);
}

static void work(struct job *job)
{
	struct change *c = container_of(job, struct change, job);

	c->ret = c->make(c, &c->err);
}

/* ---- on the loop ---- */

static void change_free(struct change *c)
{
	admin_ask_free(&c->ask);
	free(c);
}

static void done(struct job *job)
{
	struct change *c = container_of(job, struct change, job);

	/* A part may be done also if not all of it is. */
	manager_changed(c->admin->manager, c->ask.function);
	if (c->request)
		answer(c);
	change_free(c);
}

/* What was begun is not undone. */
static void on_cancel(void *data)
{
	struct change *c = data;

	c->request = NULL;
}

static int read_ask(struct change *c, struct http_request *r, bool has_body)
{
	const struct uri *u = http_uri(r);
	int ret = admin_ask_names(&c->ask, u, &c->err);

	return ret == 0 && has_body ? admin_ask_body(&c->ask, c->admin->store, r, &c->err)
				    : ret;
}

static void begin(struct http_request *r, struct admin *a, bool has_body,
		  int (*make)(struct change *c, struct err *err))
{
	struct change *c = calloc(1, sizeof(*c));
	int ret;

	if (!c) {
		refuse(r, -ENOMEM, &(struct err){ "no memory for a request" });
		return;
	}
	*c = (struct change){
		.job = { .work = work, .done = done }, .admin = a, .request = r, .make = make
	};
	ret = read_ask(c, r, has_body);
	if (ret < 0) {
		refuse(r, ret, &c->err);
		change_free(c);
		return;
	}
	http_wait(r, on_cancel, c);
	jobs_add(a->jobs, &c->job);
}

static void on_put(struct http_request *r, void *data)
{
	begin(r, data, true, make_put);
}

static void on_delete(struct http_request *r, void *data)
{
	begin(r, data, false, make_delete);
}

static void on_version(struct http_request *r, void *data)
{
	begin(r, data, false, make_version);
}

static void on_put_alias(struct http_request *r, void *data)
{
	begin(r, data, true, make_alias);
}

static void on_delete_alias(struct http_request *r, void *data)
{
	begin(r, data, false, make_no_alias);
}

/* ---- logs ---- */

#define MARK_SIZE 48u /* two numbers */

/* "INODE-OFFSET", as we gave it out; anything else is a place in no file. */
static struct function_log_mark take_mark(const struct uri *u)
{
	struct function_log_mark mark = { 0 };
	char text[MARK_SIZE], *end;

	if (uri_parameter(u, "After", text, sizeof(text)) > 0) {
		mark.inode = strtoull(text, &end, 10);
		mark.offset = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
	}
	return mark;
}

static void answer_log(struct http_request *r, const struct function_log_mark *mark,
		       const char *text, size_t len)
{
	char next[MARK_SIZE];
	const struct http_field fields[] = { { "X-Thaw-Log-Mark", next } };

	snprintf(next, sizeof(next), "%" PRIu64 "-%" PRIu64, mark->inode, mark->offset);
	http_answer(r, &(struct http_answer){ .status = 200,
					      .type = "text/plain; charset=utf-8",
					      .body = text,
					      .len = len,
					      .fields = fields,
					      .nfields = ARRAY_SIZE(fields) });
}

/* Too large for the stack. */
struct log_ask {
	struct admin_ask ask;
	struct store_record record;
	char text[LOG_MAX];
};

/* The page cache has it. */
static void on_log(struct http_request *r, void *data)
{
	const struct admin *a = data;
	struct function_log_mark mark = take_mark(http_uri(r));
	auto_free struct log_ask *l = calloc(1, sizeof(*l));
	struct err err;
	size_t len;
	int ret = l ? admin_ask_names(&l->ask, http_uri(r), &err)
		    : err_set(&err, ENOMEM, "no memory for a log");

	if (ret == 0)
		ret = store_resolve(a->store, l->ask.function, NULL, &l->record, &err);
	if (ret < 0) {
		refuse(r, ret, &err);
		return;
	}
	manager_write_logs(a->manager);
	len = function_log_read(a->log_dir, l->ask.function, &mark, l->text, LOG_MAX);
	answer_log(r, &mark, l->text, len);
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "PUT",    "/thaw/functions/*",           BODY_MAX, on_put },
	{ "DELETE", "/thaw/functions/*",           0, on_delete },
	{ "POST",   "/thaw/functions/*/versions",  0, on_version },
	{ "PUT",    "/thaw/functions/*/aliases/*", BODY_MAX, on_put_alias },
	{ "DELETE", "/thaw/functions/*/aliases/*", 0, on_delete_alias },
	{ "GET",    "/thaw/functions/*/log",       0, on_log },
};
/* clang-format on */

struct http_routes admin_routes(struct admin *a)
{
	return (struct http_routes){ routes, ARRAY_SIZE(routes), a };
}
