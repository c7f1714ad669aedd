/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - thawd's own calls, for `thaw fn`: functions are put, published, deleted, and what they
 * printed is shown. JSON both ways; errors look as Lambda's do.
 *
 *	PUT    /thaw/functions/NAME			{"image": "/DIR", "timeout_ms": 3000, ...}
 *	DELETE /thaw/functions/NAME
 *	POST   /thaw/functions/NAME/versions
 *	PUT    /thaw/functions/NAME/aliases/ALIAS	{"version": 3}
 *	DELETE /thaw/functions/NAME/aliases/ALIAS
 *	GET    /thaw/functions/NAME/log?After=MARK
 *
 * A log's answer is its end, or what comes after MARK, with the next mark in X-Thaw-Log-Mark.
 *
 * An image is named by its directory on this host, which is read with thawd's rights; so these are
 * only for whoever may come in at all (listen.h).
 */
#pragma once

#include "tools/thawd/http.h"

struct err;
struct jobs;
struct loop;
struct manager;
struct store;

struct admin {
	struct store *store;
	struct manager *manager;
	struct jobs *jobs; /* a thread that may wait for the disk */
	const char *log_dir;
};

/* Its routes. @a stays in place. */
struct http_routes admin_routes(struct admin *a);
