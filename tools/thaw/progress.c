/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/progress.h"

#include <stdio.h>
#include <unistd.h>

#define PROGRESS_AFTER (NSEC_PER_SEC)	     /* shorter work needs no bar */
#define PROGRESS_EVERY (100 * NSEC_PER_MSEC) /* redraws; ours */
#define PROGRESS_WIDTH 40

static void step(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;
	nsec_t now = clock_monotonic();
	int full = total > 0 ? (int)(done * PROGRESS_WIDTH / total) : 0;

	if (now - p->begun < PROGRESS_AFTER || now - p->shown < PROGRESS_EVERY)
		return;
	p->shown = now;
	p->visible = true;
	fprintf(stderr, "\r%s [%.*s%*s] %llu of %llu MiB", p->what, full,
		"########################################", PROGRESS_WIDTH - full, "",
		(unsigned long long)(done >> 20), (unsigned long long)(total >> 20));
}

void progress_begin(struct progress *p, const char *what)
{
	*p = (struct progress){ .what = what, .begun = clock_monotonic() };
	if (isatty(STDERR_FILENO))
		p->io = (struct io_progress){ .step = step, .arg = p };
}

void progress_end(struct progress *p)
{
	if (p->visible)
		fprintf(stderr, "\r\033[K"); /* ECMA-48: erase to the end of the line */
	p->visible = false;
}
