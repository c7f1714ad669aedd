/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c - `thaw run`: restore an image, hand it one event, print the reply. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/thaw/blob.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/guest_io.h"
#include "tools/thaw/start.h"
#include "tools/thaw/timeline.h"

#define RUN_MAX_STARTS 1000000u /* ours: bounds the memory for stamps */

enum { OPT_TIER = 256, OPT_PAYLOAD, OPT_PAYLOAD_FILE, OPT_TIMEOUT, OPT_TIMELINE, OPT_JSON };

static const struct option options[] = {
	{ "tier", required_argument, NULL, OPT_TIER },
	{ "payload", required_argument, NULL, OPT_PAYLOAD },
	{ "payload-file", required_argument, NULL, OPT_PAYLOAD_FILE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "timeline", optional_argument, NULL, OPT_TIMELINE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ 0 },
};

struct run {
	const char *dir;
	const char *tier; /* as given: "auto" or a tier's name */
	const char *payload_file;
	bool from_stdin;
	bool repeat;	 /* -n was given: each start in a process of its own */
	uint64_t starts; /* -n */
	uint64_t timeout_ms;
	bool timeline;
	const char *timeline_file;
	bool json;

	struct kvm kvm;
	struct image image;
	struct template template;
	struct blob event;
	struct start_plan plan;
	const char *why; /* the tier was chosen */
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

static int take_option(struct run *r, int opt, const char *value)
{
	switch (opt) {
	case OPT_TIER:
		r->tier = value;
		if (strcmp(value, "auto") != 0 && !tier_find(value))
			return cmd_usage(&cmd_run,
					 "--tier is '%s', expected auto, map or eager", value);
		return 0;
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
	default:
		return cmd_usage(&cmd_run, "unknown option");
	}
}

/* [-] DIR, where "-" is the payload from stdin. */
static int take_arguments(struct run *r, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[0], "-") == 0) {
		r->from_stdin = true;
		argv++;
		argc--;
	}
	if (argc != 1)
		return cmd_usage(&cmd_run, "expected one image, got %d arguments", argc);
	if (r->from_stdin + (r->payload_file != NULL) + (r->event.data != NULL) > 1)
		return cmd_usage(&cmd_run, "more than one payload");
	if (r->starts == 0)
		return cmd_usage(&cmd_run, "-n is 0, expected at least 1");
	r->dir = argv[0];
	return 0;
}

static int read_event(struct run *r, struct err *err)
{
	if (r->from_stdin)
		return blob_read_fd(&r->event, STDIN_FILENO, "stdin", ABI_EVENT_MAX, err);
	if (r->payload_file)
		return blob_read(&r->event, r->payload_file, ABI_EVENT_MAX, err);
	return 0;
}

