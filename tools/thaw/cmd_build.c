/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_build.c - `thaw build`: boot a program, wait until it is ready, freeze it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/image.h"
#include "snapshot/image_writer.h"
#include "snapshot/save.h"
#include "tools/thaw/guest_io.h"
#include "tools/thaw/launch.h"
#include "tools/thaw/progress.h"

enum { OPT_RAW = 256, OPT_NO_SYNC, OPT_JSON, OPT_TIMEOUT };

static const struct option options[] = {
	LAUNCH_OPTIONS,
	{ "output", required_argument, NULL, 'o' },
	{ "raw", no_argument, NULL, OPT_RAW },
	{ "no-sync", no_argument, NULL, OPT_NO_SYNC },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ 0 },
};

struct build {
	struct launch launch;
	struct save_options save;
	const char *dir;
	uint64_t timeout_ms; /* 0: none */
	bool json;
	nsec_t ready_ns; /* boot and initialisation, from the making of the VM */
	nsec_t write_ns; /* freezing and writing the image */
};

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
	b->save.program = launch_name(&b->launch);
	b->save.args = (const char *const *)b->launch.argv;
	return save_check(&b->save, err);
}

static int make_image(struct build *b, struct err *err)
{
	const struct mailbox_ops ops = { .log = guest_log };
	struct progress progress;
	struct save_options opt;
	nsec_t start = clock_monotonic();
	int ret = check_target(b, err);

	if (ret == 0)
		ret = launch_boot(&b->launch, ABI_MODE_EVENTS, &ops, err);
	if (ret == 0)
		ret = machine_wait(&b->launch.machine,
				   b->timeout_ms ? start + b->timeout_ms * NSEC_PER_MSEC : 0,
				   err);
	if (ret < 0)
		return ret;
	b->ready_ns = clock_monotonic() - start;

	start = clock_monotonic();
	progress_begin(&progress, "writing the image");
	opt = b->save;
	opt.progress = &progress.io;
	ret = save(&b->launch.machine, b->dir, &opt, err);
	progress_end(&progress);
	b->write_ns = clock_monotonic() - start;
	return ret;
}

static int report_json(const struct build *b, const struct manifest *m, uint64_t image_size)
{
	json_t *doc = json_pack(
		"{ss ss sf sf sI sI sI}", "image", b->dir, "id", m->id, "ready_ms",
		(double)b->ready_ns / 1e6, "write_ms", (double)b->write_ns / 1e6,
		"image_size_bytes", (json_int_t)image_size, "memory_size_bytes",
		(json_int_t)m->ram_size, "nonzero_size_bytes", (json_int_t)m->nonzero_size);

	return cmd_print_json(stdout, doc);
}

static int report(const struct build *b, struct err *err)
{
	static struct image img; /* too large for the stack */
	const struct manifest *m = &img.manifest;
	uint64_t image_size;
	int ret = image_open(&img, b->dir, err);

	if (ret < 0)
		return ret;
	image_size = m->files[MANIFEST_STATE].size + m->files[MANIFEST_MEMORY].size;
	if (b->json && report_json(b, m, image_size) != EXIT_OK)
		ret = err_set(err, EILSEQ, "the image is made, but cannot be described");
	if (!b->json)
		printf("%s: ready after %.1f ms, frozen in %.1f ms; image %.1f KiB for %.1f "
		       "KiB "
		       "of non-zero memory (of %llu MiB)\n",
		       b->dir, (double)b->ready_ns / 1e6, (double)b->write_ns / 1e6,
		       (double)image_size / 1024, (double)m->nonzero_size / 1024,
		       (unsigned long long)(m->ram_size >> 20));
	image_close(&img);
	return ret;
}

static int run_build(int argc, char **argv)
{
	static struct build b; /* too large for the stack */
	struct err err = { 0 };
	int opt, ret, code;

	launch_init(&b.launch);
	b.save.sync = true;
	while ((opt = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
		code = take_option(&b, opt, optarg);
		if (code != 0)
			return code;
	}
	if (!b.dir)
		return cmd_usage(&cmd_build, "-o DIR is missing");
	if (optind == argc)
		return cmd_usage(&cmd_build, "which program?");
	b.launch.argv = argv + optind;
	ret = make_image(&b, &err);
	if (ret == 0)
		ret = report(&b, &err);
	code = ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
	launch_print_crash(&b.launch);
	launch_fini(&b.launch);
	return code;
}

const struct cmd cmd_build = {
	.name = "build",
	.run = run_build,
	.usage = "-o DIR [OPTION]... PROGRAM [ARG]...",
	.summary = "boot a program, wait until it is ready, freeze it into an image",
	.options = "  -o, --output DIR   the image; an image that is there is "
		   "replaced\n" LAUNCH_HELP
		   "  --raw              also write memory.raw, for mapping without decoding\n"
		   "  --no-sync          do not wait until the image is on the disk\n"
		   "  --timeout MS       give up when the program is not ready by then\n"
		   "  --json             one JSON object on stdout\n",
};
