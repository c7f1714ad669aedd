/* SPDX-License-Identifier: Apache-2.0 */
/* subject.c - the images that are measured, made by the program itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "engine/util.h"
#include "tools/thaw/cmd.h"

extern char **environ;

/* Samples that need more than their program. Paths are from the root of the sources. */
static const struct extra {
	const char *program, *files, *argument;
} extras[] = {
	{ "lua", "--files=guest/functions/lua", "/handler.lua" },
};

static const struct extra *extra_of(const char *base)
{
	static const struct extra none = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(extras); i++) {
		if (strcmp(base, extras[i].program) == 0)
			return &extras[i];
	}
	return &none;
}

int bench_thaw(const struct bench *b, const char *const *argv, struct err *err)
{
	posix_spawn_file_actions_t files;
	int ret, status = 0;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	ret = posix_spawn(&pid, b->thaw, &files, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (ret != 0)
		return err_set(err, ret, "start %s: %s", b->thaw, strerrordesc_np(ret));
	if (waitpid(pid, &status, 0) < 0)
		return err_sys(err, "wait for %s %s", argv[0], argv[1]);
	if (status != 0)
		return err_set(err, EIO, "%s %s ended with status 0x%x", argv[0], argv[1],
			       status);
	return 0;
}

/* The event in a file beside the image, for --sample. */
static int write_sample(const char *sample, const char *path, struct err *err)
{
	FILE *f = fopen(path, "we");
	int bad;

	if (!f)
		return err_sys(err, "%s", path);
	fputs(sample, f);
	bad = ferror(f);
	return fclose(f) != 0 || bad ? err_sys(err, "write %s", path) : 0;
}

static int run_build(const struct bench *b, const struct recipe *r, const char *program,
		     const char *dir, struct err *err)
{
	const struct extra *extra = extra_of(strrchr(program, '/') + 1);
	const char *argv[15] = { "thaw", "build", "-o", dir, "--no-sync" };
	char sample[160];
	size_t n = 5;
	int ret = 0;

	snprintf(sample, sizeof(sample), "%s.event", dir);
	if (r->sample) {
		ret = write_sample(r->sample, sample, err);
		argv[n++] = "--sample";
		argv[n++] = sample;
	}
	if (ret < 0)
		return ret;
	if (r->mem) {
		argv[n++] = "--mem";
		argv[n++] = r->mem;
	}
	if (r->raw)
		argv[n++] = "--raw";
	if (r->linux_guest)
		argv[n++] = "--linux";
	if (extra->files)
		argv[n++] = extra->files;
	argv[n++] = program;
	argv[n++] = extra->argument; /* or the end */
	ret = bench_thaw(b, argv, err);
	return ret < 0 ? err_wrap(err, ret, "%s", program) : 0;
}

int subject_size(const char *dir, double *size, struct err *err)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	struct stat st;

	if (!d)
		return err_sys(err, "%s", dir);
	*size = 0;
	while ((e = readdir(d)) != NULL) {
		if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			*size += (double)st.st_size;
	}
	closedir(d);
	return 0;
}

int subject_build_by(const struct bench *b, const struct recipe *r, char dir[128],
		     struct thaw_err *err)
{
	const char *slash = strrchr(r->program, '/');
	char path[256];

	snprintf(dir, 128, "%s/%.30s%s%s%s%.8s", b->scratch, slash ? slash + 1 : r->program,
		 r->linux_guest ? ".linux" : "", r->raw ? ".raw" : "",
		 r->sample ? ".sample" : "", r->mem ? r->mem : "");
	if (access(dir, F_OK) == 0)
		return 0;
	snprintf(path, sizeof(path), "%.120s/%.100s", b->guest, r->program);
	return run_build(b, r, path, dir, cmd_err(err));
}

int subject_open_by(struct subject *s, const struct bench *b, const struct recipe *r,
		    const char *tier, struct thaw_err *err)
{
	int ret;

	*s = (struct subject){ 0 };
	ret = subject_build_by(b, r, s->dir, err);
	if (ret == 0)
		ret = thaw_image_open(&s->image, s->dir, err);
	if (ret == 0)
		ret = thaw_template_open(&s->template, b->host, s->image, tier, 1000, err);
	if (ret < 0)
		subject_close(s);
	return ret;
}

int subject_build(const struct bench *b, const char *program, bool raw, char dir[128],
		  struct thaw_err *err)
{
	return subject_build_by(b, &(struct recipe){ .program = program, .raw = raw }, dir,
				err);
}

int subject_open(struct subject *s, const struct bench *b, const char *program, bool raw,
		 const char *tier, struct thaw_err *err)
{
	return subject_open_by(s, b, &(struct recipe){ .program = program, .raw = raw }, tier,
			       err);
}

void subject_close(struct subject *s)
{
	thaw_template_close(s->template);
	thaw_image_close(s->image);
	s->template = NULL;
	s->image = NULL;
}

bool bench_has_tier(const char *name)
{
	for (const char *const *tier = thaw_tiers(); *tier; tier++) {
		if (strcmp(*tier, name) == 0)
			return true;
	}
	return false;
}

unsigned int bench_rounds(const struct bench *b, unsigned int full)
{
	return b->quick ? MAX(full / 10, 3u) : full;
}
