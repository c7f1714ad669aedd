/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/serve_request.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG "serve"
#include "engine/log.h"
#include "engine/thread.h"
#include "tools/thaw/cmd.h"

/* Returns whether the client could be told. */
static bool answer(int fd, int code, const void *data, size_t len)
{
	struct wire_header h = { .len = (uint32_t)len, .kind = (uint16_t)code };
	struct err err = { 0 };
	int ret = wire_send(fd, &h, data, &err);

	if (ret < 0)
		log_debug("a client got no reply: %s", err.text);
	return ret == 0;
}

bool serve_refuse(int fd, int ret, const struct err *err)
{
	return answer(fd, exit_code(ret), err->text, strlen(err->text));
}

/* ---- snapshots ---- */

static void tell_snapshot(const struct serve_writer *w)
{
	struct thaw_snapshot_stats s;
	char *text;
	json_t *doc;

	thaw_snapshot_stats(w->snapshot, &s);
	doc = json_pack("{ss sf sI sI sI}", "layer", w->dir, "pause_us",
			(double)s.pause_ns / 1e3, "pages_copied", (json_int_t)s.pages_copied,
			"pages_stored", (json_int_t)s.pages_stored, "size_bytes",
			(json_int_t)s.size);
	text = doc ? json_dumps(doc, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
	json_decref(doc);
	answer(w->fd, EXIT_OK, text ? text : "{}", text ? strlen(text) : 2);
	free(text);
}

static void writer_clear(struct serve_writer *w)
{
	thaw_snapshot_close(w->snapshot);
	w->snapshot = NULL;
	fd_cleanup(&w->fd);
	w->fd = -1;
	free(w->dir);
	w->dir = NULL;
}

static void *writer_main(void *arg)
{
	struct serve_writer *w = arg;
	struct thaw_err err = { 0 };
	int ret = thaw_snapshot_write(w->snapshot, w->dir, w->sync, &err);

	if (ret < 0)
		serve_refuse(w->fd, ret, cmd_err(&err));
	else
		tell_snapshot(w);
	writer_clear(w);
	atomic_store(&w->state, SERVE_WRITER_DONE);
	return NULL;
}

/* A writer that has nothing to do, or NULL. */
static struct serve_writer *writer_find(struct serve_machine *m)
{
	for (unsigned int i = 0; i < SERVE_MAX_WRITERS; i++) {
		struct serve_writer *w = &m->writers[i];

		if (atomic_load(&w->state) == SERVE_WRITER_DONE) {
			pthread_join(w->thread, NULL);
			atomic_store(&w->state, SERVE_WRITER_FREE);
		}
		if (atomic_load(&w->state) == SERVE_WRITER_FREE)
			return w;
	}
	return NULL;
}

void serve_join(struct serve_machine *m)
{
	for (unsigned int i = 0; i < SERVE_MAX_WRITERS; i++) {
		if (atomic_load(&m->writers[i].state) != SERVE_WRITER_FREE)
			pthread_join(m->writers[i].thread, NULL);
	}
}

static int writer_start(struct serve_writer *w, struct err *err)
{
	int ret;

	atomic_store(&w->state, SERVE_WRITER_BUSY);
	ret = thread_start(&w->thread, writer_main, w);
	if (ret == 0)
		return 0;
	atomic_store(&w->state, SERVE_WRITER_FREE);
	return err_set(err, -ret, "no thread to write a snapshot");
}

/* The client gets its answer from the writer. */
static int snapshot_begin(struct serve_machine *m, const struct serve_request *r,
			  struct thaw_err *err)
{
	struct serve_writer *w = writer_find(m);
	struct err *e = cmd_err(err);
	int ret;

	if (!w)
		return err_set(e, EBUSY, "%u snapshots are being written already",
			       SERVE_MAX_WRITERS);
	if (r->header.len == 0 || r->data[0] != '/' || memchr(r->data, '\0', r->header.len))
		return err_set(e, EINVAL, "a snapshot's directory is an absolute path");
	w->dir = strndup((const char *)r->data, r->header.len);
	if (!w->dir)
		return err_set(e, ENOMEM, "no memory for a path");
	w->sync = !(r->header.flags & WIRE_NO_SYNC);
	w->fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	ret = w->fd < 0 ? err_sys(e, "duplicate the client's descriptor")
			: thaw_snapshot_begin(&w->snapshot, m->clone, err);
	if (ret == 0)
		ret = writer_start(w, e);
	if (ret < 0)
		writer_clear(w);
	return ret;
}

/* ---- requests ---- */

static bool do_snapshot(struct serve_machine *m, const struct serve_request *r)
{
	struct thaw_err err = { 0 };
	int ret = snapshot_begin(m, r, &err);

	return ret < 0 && serve_refuse(r->fd, ret, cmd_err(&err));
}

static bool do_event(struct serve_machine *m, const struct serve_request *r)
{
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	int ret;

	/* A machine that never answers must not keep us from being ended. */
	pthread_sigmask(SIG_UNBLOCK, &m->ending, NULL);
	ret = thaw_clone_invoke(m->clone, r->data, r->header.len, m->plan->timeout_ms, &reply,
				&err);
	pthread_sigmask(SIG_BLOCK, &m->ending, NULL);
	if (ret == 0)
		return answer(r->fd, EXIT_OK, reply.data, reply.len);
	serve_refuse(r->fd, ret, cmd_err(&err));
	m->ret = ret;
	*m->err = err;
	return false;
}

bool serve_request(struct serve_machine *m, const struct serve_request *r)
{
	struct err err = { 0 };
	int ret;

	switch (r->header.kind) {
	case WIRE_EVENT:
		return do_event(m, r);
	case WIRE_SNAPSHOT:
		return do_snapshot(m, r);
	default:
		ret = err_set(&err, EINVAL, "request is of kind %u, expected %u or %u",
			      r->header.kind, WIRE_EVENT, WIRE_SNAPSHOT);
		serve_refuse(r->fd, ret, &err);
		return false;
	}
}
