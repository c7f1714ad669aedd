/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/health.h"

#include <stdlib.h>
#include <string.h>

#include "snapshot/thaw.h"

static void answer(struct http_request *r, unsigned status, const char *text, size_t len)
{
	http_answer(r, &(struct http_answer){ .status = status,
					      .type = "text/plain; version=0.0.4",
					      .body = text,
					      .len = len });
}

static void on_health(struct http_request *r, void *data)
{
	(void)data;
	answer(r, 200, "ok\n", 3);
}

static void on_ready(struct http_request *r, void *data)
{
	const struct health *h = data;
	const char *why = h->not_ready(h->data);

	if (why)
		answer(r, 503, why, strlen(why));
	else
		answer(r, 200, "ok\n", 3);
}

static void on_metrics(struct http_request *r, void *data)
{
	const struct health *h = data;
	size_t len = 0;
	auto_free char *text = h->metrics(&len, h->data);

	answer(r, text ? 200 : 503, text ? text : "", text ? len : 0);
}

static void on_constant(struct http_request *r, void *data)
{
	(void)data;
	answer(r, 200, "{}", 2);
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "GET",  "/healthz",       0, on_health },
	{ "GET",  "/readyz",        0, on_ready },
	{ "GET",  "/metrics",       0, on_metrics },
	{ "GET",  "/thaw/constant", 0, on_constant },
	{ "POST", "/thaw/constant", THAW_EVENT_MAX, on_constant },
};
/* clang-format on */

struct http_routes health_routes(struct health *h)
{
	return (struct http_routes){ routes, ARRAY_SIZE(routes), h };
}
