/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_letters.c - the dead-letter file: a JSON object per line, in the form of Lambda's destinations
 * for failures, that begins with the number of the event.
 *
 * A line is on the disk before the transaction that deletes its event. That transaction also writes
 * down how long the file is. If it does not come about, the lines beyond that length say which events
 * are to be deleted without another line.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/io.h"
#include "tools/thawd/queue_state.h"
#include "tools/thawd/stamp.h"

/* ---- lines ---- */

static const char *const conditions[] = {
	[QUEUE_EXHAUSTED] = "RetriesExhausted",
	[QUEUE_TOO_OLD] = "EventAgeExceeded",
	[QUEUE_FORGOTTEN] = "FunctionDeleted",
};

/* null where it is not UTF-8. */
static void put_string(FILE *f, const char *key, const char *text)
{
	json_t *string = json_string(text);

	fprintf(f, "\"%s\":", key);
	if (!string || json_dumpf(string, f, JSON_ENCODE_ANY) < 0)
		fputs("null", f);
	json_decref(string);
}

static bool is_json(const void *data, size_t len)
{
	json_t *value = json_loadb(
		data, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

	json_decref(value);
	return value != NULL;
}

/* JSON as it is, but for line ends, which are between tokens only. */
static void put_json(FILE *f, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fputc(data[i] == '\n' || data[i] == '\r' ? ' ' : data[i], f);
}

static int put_base64(FILE *f, const void *data, size_t len)
{
	unsigned char *text = malloc((len + 2) / 3 * 4 + 1);

	if (!text)
		return -ENOMEM;
	EVP_EncodeBlock(text, data, (int)len);
	fprintf(f, "\"%s\"", text);
	free(text);
	return 0;
}

/* "KEY" with JSON, or "KEYBase64" with what is none. */
static int put_payload(FILE *f, const char *key, const void *data, size_t len)
{
	if (len == 0) {
		fprintf(f, "\"%s\":null", key);
		return 0;
	}
	if (!is_json(data, len)) {
		fprintf(f, "\"%sBase64\":", key);
		return put_base64(f, data, len);
	}
	fprintf(f, "\"%s\":", key);
	put_json(f, data, len);
	return 0;
}

static int put_line(FILE *f, const struct queue_item *item, enum queue_condition condition,
		    uint32_t tries)
{
	const struct queue_event *e = &item->event;
	char now[STAMP_TIME_SIZE], accepted[STAMP_TIME_SIZE];
	int ret;

	stamp_time(now, stamp_now_ms());
	stamp_time(accepted, e->accepted_ms);
	fprintf(f, "{\"event\":%" PRId64 ",\"version\":\"1.0\",\"timestamp\":\"%s\",", e->id,
		now);
	fputs("\"requestContext\":{", f);
	put_string(f, "requestId", e->request_id);
	fputc(',', f);
	put_string(f, "functionName", e->function);
	fputc(',', f);
	put_string(f, "qualifier", e->qualifier);
	fputc(',', f);
	put_string(f, "trace", e->trace);
	fputc(',', f);
	put_string(f, "clientContext", e->client_context);
	fprintf(f,
		",\"accepted\":\"%s\",\"condition\":\"%s\",\"approximateInvokeCount\":%" PRIu32
		"},",
		accepted, conditions[condition], tries);
	ret = put_payload(f, "requestPayload", e->payload, e->len);
	fputs(",\"responseContext\":{", f);
	put_string(f, "functionError", item->error ? item->error : "");
	fputs("},", f);
	if (ret == 0)
		ret = put_payload(f, "responsePayload", item->reply, item->reply_len);
	fputs("}\n", f);
	return ret;
}

int queue_letter_add(struct queue *q, const struct queue_item *item,
		     enum queue_condition condition, uint32_t tries, struct err *err)
{
	if (!q->letters)
		q->letters = open_memstream(&q->letters_text, &q->letters_len);
	if (!q->letters || put_line(q->letters, item, condition, tries) < 0 ||
	    ferror(q->letters))
		return err_set(err, ENOMEM, "a dead letter: out of memory");
	return 0;
}

void queue_letters_drop(struct queue *q)
{
	if (q->letters)
		fclose(q->letters);
	free(q->letters_text);
	q->letters = NULL;
	q->letters_text = NULL;
	q->letters_len = 0;
}

/* ---- the file ---- */

static int sync_directory(const char *path, struct err *err)
{
	char copy[PATH_MAX];
	auto_close int fd = -1;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, "fsync the directory of %s", path);
	return 0;
}

