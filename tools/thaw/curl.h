/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl.h - libcurl, loaded by whoever asks for it. Linked, it and its 26 libraries would cost
 * every start of `thaw` 4 ms, and each machine of `thaw run -n` 125 us, because fork(2) copies
 * their mappings, too.
 */
#pragma once

#include <curl/curl.h>

#include "engine/util.h"

struct err;

/* What we use of it, with its types and without "curl_". */
struct curl {
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_easy_reset) *easy_reset;
	__typeof__((curl_easy_setopt)) *easy_setopt;
	__typeof__(curl_easy_perform) *easy_perform;
	__typeof__((curl_easy_getinfo)) *easy_getinfo;
	__typeof__(curl_easy_header) *easy_header;
	__typeof__(curl_easy_escape) *easy_escape;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_free) *free;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
};

/* curl_load - it stays loaded. Errors: -ENOENT libcurl is not there, or too old. */
int curl_load(struct curl *c, struct err *err) must_check;
