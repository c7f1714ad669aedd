/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - `thaw run`, between its own files only: cmd_run.c has the options, run.c what is done
 * once, run_starts.c starts and what is said of them, run_socket.c a machine that stays.
 */
#pragma once

#include "engine/clock.h"
#include "snapshot/manifest.h"
#include "tools/thaw/blob.h"
#include "tools/thaw/drive_option.h"
#include "tools/thaw/samples.h"
#include "tools/thaw/start.h"

struct run {
	const char *dir;
	const char *parent; /* directory of a layer's parent */
	struct drive_option
		drives[MANIFEST_MAX_DRIVES]; /* in place of what the image says of them */
	uint32_t ndrives;
	const char *listen;  /* socket: stay, and answer the events that come there */
	const char *connect; /* socket: of a machine that does so */
	const char *tier;    /* as given: "auto" or a tier's name */
	const char *payload_file;
	bool from_stdin;
	bool repeat;	      /* -n was given: each start in a process of its own */
	uint64_t starts;      /* -n */
	uint64_t shells;      /* made ahead of the starts; 0: none */
	uint64_t slot_memory; /* bytes to be promised to a machine; 0: all of its memory */
	uint64_t timeout_ms;
	bool timeline;
	const char *timeline_file;
	bool json;
	bool warm;   /* the tier keeps one clone for all starts */
	bool verify; /* its rewinds */

	struct thaw_host *host;
	struct thaw_image *image;
	struct thaw_template *template;
	struct thaw_clone *clone; /* of a warm run */
	struct thaw_zygote *zygote;
	struct thaw_pool *pool; /* of shells */
	struct blob event;
	struct start_plan plan;
	struct samples samples;
	double *emulated;	     /* instructions of the guest's kernel in each of them */
	struct start_result *result; /* shared with children */
	uint8_t *reply;		     /* of the first start */
	size_t reply_len;
	uint64_t differing; /* replies that were not the first one's */
	nsec_t prepare_ns;  /* once: image checked, template made */
};

/* Have the event in memory. */
int run_read_event(struct run *r, struct err *err) must_check;

/* All that is done once, however many starts follow; the event, too. */
int run_prepare(struct run *r, struct thaw_err *err) must_check;
void run_fini(struct run *r);

/* What there is to do; each says on stderr what went wrong, and returns an exit code. */
int run_starts(struct run *r);
int run_listen(struct run *r);
int run_connect(struct run *r);
