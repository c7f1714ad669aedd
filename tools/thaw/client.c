/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"

#define USUAL_PLACE	"unix:/run/thawd/thawd.sock"
#define UNIX_PREFIX	"unix:"
#define HTTP_PREFIX	"http://"
#define CONNECT_TIME_MS 5000L	    /* ours */
#define BODY_MAX	(64u << 20) /* of an answer; ours: replies have 6 MiB */

int client_open(struct client *c, const char *at, struct err *err)
{
	const char *place = at ? at : getenv("THAWD");
	int ret;

	*c = (struct client){ .at = place && *place ? place : USUAL_PLACE };
	if (strncmp(c->at, UNIX_PREFIX "/", sizeof(UNIX_PREFIX)) != 0 &&
	    strncmp(c->at, HTTP_PREFIX, sizeof(HTTP_PREFIX) - 1) != 0)
		return err_set(err, EINVAL,
			       "'%s' is no place of thawd's, expected unix:/PATH "
			       "or http://HOST:PORT",
			       c->at);
	ret = curl_load(&c->curl, err);
	if (ret < 0)
		return ret;
	c->handle = c->curl.easy_init();
	return c->handle ? 0 : err_set(err, ENOMEM, "no memory for a client");
}

void client_close(struct client *c)
{
	if (c->handle)
		c->curl.easy_cleanup(c->handle);
	c->handle = NULL;
}

/* ---- paths ---- */

static int append(char path[CLIENT_MAX_PATH], const char *text, size_t len, struct err *err)
{
	size_t have = strlen(path);

	if (have + len >= CLIENT_MAX_PATH)
		return err_set(err, ENAMETOOLONG, "a name of %zu characters is too long", len);
	memcpy(path + have, text, len);
	path[have + len] = '\0';
	return 0;
}

static int append_encoded(const struct client *c, char path[CLIENT_MAX_PATH], const char *text,
			  struct err *err)
{
	char *encoded = c->curl.easy_escape(c->handle, text, 0);
	int ret;

	if (!encoded)
		return err_set(err, ENOMEM, "no memory for a name");
	ret = append(path, encoded, strlen(encoded), err);
	c->curl.free(encoded);
	return ret;
}

int client_path(const struct client *c, char path[CLIENT_MAX_PATH], struct err *err,
		const char *fmt, ...)
{
	int ret = 0;
	va_list ap;

	path[0] = '\0';
	va_start(ap, fmt);
	while (ret == 0 && *fmt) {
		size_t len = strcspn(fmt, "%");

		ret = append(path, fmt, len, err);
		fmt += len;
		if (ret == 0 && *fmt) {
			ret = append_encoded(c, path, va_arg(ap, const char *), err);
			fmt += strlen("%s");
		}
	}
	va_end(ap);
	return ret;
}

/* ---- calls ---- */

/* What is received, and why it could not be kept. */
struct receiver {
	struct blob *body;
	int ret;
	struct err *err;
};

static size_t receive(char *data, size_t size, size_t n, void *arg)
{
	struct receiver *r = arg;

	r->ret = blob_append(r->body, data, size * n, BODY_MAX, r->err);
	return r->ret == 0 ? size * n : 0;
}

