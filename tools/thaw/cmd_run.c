/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c - `thaw run`: restore an image, hand it one event, print the reply. */
#include <getopt.h>
#include <string.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/run.h"

#define RUN_MAX_SHELLS 10000u	/* ours */
#define RUN_MAX_STARTS 1000000u /* ours: bounds the memory for stamps */

enum {
	OPT_TIER = 256,
	OPT_PAYLOAD,
	OPT_PAYLOAD_FILE,
	OPT_TIMEOUT,
	OPT_TIMELINE,
	OPT_JSON,
	OPT_VERIFY,
	OPT_PARENT,
	OPT_DRIVE_FILE,
	OPT_LISTEN,
	OPT_CONNECT,
	OPT_SHELLS,
	OPT_SLOT_MEMORY
};

static const struct option options[] = {
	{ "tier", required_argument, NULL, OPT_TIER },
	{ "payload", required_argument, NULL, OPT_PAYLOAD },
	{ "payload-file", required_argument, NULL, OPT_PAYLOAD_FILE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "timeline", optional_argument, NULL, OPT_TIMELINE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "parent", required_argument, NULL, OPT_PARENT },
	{ "drive", required_argument, NULL, OPT_DRIVE_FILE },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "connect", required_argument, NULL, OPT_CONNECT },
	{ "shells", required_argument, NULL, OPT_SHELLS },
	{ "slot-memory", required_argument, NULL, OPT_SLOT_MEMORY },
	{ 0 },
};

static int take_tier(struct run *r, const char *value)
{
	for (const char *const *name = thaw_tiers(); *name; name++) {
		if (strcmp(*name, value) == 0) {
			r->tier = *name;
			return 0;
		}
	}
	return cmd_usage(&cmd_run,
			 "--tier is '%s', expected auto, map, warm, raw, ready, lazy or eager",
			 value);
}

static int add_drive(struct run *r, const char *value)
{
	if (r->ndrives == MANIFEST_MAX_DRIVES)
		return cmd_usage(&cmd_run, "more than %u drives", MANIFEST_MAX_DRIVES);
	return drive_option_parse(&r->drives[r->ndrives++], &cmd_run, value, DRIVE_TO_START);
}

static int take_option(struct run *r, int opt, const char *value)
{
	switch (opt) {
	case OPT_TIER:
		return take_tier(r, value);
	case 'n':
		r->repeat = true;
		return opt_number(&cmd_run, "-n", value, RUN_MAX_STARTS, &r->starts);
	case OPT_PAYLOAD:
		return opt_payload(&r->event, value);
	case OPT_PAYLOAD_FILE:
		r->payload_file = value;
		return 0;
	case OPT_TIMEOUT:
		return opt_number(&cmd_run, "--timeout", value, UINT32_MAX, &r->timeout_ms);
	case OPT_TIMELINE:
		r->timeline = true;
		r->timeline_file = value;
		return 0;
	case OPT_JSON:
		r->json = true;
		return 0;
	case OPT_VERIFY:
		r->verify = true;
		return 0;
	case OPT_PARENT:
		r->parent = value;
		return 0;
	case OPT_DRIVE_FILE:
		return add_drive(r, value);
	case OPT_LISTEN:
		r->listen = value;
		return 0;
	case OPT_CONNECT:
		r->connect = value;
		return 0;
	case OPT_SHELLS:
		return opt_number(&cmd_run, "--shells", value, RUN_MAX_SHELLS, &r->shells);
	case OPT_SLOT_MEMORY:
		return opt_size(&cmd_run, "--slot-memory", value, &r->slot_memory);
	default:
		return cmd_usage(&cmd_run, "unknown option");
	}
}

