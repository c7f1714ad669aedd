/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c - `thaw run`: restore an image, hand it one event, print the reply. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/thaw/blob.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/serve.h"
#include "tools/thaw/start.h"
#include "tools/thaw/timeline.h"
#include "tools/thaw/wire.h"

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
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "connect", required_argument, NULL, OPT_CONNECT },
	{ "shells", required_argument, NULL, OPT_SHELLS },
	{ "slot-memory", required_argument, NULL, OPT_SLOT_MEMORY },
	{ 0 },
};

struct run {
	const char *dir;
	const char *parent;  /* directory of a layer's parent */
	const char *listen;  /* socket: stay, and answer the events that come there */
	const char *connect; /* socket: of a machine that does so */
	const char *tier;    /* as given: "auto" or a tier's name */
	const char *payload_file;
	bool from_stdin;
	bool repeat;	      /* -n was given: each start in a process of its own */
	uint64_t starts;      /* -n */
	uint64_t shells;      /* made ahead of the starts; 0: none */
	uint64_t slot_memory; /* bytes to be promised to a machine; 0: all of its memory */
	uint64_t timeout_ms;
	bool timeline;
	const char *timeline_file;
	bool json;
	bool warm;   /* the tier keeps one clone for all starts */
	bool verify; /* its rewinds */

	struct thaw_host *host;
	struct thaw_image *image;
	struct thaw_template *template;
	struct thaw_clone *clone; /* of a warm run */
	struct thaw_zygote *zygote;
	struct thaw_pool *pool; /* of shells */
	struct blob event;
	struct start_plan plan;
	struct samples samples;
	struct start_result *result; /* shared with children */
	uint8_t *reply;		     /* of the first start */
	size_t reply_len;
	uint64_t differing; /* replies that were not the first one's */
	nsec_t prepare_ns;  /* once: image checked, template made */
};

static int take_payload(struct run *r, const char *value)
{
	blob_free(&r->event);
	r->event.data = (uint8_t *)strdup(value);
	r->event.size = strlen(value);
	return r->event.data ? 0 : EXIT_FAILED;
}

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

