/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_build.c - `thaw build`: boot a program, wait until it is ready, freeze it, and record what
 * its starts touch. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/image.h"
#include "snapshot/image_writer.h"
#include "snapshot/record.h"
#include "snapshot/save.h"
#include "tools/thaw/blob.h"
#include "tools/thaw/guest_io.h"
#include "tools/thaw/launch.h"
#include "tools/thaw/progress.h"

/* Ours: a page that one of three starts does not touch is not certain. */
#define RUNS_DEFAULT 3u

enum { OPT_RAW = 256, OPT_NO_SYNC, OPT_JSON, OPT_TIMEOUT, OPT_RUNS, OPT_SAMPLE };

static const struct option options[] = {
	LAUNCH_OPTIONS,
	{ "output", required_argument, NULL, 'o' },
	{ "raw", no_argument, NULL, OPT_RAW },
	{ "no-sync", no_argument, NULL, OPT_NO_SYNC },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "record-runs", required_argument, NULL, OPT_RUNS },
	{ "sample", required_argument, NULL, OPT_SAMPLE },
	{ 0 },
};

struct build {
	struct launch launch;
	struct save_options save;
	const char *dir;
	uint64_t timeout_ms; /* 0: none */
	bool json;
	uint64_t runs; /* of each event; 0: no working set */
	uint32_t nsamples;
	const char *samples[RECORD_MAX_EVENTS]; /* files; none: one empty event */
	struct blob blobs[RECORD_MAX_EVENTS];
	struct record_event events[RECORD_MAX_EVENTS];
	struct record_plan plan;
	struct save_report saved;
	nsec_t ready_ns; /* boot and initialisation, from the making of the VM */
	nsec_t write_ns; /* freezing and writing the image */
};

static int add_sample(struct build *b, const char *path)
{
	if (b->nsamples == RECORD_MAX_EVENTS)
		return cmd_usage(&cmd_build, "more than %u --sample options",
				 RECORD_MAX_EVENTS);
	b->samples[b->nsamples++] = path;
	return 0;
}

static int take_option(struct build *b, int opt, const char *value)
{
	switch (opt) {
	case 'o':
		b->dir = value;
		return 0;
	case OPT_RAW:
		b->save.raw = true;
		return 0;
	case OPT_NO_SYNC:
		b->save.sync = false;
		return 0;
	case OPT_JSON:
		b->json = true;
		return 0;
	case OPT_TIMEOUT:
		return opt_number(&cmd_build, "--timeout", value, UINT32_MAX, &b->timeout_ms);
	case OPT_RUNS:
		return opt_number(&cmd_build, "--record-runs", value, RECORD_MAX_RUNS,
				  &b->runs);
	case OPT_SAMPLE:
		return add_sample(b, value);
	default:
		return launch_option(&b->launch, &cmd_build, opt, value);
	}
}

/* A target that cannot be written is said now, not after a minute of initialisation. */
static int check_target(struct build *b, struct err *err)
{
	struct image_writer w;
	int ret = image_writer_begin(&w, b->dir, err);

	if (ret < 0)
		return ret;
	image_writer_abort(&w);
	b->save.kind = launch_kind(&b->launch);
	b->save.program = launch_name(&b->launch);
	b->save.args = (const char *const *)b->launch.argv;
	return save_check(&b->save, err);
}

/* The events to record with; a file that cannot be read is said now, too. */
static int plan_record(struct build *b, struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < b->nsamples; i++) {
		ret = blob_read(&b->blobs[i], b->samples[i], ABI_EVENT_MAX, err);
		b->events[i] = (struct record_event){ b->blobs[i].data, b->blobs[i].size };
	}
	b->plan = (struct record_plan){ .runs = (unsigned int)b->runs,
					.nevents = MAX(b->nsamples, 1u),
					.events = b->events,
					.timeout = RECORD_TIMEOUT };
	b->save.record = b->runs > 0 ? &b->plan : NULL;
	return ret < 0 ? err_wrap(err, ret, "--sample") : 0;
}

static int make_image(struct build *b, struct err *err)
{
	const struct mailbox_ops ops = { .log = guest_log };
	struct progress progress;
	struct save_options opt;
	nsec_t start = clock_monotonic(), deadline = clock_deadline(b->timeout_ms);
	int ret = plan_record(b, err);

	if (ret == 0)
		ret = check_target(b, err);
	if (ret == 0)
		ret = launch_boot(&b->launch, ABI_MODE_EVENTS, &ops, err);
	if (ret == 0)
		ret = machine_wait(&b->launch.machine, deadline, err);
	if (ret < 0)
		return ret;
	b->ready_ns = clock_monotonic() - start;

	start = clock_monotonic();
	progress_begin(&progress, "writing the image");
	opt = b->save;
	opt.progress = &progress.io;
	ret = save(&b->launch.machine, b->dir, &opt, &b->saved, err);
	progress_end(&progress);
	b->write_ns = clock_monotonic() - start - b->saved.record_ns;
	return ret;
}

