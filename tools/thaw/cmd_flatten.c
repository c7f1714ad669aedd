/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_flatten.c - `thaw flatten`: a layer and all that it lies on, as one whole image. */
#include <getopt.h>
#include <stdio.h>

#include "snapshot/flatten.h"
#include "snapshot/image.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/progress.h"

enum { OPT_NO_SYNC = 256, OPT_RAW, OPT_PARENT };

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "parent", required_argument, NULL, OPT_PARENT },
	{ "raw", no_argument, NULL, OPT_RAW },
	{ "no-sync", no_argument, NULL, OPT_NO_SYNC },
	{ 0 },
};

static int flatten_to(const char *from, const char *parent, const char *dir,
		      struct flatten_options opt)
{
	static struct image img; /* too large for the stack */
	struct progress progress;
	struct err err = { 0 };
	int ret = image_open_layer(&img, from, parent, &err);

	if (ret < 0)
		return cmd_fail(ret, &err);
	progress_begin(&progress, "flattening");
	opt.progress = &progress.io;
	ret = flatten(&img, dir, &opt, &err);
	progress_end(&progress);
	image_close(&img);
	return ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
}

static int run_flatten(int argc, char **argv)
{
	struct flatten_options o = { .sync = true };
	const char *dir = NULL, *parent = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			dir = optarg;
			break;
		case OPT_PARENT:
			parent = optarg;
			break;
		case OPT_RAW:
			o.raw = true;
			break;
		case OPT_NO_SYNC:
			o.sync = false;
			break;
		default:
			return cmd_usage(&cmd_flatten, "unknown option");
		}
	}
	if (!dir)
		return cmd_usage(&cmd_flatten, "expected -o DIR");
	if (optind != argc - 1)
		return cmd_usage(&cmd_flatten, "expected one layer, got %d", argc - optind);
	return flatten_to(argv[optind], parent, dir, o);
}

const struct cmd cmd_flatten = {
	.name = "flatten",
	.run = run_flatten,
	.usage = "-o DIR [OPTION]... LAYER",
	.summary = "make one whole image of a layer and all that it lies on; needs no KVM",
	.options = "  -o, --output DIR   the image to write\n"
		   "  --parent DIR       where the layer's parent is, when not beside it\n"
		   "  --raw              also write memory.raw\n"
		   "  --no-sync          do not wait until it is on the disk\n",
};
