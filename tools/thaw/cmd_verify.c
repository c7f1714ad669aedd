/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_verify.c - `thaw verify`: check every digest, frame and table of an image, without KVM. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#include "snapshot/image.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/progress.h"

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "parent", required_argument, NULL, 'P' },
	{ 0 },
};

static int print_report(const char *dir, const struct image *img, const struct image_report *r,
			bool json)
{
	json_t *doc;

	if (!json) {
		printf("%s: good: %llu sections, %llu frames of %llu pages, %llu bytes of "
		       "memory.lz4",
		       dir, (unsigned long long)r->nsections, (unsigned long long)r->nframes,
		       (unsigned long long)r->npages, (unsigned long long)r->stored_size);
		if (r->raw_size > 0)
			printf(", %llu bytes of memory.raw", (unsigned long long)r->raw_size);
		if (img->parent)
			printf(", and so is what it lies on (%u)", image_layers(img));
		putchar('\n');
		return EXIT_OK;
	}
	doc = json_pack("{ss ss sb sI sI sI sI sI sI}", "image", dir, "id", img->manifest.id,
			"good", 1, "sections", (json_int_t)r->nsections, "frames",
			(json_int_t)r->nframes, "pages", (json_int_t)r->npages,
			"memory_lz4_size_bytes", (json_int_t)r->stored_size,
			"memory_raw_size_bytes", (json_int_t)r->raw_size, "images_below",
			(json_int_t)image_layers(img));
	return cmd_print_json(stdout, doc);
}

static int run_verify(int argc, char **argv)
{
	static struct image img; /* too large for the stack */
	struct image_report report;
	struct progress progress;
	struct err err = { 0 };
	const char *parent = NULL;
	bool json = false;
	int opt, ret, code;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return cmd_usage(&cmd_verify, "unknown option");
		json |= opt == 'j';
		parent = opt == 'P' ? optarg : parent;
	}
	if (optind != argc - 1)
		return cmd_usage(&cmd_verify, "expected one image, got %d", argc - optind);
	ret = image_open_layer(&img, argv[optind], parent, &err);
	if (ret < 0)
		return cmd_fail(ret, &err);
	progress_begin(&progress, "verifying");
	ret = image_verify(&img, &progress.io, &report, &err);
	progress_end(&progress);
	code = ret < 0 ? cmd_fail(ret, &err) : print_report(argv[optind], &img, &report, json);
	image_close(&img);
	return code;
}

const struct cmd cmd_verify = {
	.name = "verify",
	.run = run_verify,
	.usage = "[--json] [--parent DIR] DIR",
	.summary = "check every digest, frame and table of an image; needs no KVM",
	.options = "  --json             one JSON object on stdout\n"
		   "  --parent DIR       where the parent of a layer is, when not beside it\n",
};