/* Opened anew each time: it may have been moved away. */
static int open_file(const char *path, uint64_t *size, struct err *err)
{
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	bool is_new = fd < 0 && errno == ENOENT;
	int ret;

	if (is_new)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	ret = is_new ? sync_directory(path, err) : 0;
	if (ret == 0)
		ret = io_file_size(fd, size, err);
	return ret < 0 ? ret : fd_take(&fd);
}

static int note_size(struct queue *q, uint64_t size, struct err *err)
{
	int ret = DB_RUN(&q->db, QUEUE_SET_LETTERS, err, DB_INT(size));

	return MIN(ret, 0);
}

/* All of @len bytes, or as it was. */
static int append(int fd, const char *path, const char *text, size_t len, uint64_t size,
		  struct err *err)
{
	int ret = io_write(fd, text, len, size, err);

	if (ret == 0 && fsync(fd) < 0)
		ret = err_sys(err, "fsync");
	if (ret == 0)
		return 0;
	if (ftruncate(fd, (off_t)size) < 0)
		return err_wrap(err, ret, "%s: what was written of a line stays", path);
	return err_wrap(err, ret, "%s", path);
}

int queue_letters_write(struct queue *q, struct err *err)
{
	const char *path = q->config.dead_letters;
	auto_close int fd = -1;
	uint64_t size = 0;
	int ret;

	if (!q->letters)
		return 0;
	if (fflush(q->letters) != 0)
		return err_set(err, ENOMEM, "dead letters: out of memory");
	fd = open_file(path, &size, err);
	if (fd < 0)
		return fd;
	ret = append(fd, path, q->letters_text, q->letters_len, size, err);
	return ret < 0 ? ret : note_size(q, size + q->letters_len, err);
}

/* ---- what was written and not committed ---- */

static int forget_line(struct queue *q, const char *line, struct err *err)
{
	int64_t id;
	int ret;

	if (sscanf(line, "{\"event\":%" SCNd64 ",", &id) != 1) /* NOLINT(cert-err34-c) */
		return 0;
	ret = DB_RUN(&q->db, QUEUE_DELETE, err, DB_INT(id));
	if (ret < 0)
		return ret;
	q->change.events -= (uint64_t)ret;
	return 0;
}

/* Whole lines from @from on. What follows the last one is cut off. */
static int check_lines(struct queue *q, int fd, uint64_t from, uint64_t *end, struct err *err)
{
	FILE *f = fdopen(dup(fd), "r");
	auto_free char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int ret = 0;

	if (!f || fseeko(f, (off_t)from, SEEK_SET) < 0)
		ret = err_sys(err, "read %s", q->config.dead_letters);
	*end = from;
	while (ret == 0 && (len = getline(&line, &room, f)) > 0 && line[len - 1] == '\n') {
		ret = forget_line(q, line, err);
		*end += (uint64_t)len;
	}
	if (f)
		fclose(f);
	if (ret == 0 && ftruncate(fd, (off_t)*end) < 0)
		ret = err_sys(err, "cut %s to its whole lines", q->config.dead_letters);
	return ret;
}

int queue_letters_check(struct queue *q, struct err *err)
{
	auto_close int fd = -1;
	uint64_t size = 0, from;
	int ret;

	fd = open_file(q->config.dead_letters, &size, err);
	if (fd < 0)
		return fd;
	ret = DB_QUERY(&q->db, QUEUE_GET_LETTERS, err);
	if (ret < 0)
		return ret;
	from = (uint64_t)db_int(&q->db, QUEUE_GET_LETTERS, 0);
	db_end(&q->db, QUEUE_GET_LETTERS);
	if (from == size)
		return 0;
	ret = check_lines(q, fd, from > size ? 0 : from, &size, err);
	return ret < 0 ? ret : note_size(q, size, err);
}
