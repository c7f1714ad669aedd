/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/sigv4_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thawd/listen.h"

#define FILE_MAX (1u << 20) /* ours */
#define BLANKS	 " \t\r"

struct key {
	const char *id, *secret;
};

struct sigv4_keys {
	struct blob text; /* what the keys point into */
	struct key *keys;
	size_t n;
};

/* The next word of @line, ended with a NUL, or NULL. */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, BLANKS);
	size_t len = strcspn(word, BLANKS);

	*line = word + len + (word[len] != '\0');
	word[len] = '\0';
	return len > 0 ? word : NULL;
}

static int add(struct sigv4_keys *k, const char *id, const char *secret, struct err *err)
{
	struct key *more = reallocarray(k->keys, k->n + 1, sizeof(*more));

	if (!more)
		return err_set(err, ENOMEM, "no memory for keys");
	k->keys = more;
	k->keys[k->n++] = (struct key){ id, secret };
	return 0;
}

static int read_line(struct sigv4_keys *k, char *line, struct err *err)
{
	char *id, *secret;

	line[strcspn(line, "#")] = '\0';
	id = next_word(&line);
	if (!id)
		return 0;
	secret = next_word(&line);
	if (!secret || next_word(&line))
		return err_set(err, EINVAL, "expected ACCESS_KEY_ID SECRET");
	if (sigv4_keys_secret(k, id))
		return err_set(err, EINVAL, "the key is there already");
	return add(k, id, secret, err);
}

static int read_lines(struct sigv4_keys *k, struct err *err)
{
	unsigned n = 0;
	char *line, *rest = (char *)k->text.data;
	int ret = 0;

	while (ret == 0 && (line = strsep(&rest, "\n"))) {
		n++;
		ret = read_line(k, line, err);
	}
	if (ret < 0)
		return err_wrap(err, ret, "line %u", n);
	return k->n > 0 ? 0 : err_set(err, EINVAL, "no key is there");
}

int sigv4_keys_read(struct sigv4_keys **out, const char *path, struct err *err)
{
	struct sigv4_keys *k = calloc(1, sizeof(*k));
	int ret;

	if (!k)
		return err_set(err, ENOMEM, "no memory for keys");
	ret = listen_read_secret(&k->text, path, FILE_MAX, err);
	if (ret == 0) {
		ret = read_lines(k, err);
		if (ret < 0)
			ret = err_wrap(err, ret, "%s", path);
	}
	if (ret < 0)
		sigv4_keys_free(k);
	else
		*out = k;
	return ret;
}

void sigv4_keys_free(struct sigv4_keys *keys)
{
	if (!keys)
		return;
	if (keys->text.data)
		explicit_bzero(keys->text.data, keys->text.size);
	blob_free(&keys->text);
	free(keys->keys);
	free(keys);
}

const char *sigv4_keys_secret(const struct sigv4_keys *keys, const char *key_id)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->keys[i].id, key_id) == 0)
			return keys->keys[i].secret;
	return NULL;
}
