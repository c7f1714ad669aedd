/* SPDX-License-Identifier: Apache-2.0 */
/* fn.h - what the verbs of `thaw fn` have in common. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "tools/thaw/client.h"

#define FN_FUNCTION "/thaw/functions/%s"       /* thawd's own calls */
#define FN_LAMBDA   "/2015-03-31/functions/%s" /* Lambda's */

struct fn {
	const char *verb;
	struct client_place place;
	bool json;
	struct client client;
};

struct fn_verb {
	const char *name;
	int (*run)(struct fn *f, int argc, char **argv); /* argv[0] is the verb */
};

extern const struct fn_verb fn_add, fn_invoke, fn_list, fn_rm, fn_logs, fn_publish, fn_alias;

/* To be put first in a verb's list of long options; those of its own are from FN_OWN on. */
enum { FN_JSON = CLIENT_OPTIONS_END, FN_OWN };
#define FN_OPTIONS                                                                             \
	CLIENT_OPTIONS,                                                                        \
	{                                                                                      \
		"json", no_argument, NULL, FN_JSON                                             \
	}

struct fn_syntax {
	const char *order; /* "+": options end where an argument begins; "": anywhere */
	const struct option *options;
	/* One of its own. Returns 0 or an exit code. NULL: there are none. */
	int (*take)(void *to, int opt, const char *value);
	int min, max; /* arguments */
	const char *arguments;
};

/* fn_options - options up to the next argument, or all of them. Returns 0 or an exit code. */
int fn_options(struct fn *f, int argc, char **argv, const struct fn_syntax *s, void *to);

/* fn_open - be ready for calls. Returns 0 or an exit code. */
int fn_open(struct fn *f);

/* Both, of a verb whose options may stand anywhere: optind is its first argument then. */
int fn_parse(struct fn *f, int argc, char **argv, const struct fn_syntax *s, void *to);

/* Ask thawd, and return an exit code; said is what is wrong. @doc: NULL: no matter. */
int fn_call(struct fn *f, const struct client_ask *ask, json_t **doc);

/* A text in an answer; "" if it has none of that name. */
const char *fn_text(const json_t *doc, const char *key);
