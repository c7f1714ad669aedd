/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_clones.c - what libthaw promises to threads, for TSan (`make tsan`): one host, image
 * and template, under each tier, shared by threads that open, invoke and close clones of their
 * own, and a snapshot of each, which a thread writes while the clone goes on; and templates of
 * the same image that come and go meanwhile.
 * A plain main: exit status 0 is a pass.
 */
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "snapshot/thaw.h"

#define THREADS 4
#define CLONES	5  /* by each thread, one after the other */
#define EVENTS	40 /* to each clone */

extern char **environ;

static struct thaw_template *shared_template;
static const struct thaw_host *shared_host;
static const struct thaw_image *shared_image;
static const char *shared_dir;

struct write {
	struct thaw_snapshot *snapshot;
	char layer[96];
	struct thaw_err err;
	int ret;
};

static void *writer(void *arg)
{
	struct write *w = arg;

	w->ret = thaw_snapshot_write(w->snapshot, w->layer, 0, &w->err);
	return NULL;
}

static int ask(struct thaw_clone *clone, const char *event, struct thaw_err *err)
{
	struct thaw_reply reply;
	int ret = thaw_clone_invoke(clone, event, strlen(event), 10000, &reply, err);

	if (ret < 0)
		return ret;
	if (reply.len == strlen(event) && memcmp(reply.data, event, reply.len) == 0)
		return 0;
	snprintf(err->text, sizeof(err->text), "wrong reply");
	return -1;
}

static int use_snapshot(struct thaw_clone *clone, const char *event, struct thaw_err *err)
{
	struct write w = { 0 };
	pthread_t thread;
	int ret = thaw_snapshot_begin(&w.snapshot, clone, err);

	if (ret == -EINVAL)
		return 0; /* not a tier for that */
	if (ret < 0)
		return ret;
	snprintf(w.layer, sizeof(w.layer), "%s.%s", shared_dir, event);
	pthread_create(&thread, NULL, writer, &w);
	for (int i = 0; i < EVENTS && ret == 0; i++)
		ret = ask(clone, event, err);
	pthread_join(thread, NULL);
	thaw_snapshot_close(w.snapshot);
	if (ret == 0 && w.ret < 0)
		*err = w.err;
	return ret < 0 ? ret : w.ret;
}

static int use_clones(const char *event, struct thaw_err *err)
{
	struct thaw_clone *clone;
	int ret = 0;

	for (int i = 0; i < CLONES && ret == 0; i++) {
		ret = thaw_clone_open(&clone, shared_template, NULL, NULL, err);
		for (int k = 0; k < EVENTS && ret == 0; k++)
			ret = ask(clone, event, err);
		if (ret == 0)
			ret = use_snapshot(clone, event, err);
		thaw_clone_close(clone);
		if (ret == 0)
			ret = thaw_image_verify(shared_image, err);
	}
	return ret;
}

/* Templates of the same image come and go at the same time; some find its memory, some make it. */
static int use_templates(struct thaw_err *err)
{
	struct thaw_template *t;
	int ret = 0;

	for (int i = 0; i < CLONES && ret == 0; i++) {
		ret = thaw_template_open(&t, shared_host, shared_image, "map", 1, err);
		thaw_template_close(t);
	}
	return ret;
}

static void *thread(void *arg)
{
	struct thaw_err err = { 0 };
	char event[32];

	snprintf(event, sizeof(event), "thread %d", *(const int *)arg);
	if (use_templates(&err) == 0 && use_clones(event, &err) == 0)
		return arg;
	fprintf(stderr, "%s: %s\n", event, err.text);
	return NULL;
}

static int run_threads(void)
{
	pthread_t threads[THREADS];
	int numbers[THREADS], passed = 0;

	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, thread, &numbers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		passed += result != NULL;
	}
	return passed == THREADS ? 0 : 1;
}

/* An image of echo, made by the program that THAW names. */
static int build(const char *dir)
{
	const char *thaw = getenv("THAW") ? getenv("THAW") : "bin/thaw";
	char *argv[] = {
		"thaw", "build", "--raw", "-o", (char *)dir, "build/guest/echo", NULL
	};
	pid_t pid;
	int status;

	if (posix_spawn(&pid, thaw, NULL, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid)
		return 1;
	return status;
}

static int run_template(const char *dir, const char *tier)
{
	struct thaw_host *host = NULL;
	struct thaw_image *image = NULL;
	struct thaw_err err = { 0 };
	int ret = thaw_host_open(&host, &err);

	if (ret == 0)
		ret = thaw_image_open(&image, dir, &err);
	if (ret == 0)
		ret = thaw_template_open(&shared_template, host, image, tier, THREADS, &err);
	if (ret < 0)
		fprintf(stderr, "%s\n", err.text);
	shared_host = host;
	shared_image = image;
	ret = ret < 0 ? 1 : run_threads();
	thaw_template_close(shared_template);
	thaw_image_close(image);
	thaw_host_close(host);
	return ret;
}

int main(void)
{
	char scratch[] = "/tmp/thread_clones.XXXXXX", dir[64], command[96];
	int ret = 1;

	if (!mkdtemp(scratch))
		return 1;
	snprintf(dir, sizeof(dir), "%s/echo", scratch);
	if (build(dir) == 0)
		ret = 0;
	shared_dir = dir;
	for (const char *const *tier = thaw_tiers(); *tier && ret == 0; tier++)
		ret = run_template(dir, *tier);
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command) == 0 ? ret : 1;
}