static int take_option(struct run *r, int opt, const char *value)
{
	switch (opt) {
	case OPT_TIER:
		return take_tier(r, value);
	case 'n':
		r->repeat = true;
		return opt_number(&cmd_run, "-n", value, RUN_MAX_STARTS, &r->starts);
	case OPT_PAYLOAD:
		return take_payload(r, value);
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

static int read_event(struct run *r, struct err *err)
{
	if (r->from_stdin)
		return blob_read_fd(&r->event, STDIN_FILENO, "stdin", THAW_EVENT_MAX, err);
	if (r->payload_file)
		return blob_read(&r->event, r->payload_file, THAW_EVENT_MAX, err);
	return 0;
}

/* As many descriptors as shells may need: the limit that programs are given by default is low
 * for the sake of those that use select(2). */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_pool(struct run *r, struct thaw_err *err)
{
	raise_limit();
	return thaw_pool_open(&r->pool, r->zygote, r->template, (unsigned int)r->shells,
			      r->slot_memory, err);
}

/* All that is done once, however many starts follow. */
static int prepare(struct run *r, struct thaw_err *err)
{
	nsec_t start = clock_monotonic();
	int ret = 0;

	/* First: what is in memory is in every shell. */
	if (r->shells > 0)
		ret = thaw_zygote_open(&r->zygote, 0, err);
	if (ret == 0)
		ret = read_event(r, cmd_err(err));
	if (ret == 0)
		ret = thaw_image_open_layer(&r->image, r->dir, r->parent, err);
	if (ret == 0)
		ret = thaw_host_open(&r->host, err);
	if (ret == 0)
		ret = thaw_template_open(&r->template, r->host, r->image, r->tier,
					 (unsigned int)r->starts, err);
	if (ret == 0 && r->shells > 0)
		ret = open_pool(r, err);
	if (ret < 0)
		return ret;
	r->plan = (struct start_plan){
		.template = r->template,
		.event = r->event.data,
		.event_len = r->event.size,
		.timeout_ms = (unsigned int)r->timeout_ms,
		.verify = r->verify,
	};
	r->prepare_ns = clock_monotonic() - start;
	return 0;
}

static int allocate(struct run *r, struct err *err)
{
	r->result = mmap(NULL, sizeof(*r->result), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->result == MAP_FAILED)
		return err_sys(err, "map the result");
	if (samples_init(&r->samples, (uint32_t)r->starts) < 0)
		return err_set(err, ENOMEM, "no memory for %llu stamps",
			       (unsigned long long)r->starts);
	return 0;
}

/* Keep the first reply, compare the others with it. */
static int take_reply(struct run *r, bool first, struct err *err)
{
	const struct start_result *result = r->result;

	if (!first) {
		r->differing += result->reply_len != r->reply_len ||
				memcmp(r->reply, result->reply, r->reply_len) != 0;
		return 0;
	}
	r->reply_len = result->reply_len;
	r->reply = malloc(r->reply_len + 1);
	if (!r->reply)
		return err_set(err, ENOMEM, "no memory for %zu bytes of reply", r->reply_len);
	memcpy(r->reply, result->reply, r->reply_len);
	return 0;
}

static int start_one(struct run *r, bool first, struct thaw_err *err)
{
	struct start_result *result = r->result;
	int ret;

	result->crash[0] = '\0';
	result->phases = (struct phases){ 0 };
	phase_mark(&result->phases, PHASE_REQUEST);
	if (r->warm)
		start_warm(&r->plan, &r->clone, result);
	else if (r->pool)
		start_in_shell(&r->plan, r->pool, !first, result);
	else if (r->repeat)
		start_in_child(&r->plan, !first, result);
	else
		start_here(&r->plan, false, result);
	ret = result->ret;
	if (ret < 0) {
		*err = result->err;
		return ret;
	}
	samples_add(&r->samples, &result->phases);
	return take_reply(r, first, cmd_err(err));
}

static int start_all(struct run *r, struct thaw_err *err)
{
	int ret = allocate(r, cmd_err(err));

	for (uint64_t i = 0; i < r->starts && ret == 0; i++)
		ret = start_one(r, i == 0, err);
	return ret;
}

/* ---- a machine that stays ---- */

static int listen_run(struct run *r)
{
	struct thaw_err err = { 0 };
	int ret = prepare(r, &err);
	struct serve_plan plan = { .template = r->template,
				   .socket = r->listen,
				   .timeout_ms = (unsigned int)r->timeout_ms };

	if (ret == 0)
		ret = serve(&plan, &err);
	return ret < 0 ? cmd_fail(ret, cmd_err(&err)) : EXIT_OK;
}

static int connect_run(struct run *r)
{
	struct err err = { 0 };
	struct blob reply = { 0 };
	struct wire_header h = { .kind = WIRE_EVENT };
	auto_close int fd = -1;
	int ret = read_event(r, &err);

	h.len = (uint32_t)r->event.size;
	if (ret == 0)
		ret = fd = wire_connect(r->connect, &err);
	if (ret >= 0)
		ret = wire_call(fd, &h, r->event.data, &reply, &err);
	if (ret == EXIT_OK && fwrite(reply.data, 1, reply.size, stdout) != reply.size)
		ret = err_sys(&err, "write the reply");
	if (ret < 0)
		ret = cmd_fail(ret, &err);
	else if (ret > 0)
		fprintf(stderr, "thaw: %s\n", reply.data);
	blob_free(&reply);
	return ret;
}

/* ---- starts ---- */

static json_t *rewinds_json(const struct thaw_clone *clone)
{
	struct thaw_rewinds w;

	thaw_clone_rewinds(clone, &w);
	return json_pack("{sI sI sI sI sI sI}", "rewinds", (json_int_t)w.rewinds,
			 "pages_compared", (json_int_t)w.pages_compared, "pages_copied",
			 (json_int_t)w.pages_copied, "pages_given_back",
			 (json_int_t)w.pages_given_back, "flushes", (json_int_t)w.flushes,
			 "full_loads", (json_int_t)w.full_loads);
}

static int report_json(const struct run *r, const struct timeline *t)
{
	json_t *doc = json_pack(
		"{ss ss ss ss sI sI sf so}", "image", r->dir, "id", thaw_image_id(r->image),
		"tier", t->tier, "tier_reason", t->why, "starts", (json_int_t)r->samples.n,
		"differing_replies", (json_int_t)r->differing, "prepare_us",
		(double)r->prepare_ns / 1e3, "stamps", samples_json(&r->samples));

	if (doc && r->clone)
		json_object_set_new(doc, "rewinds", rewinds_json(r->clone));
	return cmd_print_json(stderr, doc);
}

static int report(const struct run *r, struct err *err)
{
	struct timeline t = { .image = r->dir };
	int ret = 0;

	t.tier = thaw_template_tier(r->template, &t.why);
	if (fwrite(r->reply, 1, r->reply_len, stdout) != r->reply_len || fflush(stdout) != 0)
		return err_sys(err, "write the reply");
	if (r->json && report_json(r, &t) != EXIT_OK)
		return err_set(err, EILSEQ, "no latencies to be shown");
	if (r->repeat && !r->json)
		samples_print(&r->samples);
	if (r->timeline)
		ret = timeline_write(&t, &r->samples, r->timeline_file, err);
	if (ret == 0 && r->differing > 0)
		return err_set(err, EIO, "%llu of %u replies differ from the first one",
			       (unsigned long long)r->differing, r->samples.n);
	return ret;
}

static void run_fini(struct run *r)
{
	thaw_clone_close(r->clone);
	thaw_pool_close(r->pool);
	thaw_template_close(r->template);
	thaw_image_close(r->image);
	thaw_host_close(r->host);
	thaw_zygote_close(r->zygote);
	samples_fini(&r->samples);
	blob_free(&r->event);
	free(r->reply);
	if (r->result && r->result != MAP_FAILED)
		munmap(r->result, sizeof(*r->result));
}

static int start_run(struct run *r)
{
	struct thaw_err err = { 0 };
	int ret = prepare(r, &err);

	if (ret == 0)
		ret = start_all(r, &err);
	if (ret == 0)
		ret = report(r, cmd_err(&err));
	if (ret == 0)
		return EXIT_OK;
	cmd_fail(ret, cmd_err(&err));
	if (r->result && r->result->crash[0] != '\0')
		fprintf(stderr, "%s\n", r->result->crash);
	return exit_code(ret);
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
	code = r.listen ? listen_run(&r) : r.connect ? connect_run(&r) : start_run(&r);
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
		"  --parent DIR       where the parent of a layer is, when not beside it\n"
		"  --listen SOCK      keep the machine, answer events that come to the socket\n"
		"  --connect SOCK     hand the event to a machine that listens there\n",
};