static void set_place(struct client *c, const char *url)
{
	const struct curl *curl = &c->curl;

	if (strncmp(c->at, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) == 0)
		curl->easy_setopt(c->handle, CURLOPT_UNIX_SOCKET_PATH,
				  c->at + sizeof(UNIX_PREFIX) - 1);
	curl->easy_setopt(c->handle, CURLOPT_URL, url);
	/* thawd is near: what the environment says of proxies is about other places. */
	curl->easy_setopt(c->handle, CURLOPT_PROXY, "");
	curl->easy_setopt(c->handle, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(c->handle, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIME_MS);
}

static void set_ask(struct client *c, const struct client_ask *ask, struct receiver *r,
		    struct curl_slist *headers)
{
	const struct curl *curl = &c->curl;

	curl->easy_setopt(c->handle, CURLOPT_CUSTOMREQUEST, ask->method);
	if (ask->body || strcmp(ask->method, "POST") == 0) {
		curl->easy_setopt(c->handle, CURLOPT_POSTFIELDS, ask->len ? ask->body : "");
		curl->easy_setopt(c->handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->len);
	}
	curl->easy_setopt(c->handle, CURLOPT_HTTPHEADER, headers);
	curl->easy_setopt(c->handle, CURLOPT_TIMEOUT_MS, (long)ask->timeout_ms);
	curl->easy_setopt(c->handle, CURLOPT_WRITEFUNCTION, receive);
	curl->easy_setopt(c->handle, CURLOPT_WRITEDATA, r);
}

/* The caller's also after an error. */
static int make_headers(struct curl_slist **list, const struct client *c,
			const struct client_ask *ask, struct err *err)
{
	/* Else a body of 1 MiB waits for leave to be sent, and is called a form. */
	static const char *const always[] = { "Expect:", "Content-Type: application/json",
					      NULL };
	const char *const *lists[] = { always, ask->headers };

	*list = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const char *const *h = lists[i]; h && *h; h++) {
			struct curl_slist *longer = c->curl.slist_append(*list, *h);

			if (!longer)
				return err_set(err, ENOMEM, "no memory for a request");
			*list = longer;
		}
	}
	return 0;
}

static int perform(struct client *c, const struct client_ask *ask, struct receiver *r,
		   struct curl_slist *headers)
{
	auto_free char *url = NULL;
	const char *host = strncmp(c->at, HTTP_PREFIX, sizeof(HTTP_PREFIX) - 1) == 0
				   ? c->at
				   : "http://localhost";
	CURLcode code;

	if (asprintf(&url, "%s%s", host, ask->path) < 0) {
		url = NULL;
		return err_set(r->err, ENOMEM, "no memory for a request");
	}
	/* Options go, the connection stays. */
	c->curl.easy_reset(c->handle);
	set_place(c, url);
	set_ask(c, ask, r, headers);
	code = c->curl.easy_perform(c->handle);
	if (r->ret < 0)
		return r->ret;
	if (code != CURLE_OK)
		return err_set(r->err, ECONNREFUSED, "no answer from thawd at %s: %s", c->at,
			       c->curl.easy_strerror(code));
	return 0;
}

static int errno_of(long status)
{
	switch (status) {
	case 404:
		return ENOENT;
	case 409:
		return EEXIST;
	case 429:
		return EBUSY;
	default:
		return EINVAL;
	}
}

/* Lambda has both ways to write it. */
static const char *message_of(const json_t *doc)
{
	const char *message = json_string_value(json_object_get(doc, "message"));

	return message ? message : json_string_value(json_object_get(doc, "Message"));
}

static int judge(const struct client *c, const struct blob *body, struct err *err)
{
	const char *message;
	long status = 0;
	json_t *doc;
	int ret;

	c->curl.easy_getinfo(c->handle, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status < 300)
		return 0;
	doc = json_loadb((const char *)body->data, body->size, 0, NULL);
	message = message_of(doc);
	if (message)
		ret = err_set(err, errno_of(status), "%s", message);
	else
		ret = err_set(err, EPROTO, "%s answers with status %ld; is it thawd?", c->at,
			      status);
	json_decref(doc);
	return ret;
}

int client_call(struct client *c, const struct client_ask *ask, struct blob *body,
		struct err *err)
{
	struct receiver r = { .body = body, .err = err };
	struct curl_slist *headers;
	int ret = make_headers(&headers, c, ask, err);

	body->size = 0;
	if (ret == 0)
		ret = perform(c, ask, &r, headers);
	if (ret == 0)
		ret = judge(c, body, err);
	c->curl.slist_free_all(headers);
	return ret;
}

const char *client_header(const struct client *c, const char *name)
{
	struct curl_header *header;

	if (c->curl.easy_header(c->handle, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

json_t *client_json(struct client *c, const struct client_ask *ask, struct err *err)
{
	struct blob body = { 0 };
	int ret = client_call(c, ask, &body, err);
	json_t *doc = NULL;

	if (ret == 0) {
		doc = json_loadb((const char *)body.data, body.size, 0, NULL);
		if (!json_is_object(doc))
			err_set(err, EPROTO, "%s answers with no JSON object; is it thawd?",
				c->at);
	}
	if (!json_is_object(doc)) {
		json_decref(doc);
		doc = NULL;
	}
	blob_free(&body);
	return doc;
}
