/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_golden.c - the committed image answers on every host that it fits; elsewhere it is
 * refused with a sentence. And the program itself meets flipped bits.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/err.h"
#include "tests/helpers_flip.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

#define GOLDEN	    "tests/golden/v1/tiny"
#define GOLDEN_WSET "tests/golden/v1/tiny-wset"
#define FLIPS	    (2000 / (int)slow())

extern char **environ;

static void answers_or_is_refused(const char *dir)
{
	static struct frozen f;
	static struct clone c;
	struct err err = { 0 };
	char *reply;
	int ret;

	f = (struct frozen){ .dir = dir };
	cr_assert(eq(int, kvm_open(&f.kvm, &err), 0), "%s", err.text);
	cr_assert(eq(int, image_open(&f.image, f.dir, &err), 0), "%s", err.text);
	ret = template_open(&f.template, &f.image, &f.kvm, &err);
	if (ret < 0) {
		fprintf(stderr, "%s\n", err.text);
		cr_assert(eq(int, ret, -ERR_UNFIT));
		cr_assert(ne(ptr, strstr(err.text, "does not fit this host: "), NULL));
		return;
	}
	cr_assert(eq(int, template_fill(&f.template, &err), 0), "%s", err.text);
	for (const struct tier *const *t = frozen_tiers(); *t; t++) {
		clone_make(&c, &f, *t);
		reply = machine_ask(&c.machine, "abc");
		cr_expect(eq(str, reply, "tiny 1 b33453f0: cba"));
		free(reply);
		reply = machine_ask(&c.machine, "de");
		cr_expect(eq(str, reply, "tiny 2 b33453f0: ed"));
		free(reply);
		clone_free(&c);
	}
	template_close(&f.template);
	image_close(&f.image);
	kvm_close(&f.kvm);
}

Test(golden, answers_where_it_fits_and_is_refused_elsewhere, .timeout = 60)
{
	answers_or_is_refused(GOLDEN);
	answers_or_is_refused(GOLDEN_WSET);
}

/* What a run of the program left: exit code, and both outputs. */
struct outcome {
	int code; /* -1: died of a signal */
	char out[256], err[1024];
};

static void read_back(const char *path, char *to, size_t room)
{
	size_t len;
	uint8_t *bytes = bytes_read(path, &len);

	snprintf(to, room, "%.*s", (int)len, (const char *)bytes);
	free(bytes);
}

static struct outcome thaw_run(const struct flip *f)
{
	const char *thaw = getenv("THAW") ? getenv("THAW") : "bin/thaw";
	char *argv[] = { "thaw",	 "run", "--timeout", "5000",
			 "--payload",	 "abc", "--tier",    rand() % 2 ? "map" : "eager",
			 (char *)f->dir, NULL };
	const char *out = scratch_path(f->scratch, "out"),
		   *err = scratch_path(f->scratch, "err");
	posix_spawn_file_actions_t actions;
	struct outcome o = { 0 };
	pid_t pid;
	int status;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert(eq(int, posix_spawn(&pid, thaw, &actions, NULL, argv, environ), 0));
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	posix_spawn_file_actions_destroy(&actions);
	o.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	read_back(out, o.out, sizeof(o.out));
	read_back(err, o.err, sizeof(o.err));
	return o;
}

static bool is_one_line(const char *text)
{
	const char *end = strchr(text, '\n');

	return end && end != text && end[1] == '\0';
}

Test(golden, the_program_meets_flipped_bits, .timeout = 300)
{
	static struct frozen f;
	static struct flip flip;
	unsigned int seed = (unsigned int)time(NULL);
	struct outcome o;
	int damaged = 0;

	fprintf(stderr, "seed %u\n", seed);
	srand(seed);
	/* Made here, so that it fits this host. */
	frozen_make(&f, guest_path("tiny"));
	flip_make(&flip, f.dir);
	for (int i = 0; i < FLIPS; i++) {
		size_t at = ((size_t)rand() << 15 ^ (size_t)rand()) % flip.size;
		unsigned int bit = (unsigned int)rand() % 8;
		const struct flip_file *file = flip_bit(&flip, at, bit);

		o = thaw_run(&flip);
		if (o.code == 4)
			cr_assert(is_one_line(o.err), "%s", o.err);
		else
			cr_assert(o.code == 0 && strcmp(o.out, "tiny 1 b33453f0: cba") == 0,
				  "%s at %zu bit %u: exit code %d, '%s', '%s'", file->path, at,
				  bit, o.code, o.out, o.err);
		damaged += o.code == 4;
		flip_bit(&flip, at, bit);
	}
	o = thaw_run(&flip);
	cr_expect(eq(int, o.code, 0), "%s", o.err);
	fprintf(stderr, "%d of %d flips were damage\n", damaged, FLIPS);
	cr_expect(gt(int, damaged, FLIPS / 2));
	flip_free(&flip);
	frozen_free(&f);
}
