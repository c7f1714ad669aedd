/* SPDX-License-Identifier: Apache-2.0 */
/* run_starts.c - one start or many, the reply, and how long they took. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/run.h"
#include "tools/thaw/timeline.h"

static int allocate(struct run *r, struct err *err)
{
	r->result = mmap(NULL, sizeof(*r->result), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->result == MAP_FAILED)
		return err_sys(err, "map the result");
	r->emulated = calloc(r->starts, sizeof(*r->emulated));
	if (!r->emulated || samples_init(&r->samples, (uint32_t)r->starts) < 0)
		return err_set(err, ENOMEM, "no memory for %llu stamps",
			       (unsigned long long)r->starts);
	return 0;
}

/* Keep the first reply, compare the others with it. */
static int take_reply(struct run *r, bool first, struct err *err)
{
	const struct start_result *result = r->result;

	if (!first) {
		r->differing += result->reply_len != r->reply_len ||
				memcmp(r->reply, result->reply, r->reply_len) != 0;
		return 0;
	}
	r->reply_len = result->reply_len;
	r->reply = malloc(r->reply_len + 1);
	if (!r->reply)
		return err_set(err, ENOMEM, "no memory for %zu bytes of reply", r->reply_len);
	memcpy(r->reply, result->reply, r->reply_len);
	return 0;
}

static int start_one(struct run *r, bool first, struct thaw_err *err)
{
	struct start_result *result = r->result;
	int ret;

	result->crash[0] = '\0';
	result->phases = (struct phases){ 0 };
	result->emulated = 0;
	result->ncounters = 0;
	phase_mark(&result->phases, PHASE_REQUEST);
	if (r->warm)
		start_warm(&r->plan, &r->clone, result);
	else if (r->pool)
		start_in_shell(&r->plan, r->pool, !first, result);
	else if (r->repeat)
		start_in_child(&r->plan, !first, result);
	else
		start_here(&r->plan, false, result);
	ret = result->ret;
	if (ret < 0) {
		*err = result->err;
		return ret;
	}
	r->emulated[r->samples.n] = (double)result->emulated;
	samples_add(&r->samples, &result->phases);
	return take_reply(r, first, cmd_err(err));
}

static int start_all(struct run *r, struct thaw_err *err)
{
	int ret = allocate(r, cmd_err(err));

	for (uint64_t i = 0; i < r->starts && ret == 0; i++)
		ret = start_one(r, i == 0, err);
	return ret;
}

/* ---- what is said of them ---- */

static json_t *rewinds_json(const struct thaw_clone *clone)
{
	struct thaw_rewinds w;

	thaw_clone_rewinds(clone, &w);
	return json_pack("{sI sI sI sI sI sI sI}", "rewinds", (json_int_t)w.rewinds,
			 "pages_compared", (json_int_t)w.pages_compared, "pages_copied",
			 (json_int_t)w.pages_copied, "pages_given_back",
			 (json_int_t)w.pages_given_back, "flushes", (json_int_t)w.flushes,
			 "full_loads", (json_int_t)w.full_loads, "searches",
			 (json_int_t)w.searches);
}

/* What the kernel of the guest did of its own accord, where KVM does it for it. */
static json_t *emulated_json(const struct stats *s)
{
	return json_pack("{sI sI sI sI}", "p50", (json_int_t)s->p50, "p90", (json_int_t)s->p90,
			 "p99", (json_int_t)s->p99, "max", (json_int_t)s->max);
}

/* {"virtio-blk": [{"reads": 1, ...}, ...], ...} of the last start, or of the machine of all. */
static json_t *devices_json(const struct start_result *r)
{
	json_t *doc = json_object();

	for (size_t i = 0; i < r->ncounters; i++) {
		const struct thaw_counter *c = &r->counters[i];
		json_t *list = json_object_get(doc, c->device);

		if (!list) {
			list = json_array();
			json_object_set_new(doc, c->device, list);
		}
		if (json_array_size(list) == c->instance)
			json_array_append_new(list, json_object());
		json_object_set_new(json_array_get(list, c->instance), c->name,
				    json_integer((json_int_t)c->value));
	}
	return doc;
}

static int report_json(const struct run *r, const struct timeline *t)
{
	json_t *doc = json_pack(
		"{ss ss ss ss sI sI sf so}", "image", r->dir, "id", thaw_image_id(r->image),
		"tier", t->tier, "tier_reason", t->why, "starts", (json_int_t)r->samples.n,
		"differing_replies", (json_int_t)r->differing, "prepare_us",
		(double)r->prepare_ns / 1e3, "stamps", samples_json(&r->samples));

	if (doc && t->emulated.max > 0)
		json_object_set_new(doc, "emulated", emulated_json(&t->emulated));
	if (doc && r->result->ncounters > 0)
		json_object_set_new(doc, "devices", devices_json(r->result));
	if (doc && r->clone)
		json_object_set_new(doc, "rewinds", rewinds_json(r->clone));
	return cmd_print_json(stderr, doc);
}

static int report(const struct run *r, struct err *err)
{
	struct timeline t = { .image = r->dir };
	int ret = 0;

	t.tier = thaw_template_tier(r->template, &t.why);
	t.emulated = stats_of(r->emulated, r->samples.n);
	if (fwrite(r->reply, 1, r->reply_len, stdout) != r->reply_len || fflush(stdout) != 0)
		return err_sys(err, "write the reply");
	if (r->json && report_json(r, &t) != EXIT_OK)
		return err_set(err, EILSEQ, "no latencies to be shown");
	if (r->repeat && !r->json)
		samples_print(&r->samples);
	if (r->timeline)
		ret = timeline_write(&t, &r->samples, r->timeline_file, err);
	if (ret == 0 && r->differing > 0)
		return err_set(err, EIO, "%llu of %u replies differ from the first one",
			       (unsigned long long)r->differing, r->samples.n);
	return ret;
}

int run_starts(struct run *r)
{
	struct thaw_err err = { 0 };
	int ret = run_prepare(r, &err);

	if (ret == 0)
		ret = start_all(r, &err);
	if (ret == 0)
		ret = report(r, cmd_err(&err));
	if (ret == 0)
		return EXIT_OK;
	cmd_fail(ret, cmd_err(&err));
	if (r->result && r->result->crash[0] != '\0')
		fprintf(stderr, "%s\n", r->result->crash);
	return exit_code(ret);
}
