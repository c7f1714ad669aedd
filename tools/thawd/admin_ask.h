/* SPDX-License-Identifier: Apache-2.0 */
/* admin_ask.h - what is asked for by the calls of admin.h. */
#pragma once

#include <stdbool.h>

#include "tools/thawd/store.h"

struct http_request;
struct uri;

struct admin_ask {
	char function[NAMES_FUNCTION_SIZE];
	char alias[NAMES_QUALIFIER_SIZE];
	char *image; /* NULL: the one that is there */
	struct store_config config;
	bool has_reserved, has_provisioned;
	int64_t reserved, provisioned; /* reserved -1: no more */
	int64_t version;	       /* of an alias; 0: the one that it has */
};

/* From the path. @a: zeroed. Errors: -EINVAL. */
int admin_ask_names(struct admin_ask *a, const struct uri *u, struct err *err) must_check;

/* From the body; what it does not name stays as the store has it. Errors: -EINVAL, naming the key. */
int admin_ask_body(struct admin_ask *a, struct store *s, const struct http_request *r,
		   struct err *err) must_check;
void admin_ask_free(struct admin_ask *a);
