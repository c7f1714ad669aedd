/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/err.h"

#define USUAL_PLACE	"unix:/run/thawd/thawd.sock"
#define USUAL_REGION	"us-east-1" /* any is as good as another for thawd */
#define UNIX_PREFIX	"unix:"
#define HTTP_PREFIX	"http://"
#define HTTPS_PREFIX	"https://"
#define CONNECT_TIME_MS 5000L	    /* ours */
#define BODY_MAX	(64u << 20) /* of an answer; ours: replies have 6 MiB */

/* ---- places ---- */

bool client_take(struct client_place *p, int opt, const char *value)
{
	if (opt == CLIENT_AT)
		p->at = value;
	else if (opt == CLIENT_CACERT)
		p->cacert = value;
	else if (opt == CLIENT_CERT)
		p->cert = value;
	else if (opt == CLIENT_KEY)
		p->key = value;
	else
		return false;
	return true;
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_host_and_port(const char *text)
{
	const char *port = strrchr(text, ':');

	return port && port > text && port[1] && !strchr(text, '/') &&
	       port[1 + strspn(port + 1, "0123456789")] == '\0';
}

/* What URLs of the place @c->at begin with; NULL: it is no place. */
static const char *scheme_of(const struct client *c)
{
	if (begins_with(c->at, HTTP_PREFIX) || begins_with(c->at, HTTPS_PREFIX))
		return "";
	if (c->socket ? c->socket[0] == '/' && c->socket[1] : is_host_and_port(c->at))
		return HTTP_PREFIX;
	return NULL;
}

static int find_place(struct client *c, struct err *err)
{
	const struct client_place *p = c->place;
	const char *scheme;

	if (begins_with(c->at, UNIX_PREFIX))
		c->socket = c->at + strlen(UNIX_PREFIX);
	scheme = scheme_of(c);
	if (!scheme)
		return err_set(err, EINVAL,
			       "'%s' is no place of thawd's, expected unix:/PATH, HOST:PORT, "
			       "http://HOST:PORT or https://HOST:PORT",
			       c->at);
	if ((p->cacert || p->cert || p->key) && !begins_with(c->at, HTTPS_PREFIX))
		return err_set(err, EINVAL, "certificates are for https://, and thawd is at %s",
			       c->at);
	if (asprintf(&c->base, "%s%s", scheme, c->socket ? "localhost" : c->at) < 0) {
		c->base = NULL;
		return err_set(err, ENOMEM, "no memory for a client");
	}
	return 0;
}

/* A variable of the environment; NULL: it says nothing. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void find_key(struct client *c)
{
	const char *region = variable("AWS_REGION");
	const struct sigv4_key key = { .id = variable("AWS_ACCESS_KEY_ID"),
				       .secret = variable("AWS_SECRET_ACCESS_KEY"),
				       .region =
					       region ? region : variable("AWS_DEFAULT_REGION"),
				       .service = "lambda" };

	/* Who may open the socket is asked for nothing more. */
	if (c->socket || !key.id || !key.secret)
		return;
	c->key = key;
	if (!c->key.region)
		c->key.region = USUAL_REGION;
}

int client_open(struct client *c, const struct client_place *place, struct err *err)
{
	const char *at = place->at ? place->at : variable("THAWD");
	int ret;

	*c = (struct client){ .place = place, .at = at && *at ? at : USUAL_PLACE };
	ret = find_place(c, err);
	if (ret == 0)
		ret = curl_load(&c->curl, err);
	if (ret < 0)
		return ret;
	find_key(c);
	c->handle = c->curl.easy_init();
	return c->handle ? 0 : err_set(err, ENOMEM, "no memory for a client");
}

