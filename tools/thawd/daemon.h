/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h - all of thawd put together, and its loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"
#include "snapshot/thaw.h"
#include "tools/thawd/doors.h"

struct err;

struct daemon_config {
	bool wants_help; /* and nothing else */
	bool logs_json;	 /* lines on stderr are JSON objects; the caller's business */
	const char
		*program; /* executed in place of this one by SIGUSR2; NULL: no such signal */
	char **argv;
	const char *dir; /* of the store, the queue and the logs */
	const char *listen[DOORS_MAX];
	uint32_t nlisten;
	/* For clients that do not come by a Unix socket. Without one of the two only those of this
	 * host may come in. */
	const char *keys; /* file of keys for AWS Signature Version 4; NULL: none */
	const char *tls
		[3]; /* certificate, key, and trust for clients' ones: PEM files; NULL: none */
	struct thaw_cells cells; /* for shells; .count 0: none */
	uint64_t memory;	 /* bytes for machines; 0: seven eighths of what is available */
	uint32_t slots;		 /* machines at once */
	uint32_t running;	 /* invocations at work at once; 0: any number */
	uint32_t ahead;		 /* machines started ahead of a function's need */
	uint32_t drain_ms;	 /* for what is under way, when told to stop */
};

void daemon_config_default(struct daemon_config *c);

/*
 * daemon_run - until SIGTERM or SIGINT: then nobody is let in any more, what is under way gets its
 * end, and 0 is returned. SIGUSR2: the same, but that the program is executed anew, with the doors that
 * are open: whoever knocks meanwhile waits, and is not refused.
 * Errors: what cannot be opened, each with a sentence.
 */
int daemon_run(const struct daemon_config *c, struct err *err) must_check;
