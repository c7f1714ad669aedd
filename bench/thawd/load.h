/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - requests to a server over many connections at once, each reply held against its own
 * request: an event says which one it is, and the right reply is the event.
 *
 *	closed loop	each connection asks again as soon as it has its reply
 *	fixed rate	requests are due at fixed times, and their time counts from then: a server
 *			that falls behind does not slow down the clock that it is measured with
 */
#pragma once

#include <stdint.h>

#include "bench/thawd/tally.h"

struct err;

#define LOAD_PATHS 64u

struct load_config {
	const char *address; /* as listen.h has them */
	const char *paths[LOAD_PATHS];
	uint32_t npaths;
	uint32_t connections;
	uint64_t rate;	   /* requests/s; 0: closed loop */
	nsec_t time;	   /* 0: until `requests` */
	uint64_t requests; /* 0: until `time` */
	nsec_t patience;   /* with a reply */
	const char *verb;  /* an event's first word, for functions that do as they are told */
	uint64_t size;	   /* bytes of an event, at least */
	const char *expected; /* the right reply to each; NULL: the event */
};

/* Connections that end are made anew; a server that takes none any more ends the run.
 * Errors: the first connection fails; -ENOMEM. */
int load_run(const struct load_config *config, struct tally *t, nsec_t *took,
	     struct err *err) must_check;
