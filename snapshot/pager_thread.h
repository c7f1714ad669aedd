/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pager_thread.h - between pager.c and pager_thread.c only: the life of a pager is in the one,
 * its thread in the other: frames pushed ahead, faults served, the end.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "engine/err.h"
#include "engine/uffd.h"
#include "snapshot/pager.h"
#include "snapshot/reader.h"

struct frames;

enum pager_state { PAGER_BUSY, PAGER_DONE, PAGER_FAILED, PAGER_STOPPED };
enum pager_ask { ASK_NOTHING, ASK_FINISH, ASK_STOP };

struct pager {
	struct pager_config cfg;
	const struct frames *f;
	struct uffd uffd;
	int ask_fd;		/* eventfd: readable when @ask changed */
	enum pager_ask ask;	/* atomic */
	enum pager_state state; /* atomic; the thread's last word */
	int ret;		/* why PAGER_FAILED; written before @state */
	struct err err;
	bool joined;
	pthread_t thread;

	/* The thread's own. */
	struct reader_list push;  /* what is pushed */
	struct reader *reader;	  /* of that; NULL: none left to push */
	uint64_t base, pos;	  /* positions in the plan: where @push begins, pushed next */
	uint64_t missing;	  /* stored frames that are not in */
	bool *in;		  /* by frame */
	uint8_t *stored;	  /* FRAMES_MAX_SIZE bytes of the file */
	uint8_t *pages;		  /* FRAMES_MAX_SIZE bytes of guest memory, page aligned */
	struct pager_stats stats; /* each atomic */
};

/* The body of the thread. @arg: struct pager, whose .state says how it ended. */
void *pager_thread(void *arg);

/* Every stretch of guest memory that is served; @use returns 0, or -errno to stop. */
int pager_each_served(const struct pager *p,
		      int (*use)(const struct pager *p, uint8_t *host, size_t len,
				 struct err *err),
		      struct err *err) must_check;
