/* SPDX-License-Identifier: Apache-2.0 */
/* bench_size.c - images of all samples against the guest memory that is not zero in them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/util.h"
#include "snapshot/image.h"
#include "tools/thaw/cmd.h"

static const char *const samples[] = { "echo", "lua", "sql", "tiny" };

struct size {
	double image, memory; /* bytes */
};

static int sample_size(const struct bench *b, const char *name, struct size *s,
		       struct thaw_err *err)
{
	struct image_report report;
	struct image image;
	char dir[128];
	int ret = subject_build(b, name, false, dir, err);

	if (ret == 0)
		ret = subject_size(dir, &s->image, cmd_err(err));
	if (ret == 0)
		ret = image_open(&image, dir, cmd_err(err));
	if (ret < 0)
		return ret;
	ret = image_verify(&image, NULL, &report, cmd_err(err));
	image_close(&image);
	s->memory = (double)report.npages * MEM_PAGE_SIZE; /* zero pages are not in there */
	return ret;
}

int bench_size(struct bench *b, struct thaw_err *err)
{
	static const char *const columns[] = { "sample", "image, KiB",
					       "non-zero guest memory, KiB", "ratio" };
	struct table *t = report_table(&b->report, "Images");
	struct size sum = { 0 }, s = { 0 };

	memcpy(t->columns, columns, sizeof(columns));
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		unsigned int row;
		int ret = sample_size(b, samples[i], &s, err);

		if (ret < 0) {
			goals_missing(&b->goals, GOAL_SIZE, "%s", err->text);
			return ret;
		}
		row = table_row(t);
		table_cell(t, row, 0, "%s", samples[i]);
		table_cell(t, row, 1, "%.0f", s.image / 1024);
		table_cell(t, row, 2, "%.0f", s.memory / 1024);
		table_cell(t, row, 3, "%.3f", s.image / s.memory);
		sum.image += s.image;
		sum.memory += s.memory;
	}
	goals_value(&b->goals, GOAL_SIZE, 0, sum.image / sum.memory);
	goals_beside(&b->goals, GOAL_SIZE, "%.1f MiB for %.1f MiB; all files but memory.raw",
		     sum.image / (1 << 20), sum.memory / (1 << 20));
	return 0;
}
