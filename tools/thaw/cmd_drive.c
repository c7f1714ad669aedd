/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_drive.c - `thaw drive`: a drive of an image, with what its machine had written, as a file. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "snapshot/disk_export.h"
#include "snapshot/disks.h"
#include "snapshot/image.h"
#include "tools/thaw/cmd.h"

enum { OPT_PARENT = 256, OPT_BASE };

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "parent", required_argument, NULL, OPT_PARENT },
	{ "base", required_argument, NULL, OPT_BASE },
	{ 0 },
};

struct drive_args {
	const char *image, *id, *to;
	const char *parent, *base; /* NULL: what the image says */
};

static const struct disk *find(const struct disks *d, const char *id)
{
	for (uint32_t i = 0; i < d->n; i++) {
		if (strcmp(d->disk[i].id, id) == 0)
			return &d->disk[i];
	}
	return NULL;
}

/* A file that is there already is somebody's, perhaps the drive itself. */
static int write_file(const struct disk *disk, const char *path, struct err *err)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int ret = fd < 0 ? err_sys(err, "%s", path) : disk_export(disk, fd, err);

	if (fd >= 0 && ret < 0)
		unlink(path);
	return ret;
}

static int export_from(const struct image *img, const struct drive_args *a, struct err *err)
{
	struct disk_choices choices = { 0 };
	struct disks disks = { 0 };
	const struct disk *disk = NULL;
	int ret = a->base ? disks_choose(&choices, img, a->id, a->base, -1, err) : 0;

	if (ret == 0)
		ret = disks_open(&disks, img, &choices, err);
	if (ret == 0)
		disk = find(&disks, a->id);
	if (ret == 0)
		ret = disk ? write_file(disk, a->to, err)
			   : err_set(err, EINVAL, "%s has no drive '%s'", img->name, a->id);
	disks_close(&disks);
	disk_choices_close(&choices);
	return ret;
}

static int export_drive(const struct drive_args *a)
{
	static struct image img; /* too large for the stack */
	struct err err = { 0 };
	int ret = image_open_layer(&img, a->image, a->parent, &err);

	if (ret < 0)
		return cmd_fail(ret, &err);
	ret = export_from(&img, a, &err);
	image_close(&img);
	return ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
}

static int run_drive(int argc, char **argv)
{
	struct drive_args a = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			a.to = optarg;
			break;
		case OPT_PARENT:
			a.parent = optarg;
			break;
		case OPT_BASE:
			a.base = optarg;
			break;
		default:
			return cmd_usage(&cmd_drive, "unknown option");
		}
	}
	if (!a.to)
		return cmd_usage(&cmd_drive, "expected -o FILE");
	if (optind != argc - 2)
		return cmd_usage(&cmd_drive, "expected an image and a drive, got %d arguments",
				 argc - optind);
	a.image = argv[optind];
	a.id = argv[optind + 1];
	return export_drive(&a);
}

const struct cmd cmd_drive = {
	.name = "drive",
	.run = run_drive,
	.usage = "-o FILE [OPTION]... DIR ID",
	.summary = "write a drive as an image's machine had it to a file; needs no KVM",
	.options = "  -o, --output FILE  the file to write, a new one\n"
		   "  --base FILE        what the drive lies on, when it is not where it was\n"
		   "  --parent DIR       where the parent of a layer is, when not beside it\n",
};