/* A machine that stays is not one of many starts, and has no payload of its own. */
static int check_socket(struct run *r)
{
	bool has_payload = r->from_stdin || r->payload_file || r->event.data;

	if (!r->listen && !r->connect)
		return 0;
	if (r->listen && r->connect)
		return cmd_usage(&cmd_run, "--listen and --connect are two programs");
	if (r->listen && has_payload)
		return cmd_usage(&cmd_run, "with --listen, events come by the socket");
	/* So that it can be taken a snapshot of. */
	if (strcmp(r->tier, "auto") == 0)
		r->tier = "map";
	if (r->repeat || r->timeline || r->json || r->verify || r->shells > 0)
		return cmd_usage(&cmd_run,
				 "-n, --shells, --verify, --timeline and --json are of "
				 "starts, not of a machine that stays");
	return 0;
}

/* Shells are handed memory that is mapped. */
static int check_shells(struct run *r)
{
	if (r->shells == 0 && r->slot_memory > 0)
		return cmd_usage(&cmd_run, "--slot-memory is of machines in --shells");
	if (r->shells == 0)
		return 0;
	if (strcmp(r->tier, "auto") != 0 && strcmp(r->tier, "map") != 0)
		return cmd_usage(&cmd_run, "--shells is with --tier map, not %s", r->tier);
	r->tier = "map";
	return 0;
}

/* [-] DIR, where "-" is the payload from stdin. */
static int take_arguments(struct run *r, int argc, char **argv)
{
	int code;

	if (argc == 1 + !r->connect && strcmp(argv[0], "-") == 0) {
		r->from_stdin = true;
		argv++;
		argc--;
	}
	if (argc != !r->connect)
		return cmd_usage(&cmd_run, "expected %s, got %d arguments",
				 r->connect ? "no image with --connect" : "one image", argc);
	if (r->from_stdin + (r->payload_file != NULL) + (r->event.data != NULL) > 1)
		return cmd_usage(&cmd_run, "more than one payload");
	if (r->starts == 0)
		return cmd_usage(&cmd_run, "-n is 0, expected at least 1");
	r->warm = strcmp(r->tier, "warm") == 0;
	if (r->verify && !r->warm)
		return cmd_usage(&cmd_run, "--verify is of rewinds, expected --tier warm");
	r->dir = argv[0];
	code = check_shells(r);
	return code != 0 ? code : check_socket(r);
}

static int run_run(int argc, char **argv)
{
	static struct run r = { .tier = "auto", .starts = 1 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
		code = take_option(&r, opt, optarg);
		if (code != 0)
			return code;
	}
	code = take_arguments(&r, argc - optind, argv + optind);
	if (code != 0)
		return code;
	code = r.listen ? run_listen(&r) : r.connect ? run_connect(&r) : run_starts(&r);
	run_fini(&r);
	return code;
}

const struct cmd cmd_run = {
	.name = "run",
	.run = run_run,
	.usage = "[OPTION]... [-] DIR | --connect SOCK [-]",
	.summary = "restore an image, hand it one event, print the reply",
	.options =
		"  --payload S        the event; without one it is empty\n"
		"  --payload-file F   the event is the content of F\n"
		"  -                  the event is read from stdin\n"
		"  -n N               N starts, each in a process of its own, with latencies\n"
		"  --shells K         starts from shells that wait, K of them made ahead, and "
		"again\n"
		"                     when all were used\n"
		"  --slot-memory SIZE count so much of the host's memory for each of their "
		"machines\n"
		"                     (all that it can write to)\n"
		"  --tier T           auto, map, warm, raw, ready, lazy or eager (auto);\n"
		"                     warm: one machine for all starts, rewound after each;\n"
		"                     raw: memory.raw itself is mapped\n"
		"  --verify           compare each rewound machine with its image\n"
		"  --timeout MS       give up when there is no reply by then\n"
		"  --timeline[=FILE]  every stamp, as text, or as a Chrome trace (FILE.json)\n"
		"  --json             latencies as one JSON object on stderr\n"
		"  --drive ID=[FILE][,bytes=SIZE[+BURST]][,ops=N[+BURST]]\n"
		"                     another file for a drive than the image names, or other "
		"limits;\n"
		"                     repeatable\n"
		"  --parent DIR       where the parent of a layer is, when not beside it\n"
		"  --listen SOCK      keep the machine, answer events that come to the socket\n"
		"  --connect SOCK     hand the event to a machine that listens there\n",
};
