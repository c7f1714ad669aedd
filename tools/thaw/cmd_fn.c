/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_fn.c - `thaw fn`: the functions of a thawd, from outside. */
#include <string.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/fn.h"

static const struct fn_verb *const verbs[] = {
	&fn_add, &fn_invoke, &fn_list, &fn_rm, &fn_logs, &fn_publish, &fn_alias,
};

int fn_options(struct fn *f, int argc, char **argv, const struct fn_syntax *s, void *to)
{
	char order[4];
	int opt, code = 0;

	snprintf(order, sizeof(order), "%s:", s->order);
	opterr = 0;
	while (code == 0 && (opt = getopt_long(argc, argv, order, s->options, NULL)) != -1) {
		if (client_take(&f->place, opt, optarg))
			continue;
		if (opt == FN_JSON)
			f->json = true;
		else if (opt == ':')
			code = cmd_usage(&cmd_fn, "%s: %s needs a value", f->verb,
					 argv[optind - 1]);
		else if (opt == '?' || !s->take)
			code = cmd_usage(&cmd_fn, "%s: no option is called '%s'", f->verb,
					 argv[optind - 1]);
		else
			code = s->take(to, opt, optarg);
	}
	return code;
}

int fn_open(struct fn *f)
{
	struct err err;
	int ret = client_open(&f->client, &f->place, &err);

	return ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
}

int fn_parse(struct fn *f, int argc, char **argv, const struct fn_syntax *s, void *to)
{
	int code = fn_options(f, argc, argv, s, to);
	int n = argc - optind;

	if (code == 0 && (n < s->min || n > s->max))
		code = cmd_usage(&cmd_fn, "%s: expected %s, got %d argument%s", f->verb,
				 s->arguments, n, n == 1 ? "" : "s");
	return code == 0 ? fn_open(f) : code;
}

int fn_call(struct fn *f, const struct client_ask *ask, json_t **doc)
{
	json_t *answer;
	struct err err;

	answer = client_json(&f->client, ask, &err);
	if (!answer)
		return cmd_fail(-EINVAL, &err);
	if (doc)
		*doc = answer;
	else
		json_decref(answer);
	return EXIT_OK;
}

const char *fn_text(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text ? text : "";
}

static int run_fn(int argc, char **argv)
{
	struct fn f = { 0 };
	int code;

	if (argc < 2)
		return cmd_usage(&cmd_fn, "what is to be done?");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i]->name, argv[1]) != 0)
			continue;
		f.verb = argv[1];
		code = verbs[i]->run(&f, argc - 1, argv + 1);
		client_close(&f.client);
		return code;
	}
	return cmd_usage(&cmd_fn, "'%s' is nothing that can be done with functions", argv[1]);
}

const struct cmd cmd_fn = {
	.name = "fn",
	.run = run_fn,
	.usage = "VERB [OPTION]... [ARG]...",
	.summary = "keep functions in thawd, and invoke them",
	.options =
		"  add NAME [IMAGE | PROGRAM [ARG]...]\n"
		"                     make a function, or change it; options before PROGRAM\n"
		"  invoke NAME[:QUALIFIER] [EVENT | -]\n"
		"                     hand it an event, print the reply; -: from stdin\n"
		"  list               what there is\n"
		"  rm NAME[:ALIAS]    remove a function, or an alias of one\n"
		"  logs NAME          what it printed last\n"
		"  publish NAME       make a version of what it is now\n"
		"  alias NAME ALIAS VERSION\n"
		"                     another name for a version\n"
		"\n" CLIENT_USAGE
		"  --json             what thawd answers, as one JSON object on stdout, of "
		"invoke\n"
		"                     on stderr\n"
		"Of add:\n"
		"  --timeout MS       for an answer (3000)\n"
		"  --mode MODE        after an answer its machine is rewound, or reused as it "
		"is,\n"
		"                     or a fresh one is made: rewind, reuse or fresh (rewind)\n"
		"  --min N            machines kept when idle (0)\n"
		"  --max N            machines; 0: what there is room for (0)\n"
		"  --idle-timeout MS  a machine that is idle for so long goes; 0: none does "
		"(0)\n"
		"  --reserved N|none  room for N machines is its own, and it gets no more\n"
		"  --provisioned N    machines that are always there\n"
		"  --weight N         its share where functions compete (1)\n"
		"  --slot-memory SIZE count so much for each machine (all that it can write "
		"to)\n"
		"  --description S    for whoever reads the list\n"
		"Of add, with a program; as of `thaw build`:\n"
		"  --mem SIZE         guest memory\n"
		"  --files DIR|CPIO   files that the program can read\n"
		"  --env NAME=VALUE   a variable of its environment; repeatable\n"
		"  --sample FILE      record starts with this event; repeatable\n"
		"Of invoke:\n"
		"  --event            do not wait for a reply: thawd keeps the event, and sees "
		"to it\n"
		"  --tail             also the end of what it printed, on stderr\n"
		"  --output FILE      the reply goes there\n"
		"Of list and logs:\n"
		"  --versions         published ones, too\n"
		"  --follow           go on with what it prints\n",
};
