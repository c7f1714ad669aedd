/* SPDX-License-Identifier: Apache-2.0 */
/* thaw_snapshot.c - the public face of snapshots, once they were begun. */
#include <stdlib.h>

#include "snapshot/snapshot.h"

int thaw_snapshot_write(struct thaw_snapshot *snapshot, const char *dir, int sync,
			struct thaw_err *err)
{
	return fork_write(&snapshot->fork, dir, sync, handle_err(err));
}

void thaw_snapshot_stats(const struct thaw_snapshot *snapshot,
			 struct thaw_snapshot_stats *stats)
{
	const struct fork_stats *s = &snapshot->fork.stats;

	*stats = (struct thaw_snapshot_stats){
		.pause_ns = s->pause_ns,
		.pages_copied = s->pages_copied,
		.pages_stored = s->pages_stored,
		.size = s->size,
	};
}

void thaw_snapshot_close(struct thaw_snapshot *snapshot)
{
	if (!snapshot)
		return;
	fork_close(&snapshot->fork);
	thaw_template_close(snapshot->template);
	free(snapshot);
}
