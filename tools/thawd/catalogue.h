/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue.h - what is in the store, as AWS Lambda's API shows functions. */
#pragma once

#include <jansson.h>

#include "tools/thawd/lambda.h"

struct store;
struct store_record;

/* A FunctionConfiguration of Lambda's. */
json_t *catalogue_configuration(const struct store_record *r);

/* For struct lambda_ops. */
json_t *catalogue_get(struct store *s, const char *name, const char *qualifier);
json_t *catalogue_list(struct store *s, const struct lambda_page *page);