/* Bytes of all files but memory.raw. */
static uint64_t image_size(const struct image *img)
{
	const struct manifest_file *files = img->manifest.files;

	return files[MANIFEST_STATE].size + files[MANIFEST_MEMORY].size +
	       files[MANIFEST_WSET].size;
}

static json_t *wset_json(const struct build *b, const struct wset *wset)
{
	struct wset_counts n = wset_count(wset);

	if (wset->nruns == 0)
		return b->save.record ? json_pack("{ss}", "missing", b->saved.record_err.text)
				      : json_null();
	return json_pack("{sI sI sI sI}", "record_runs", (json_int_t)wset->record_runs,
			 "touched_pages", (json_int_t)n.touched, "always_pages",
			 (json_int_t)n.always, "dirtied_pages", (json_int_t)n.dirtied);
}

static int report_json(const struct build *b, const struct image *img)
{
	const struct manifest *m = &img->manifest;
	json_t *doc = json_pack(
		"{ss ss sf sf sf sI sI sI so}", "image", b->dir, "id", m->id, "ready_ms",
		(double)b->ready_ns / 1e6, "write_ms", (double)b->write_ns / 1e6, "record_ms",
		(double)b->saved.record_ns / 1e6, "image_size_bytes",
		(json_int_t)image_size(img), "memory_size_bytes", (json_int_t)m->ram_size,
		"nonzero_size_bytes", (json_int_t)m->nonzero_size, "working_set",
		wset_json(b, &img->wset));

	return cmd_print_json(stdout, doc);
}

static void report_text(const struct build *b, const struct image *img)
{
	const struct manifest *m = &img->manifest;
	struct wset_counts n = wset_count(&img->wset);

	printf("%s: ready after %.1f ms, frozen in %.1f ms; image %.1f KiB for %.1f KiB of "
	       "non-zero memory (of %llu MiB)\n",
	       b->dir, (double)b->ready_ns / 1e6, (double)b->write_ns / 1e6,
	       (double)image_size(img) / 1024, (double)m->nonzero_size / 1024,
	       (unsigned long long)(m->ram_size >> 20));
	if (img->wset.nruns > 0)
		printf("%s: a start touches %llu pages and writes to %llu of them; %u starts "
		       "recorded in %.1f ms\n",
		       b->dir, (unsigned long long)n.touched, (unsigned long long)n.dirtied,
		       img->wset.record_runs, (double)b->saved.record_ns / 1e6);
}

static int report(const struct build *b, struct err *err)
{
	static struct image img; /* too large for the stack */
	int ret = image_open(&img, b->dir, err);

	if (ret < 0)
		return ret;
	if (!b->json)
		report_text(b, &img);
	else if (report_json(b, &img) != EXIT_OK)
		ret = err_set(err, EILSEQ, "the image is made, but cannot be described");
	if (b->saved.record_ret < 0)
		fprintf(stderr, "thaw: %s has no working set: %s\n", b->dir,
			b->saved.record_err.text);
	image_close(&img);
	return ret;
}

static int run_build(int argc, char **argv)
{
	static struct build b; /* too large for the stack */
	struct err err = { 0 };
	int opt, ret, code;

	launch_init(&b.launch);
	b.launch.drive_mode = DRIVE_OVERLAY;
	b.save.sync = true;
	b.runs = RUNS_DEFAULT;
	while ((opt = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
		code = take_option(&b, opt, optarg);
		if (code != 0)
			return code;
	}
	if (!b.dir)
		return cmd_usage(&cmd_build, "-o DIR is missing");
	if (optind == argc && !b.launch.linux_guest.initrd)
		return cmd_usage(&cmd_build, "which program?");
	b.launch.argv = argv + optind;
	code = launch_check(&b.launch, &cmd_build);
	if (code != 0)
		return code;
	ret = make_image(&b, &err);
	if (ret == 0)
		ret = report(&b, &err);
	code = ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
	launch_print_crash(&b.launch);
	launch_fini(&b.launch);
	for (uint32_t i = 0; i < b.nsamples; i++)
		blob_free(&b.blobs[i]);
	return code;
}

const struct cmd cmd_build = {
	.name = "build",
	.run = run_build,
	.usage = "-o DIR [OPTION]... [PROGRAM [ARG]...]",
	.summary = "boot a program, wait until it is ready, freeze it into an image",
	.options = "  -o, --output DIR   the image; an image that is there is "
		   "replaced\n" LAUNCH_HELP
		   "  --sample FILE      record starts with this event, not an empty one; "
		   "repeatable\n"
		   "  --record-runs N    starts to record with each event (3); 0: none\n"
		   "  --raw              also write memory.raw, for run --tier raw\n"
		   "  --no-sync          do not wait until the image is on the disk\n"
		   "  --timeout MS       give up when the program is not ready by then\n"
		   "  --json             one JSON object on stdout\n",
};