/* All that is done once, however many starts follow. */
static int prepare(struct run *r, struct err *err)
{
	nsec_t start = clock_monotonic();
	int ret = read_event(r, err);

	if (ret == 0)
		ret = image_open(&r->image, r->dir, err);
	if (ret == 0)
		ret = kvm_open(&r->kvm, err);
	if (ret == 0)
		ret = template_open(&r->template, &r->image, &r->kvm, err);
	if (ret < 0)
		return ret;
	r->plan = (struct start_plan){
		.kvm = &r->kvm,
		.template = &r->template,
		.tier = tier_find(r->tier),
		.event = r->event.data,
		.event_len = r->event.size,
		.timeout_ms = r->timeout_ms,
	};
	r->why = "asked for";
	if (!r->plan.tier)
		r->plan.tier = tier_choose(&r->template, (unsigned int)r->starts, &r->why);
	if (r->plan.tier->needs_fill)
		ret = template_fill(&r->template, err);
	r->prepare_ns = clock_monotonic() - start;
	return ret;
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
static int take_reply(struct run *r, int mailbox_fd, bool first, struct err *err)
{
	size_t len = r->result->reply_len;
	uint8_t *window = mmap(NULL, ABI_WINDOW_SIZE, PROT_READ, MAP_SHARED, mailbox_fd, 0);
	int ret = 0;

	if (window == MAP_FAILED)
		return err_sys(err, "map the reply");
	if (first) {
		r->reply = malloc(len + 1);
		r->reply_len = len;
		if (r->reply)
			memcpy(r->reply, window + ABI_WINDOW_REPLY, len);
		else
			ret = err_set(err, ENOMEM, "no memory for %zu bytes of reply", len);
	} else if (len != r->reply_len ||
		   memcmp(r->reply, window + ABI_WINDOW_REPLY, len) != 0) {
		r->differing++;
	}
	munmap(window, ABI_WINDOW_SIZE);
	return ret;
}

static int start_one(struct run *r, bool first, struct err *err)
{
	struct start_result *result = r->result;
	auto_close int mailbox_fd = -1;
	int ret;

	*result = (struct start_result){ 0 };
	phase_mark(&result->phases, PHASE_REQUEST);
	mailbox_fd = mailbox_memfd(err);
	if (mailbox_fd < 0)
		return mailbox_fd;
	if (r->repeat)
		start_in_child(&r->plan, mailbox_fd, !first, result);
	else
		start_here(&r->plan, mailbox_fd, false, result);
	ret = result->ret;
	if (ret == 0)
		ret = take_reply(r, mailbox_fd, first, err);
	else
		*err = result->err;
	if (ret == 0)
		samples_add(&r->samples, &result->phases);
	return ret;
}

static int start_all(struct run *r, struct err *err)
{
	int ret = allocate(r, err);

	for (uint64_t i = 0; i < r->starts && ret == 0; i++)
		ret = start_one(r, i == 0, err);
	return ret;
}

static void report_json(const struct run *r)
{
	cmd_print_json(stderr,
		       json_pack("{ss ss ss ss sI sI sf so}", "image", r->dir, "id",
				 r->image.manifest.id, "tier", r->plan.tier->name,
				 "tier_reason", r->why, "starts", (json_int_t)r->samples.n,
				 "differing_replies", (json_int_t)r->differing, "prepare_us",
				 (double)r->prepare_ns / 1e3, "stamps",
				 samples_json(&r->samples)));
}

static int report(const struct run *r, struct err *err)
{
	struct timeline t = { .tier = r->plan.tier->name, .why = r->why, .image = r->dir };
	int ret = 0;

	fwrite(r->reply, 1, r->reply_len, stdout);
	fflush(stdout);
	if (r->json)
		report_json(r);
	else if (r->repeat)
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
	template_close(&r->template);
	image_close(&r->image);
	kvm_close(&r->kvm);
	samples_fini(&r->samples);
	blob_free(&r->event);
	free(r->reply);
	if (r->result && r->result != MAP_FAILED)
		munmap(r->result, sizeof(*r->result));
}

static int run_run(int argc, char **argv)
{
	static struct run r = { .tier = "auto", .starts = 1, .kvm.fd = -1 };
	struct err err = { 0 };
	int opt, ret, code;

	r.image.dirfd = r.image.memory_fd = r.image.raw_fd = r.template.memory_fd = -1;
	while ((opt = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
		code = take_option(&r, opt, optarg);
		if (code != 0)
			return code;
	}
	code = take_arguments(&r, argc - optind, argv + optind);
	if (code != 0)
		return code;
	ret = prepare(&r, &err);
	if (ret == 0)
		ret = start_all(&r, &err);
	if (ret == 0)
		ret = report(&r, &err);
	code = ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
	if (r.result && r.result->crashed)
		guest_print_crash(&r.result->crash);
	run_fini(&r);
	return code;
}

const struct cmd cmd_run = {
	.name = "run",
	.run = run_run,
	.usage = "[OPTION]... [-] DIR",
	.summary = "restore an image, hand it one event, print the reply",
	.options =
		"  --payload S        the event; without one it is empty\n"
		"  --payload-file F   the event is the content of F\n"
		"  -                  the event is read from stdin\n"
		"  -n N               N starts, each in a process of its own, with latencies\n"
		"  --tier T           auto, map or eager (auto)\n"
		"  --timeout MS       give up when there is no reply by then\n"
		"  --timeline[=FILE]  every stamp, as text, or as a Chrome trace (FILE.json)\n"
		"  --json             latencies as one JSON object on stderr\n",
};
