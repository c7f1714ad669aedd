/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - what an operator's tools ask on the frontend's address:
 *
 *	GET /healthz		200: the loop turns
 *	GET /readyz		200: invocations are taken, or 503 and a sentence
 *	GET /metrics		counters, in Prometheus's text format
 *	POST, GET /thaw/constant	a constant answer, to measure the frontend alone
 */
#pragma once

#include <stddef.h>

#include "tools/thawd/http.h"

struct health {
	/* NULL: it is ready; else why not. */
	const char *(*not_ready)(void *data);
	/* The text of all metrics, malloc'ed, or NULL: no memory. */
	char *(*metrics)(size_t *len, void *data);
	void *data;
};

/* Its routes. @h stays in place. */
struct http_routes health_routes(struct health *h);
