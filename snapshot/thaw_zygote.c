/* SPDX-License-Identifier: Apache-2.0 */
/* thaw_zygote.c - the public face of zygotes. */
#include <errno.h>
#include <stdlib.h>

#include "snapshot/cell.h"
#include "snapshot/pool.h"

int thaw_zygote_open(struct thaw_zygote **zygote, uint64_t memory,
		     const struct thaw_cells *cells, struct thaw_err *err)
{
	const struct cell_range *range =
		cells ? &(struct cell_range){ cells->first_id, cells->count } : NULL;
	struct thaw_zygote *z = handle_make(sizeof(*z), err);
	int ret;

	*zygote = NULL;
	if (!z)
		return -ENOMEM;
	pthread_mutex_init(&z->lock, NULL);
	endings_init(&z->endings, &z->account);
	ret = account_init(&z->account, memory, handle_err(err));
	if (ret == 0)
		ret = zygote_open(&z->zygote, range, handle_err(err));
	if (ret < 0) {
		free(z);
		return ret;
	}
	*zygote = z;
	return 0;
}

void thaw_zygote_close(struct thaw_zygote *zygote)
{
	if (!zygote)
		return;
	zygote_close(&zygote->zygote);
	endings_fini(&zygote->endings);
	pthread_mutex_destroy(&zygote->lock);
	free(zygote);
}

int thaw_zygote_pid(const struct thaw_zygote *zygote)
{
	return zygote->zygote.pid;
}