void client_close(struct client *c)
{
	if (c->handle)
		c->curl.easy_cleanup(c->handle);
	c->handle = NULL;
	free(c->base);
	c->base = NULL;
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
	const struct client_place *p = c->place;

	curl->easy_setopt(c->handle, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl->easy_setopt(c->handle, CURLOPT_URL, url);
	if (p->cacert)
		curl->easy_setopt(c->handle, CURLOPT_CAINFO, p->cacert);
	curl->easy_setopt(c->handle, CURLOPT_SSLCERT, p->cert);
	curl->easy_setopt(c->handle, CURLOPT_SSLKEY, p->key);
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

static int add_header(struct curl_slist **list, const struct client *c, const char *line,
		      struct err *err)
{
	struct curl_slist *longer = c->curl.slist_append(*list, line);

	if (!longer)
		return err_set(err, ENOMEM, "no memory for a request");
	*list = longer;
	return 0;
}

/* The name of the host is said, too, so that what is sent is what was signed. */
static int add_signature(struct curl_slist **list, const struct client *c,
			 const struct client_ask *ask, const char *url, struct err *err)
{
	const char *at = strstr(url, "://") + strlen("://");
	size_t len = strcspn(at, "/");
	auto_free char *host = NULL;
	struct sigv4_lines lines;
	struct sigv4_what what = { .method = ask->method,
				   .target = at + len,
				   .headers = ask->headers,
				   .body = ask->body,
				   .len = ask->len,
				   .seconds = clock_realtime() / NSEC_PER_SEC };
	int ret;

	if (asprintf(&host, "Host: %.*s", (int)len, at) < 0) {
		host = NULL;
		return err_set(err, ENOMEM, "no memory for a request");
	}
	what.host = host + strlen("Host: ");
	ret = sigv4_sign(&lines, &what, &c->key, err);
	if (ret == 0)
		ret = add_header(list, c, host, err);
	if (ret == 0)
		ret = add_header(list, c, lines.date, err);
	return ret < 0 ? ret : add_header(list, c, lines.authorization, err);
}

/* The caller's also after an error. */
static int make_headers(struct curl_slist **list, const struct client *c,
			const struct client_ask *ask, const char *url, struct err *err)
{
	/* Else a body of 1 MiB waits for leave to be sent, and is called a form. */
	static const char *const always[] = { "Expect:", "Content-Type: application/json",
					      NULL };
	const char *const *lists[] = { always, ask->headers };
	int ret = 0;

	*list = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const char *const *h = lists[i]; ret == 0 && h && *h; h++)
			ret = add_header(list, c, *h, err);
	}
	return ret == 0 && c->key.id ? add_signature(list, c, ask, url, err) : ret;
}

static int perform(struct client *c, const struct client_ask *ask, const char *url,
		   struct receiver *r)
{
	char why[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;
	CURLcode code = CURLE_OK;
	int ret = make_headers(&headers, c, ask, url, r->err);

	/* Options go, the connection stays. */
	c->curl.easy_reset(c->handle);
	set_place(c, url);
	set_ask(c, ask, r, headers);
	c->curl.easy_setopt(c->handle, CURLOPT_ERRORBUFFER, why);
	if (ret == 0)
		code = c->curl.easy_perform(c->handle);
	c->curl.easy_setopt(c->handle, CURLOPT_ERRORBUFFER, NULL);
	c->curl.slist_free_all(headers);
	if (ret < 0 || r->ret < 0)
		return ret < 0 ? ret : r->ret;
	if (code != CURLE_OK)
		return err_set(r->err, ECONNREFUSED, "no answer from thawd at %s: %s", c->at,
			       *why ? why : c->curl.easy_strerror(code));
	return 0;
}

static int errno_of(long status)
{
	switch (status) {
	case 403:
		return EACCES;
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
	auto_free char *url = NULL;
	int ret;

	body->size = 0;
	if (asprintf(&url, "%s%s", c->base, ask->path) < 0) {
		url = NULL;
		return err_set(err, ENOMEM, "no memory for a request");
	}
	ret = perform(c, ask, url, &r);
	return ret < 0 ? ret : judge(c, body, err);
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
