/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "engine/err.h"

#define LIBRARY "libcurl.so.4"

/* clang-format off */
static const struct { const char *name; size_t off; } symbols[] = {
	{ "curl_easy_init",      offsetof(struct curl, easy_init) },
	{ "curl_easy_cleanup",   offsetof(struct curl, easy_cleanup) },
	{ "curl_easy_reset",     offsetof(struct curl, easy_reset) },
	{ "curl_easy_setopt",    offsetof(struct curl, easy_setopt) },
	{ "curl_easy_perform",   offsetof(struct curl, easy_perform) },
	{ "curl_easy_getinfo",   offsetof(struct curl, easy_getinfo) },
	{ "curl_easy_header",    offsetof(struct curl, easy_header) },
	{ "curl_easy_escape",    offsetof(struct curl, easy_escape) },
	{ "curl_easy_strerror",  offsetof(struct curl, easy_strerror) },
	{ "curl_free",           offsetof(struct curl, free) },
	{ "curl_slist_append",   offsetof(struct curl, slist_append) },
	{ "curl_slist_free_all", offsetof(struct curl, slist_free_all) },
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(symbols) * sizeof(void *) == sizeof(struct curl),
	       "every member has its symbol");

int curl_load(struct curl *c, struct err *err)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return err_set(err, ENOENT, "%s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (!symbol)
			return err_set(err, ENOENT, "%s has no %s, as it has from 7.83 on",
				       LIBRARY, symbols[i].name);
		memcpy((uint8_t *)c + symbols[i].off, &symbol, sizeof(symbol));
	}
	return 0;
}
