/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/digest.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/io.h"

#define READ_SIZE (1u << 20) /* ours: large enough to hide the cost of a system call */

/* Without the host's openssl.cnf: parsing it costs more than a small image's digests. */
static void openssl_ready(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

int digest_of(struct digest *out, const void *data, size_t len, struct err *err)
{
	openssl_ready();
	if (!EVP_Digest(data, len, out->bytes, NULL, EVP_sha256(), NULL))
		return err_set(err, ENOMEM, "sha256 of %zu bytes: out of memory", len);
	return 0;
}

int digest_begin(struct digest_stream *s, struct err *err)
{
	openssl_ready();
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx || !EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL))
		return err_set(err, ENOMEM, "sha256: out of memory");
	return 0;
}

int digest_add(struct digest_stream *s, const void *data, size_t len, struct err *err)
{
	if (!EVP_DigestUpdate(s->ctx, data, len))
		return err_set(err, ENOMEM, "sha256 of %zu bytes: out of memory", len);
	return 0;
}

int digest_end(struct digest_stream *s, struct digest *out, struct err *err)
{
	if (!EVP_DigestFinal_ex(s->ctx, out->bytes, NULL))
		return err_set(err, ENOMEM, "sha256: out of memory");
	return 0;
}

void digest_drop(struct digest_stream *s)
{
	EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}

/* @buf: READ_SIZE bytes. */
static int add_file(struct digest_stream *s, int fd, uint64_t size, uint8_t *buf,
		    const struct io_progress *progress, struct err *err)
{
	int ret = 0;

	for (uint64_t at = 0; ret == 0 && at < size; at += READ_SIZE) {
		size_t len = MIN(READ_SIZE, size - at);

		ret = io_read(fd, buf, len, at, err);
		if (ret == 0)
			ret = digest_add(s, buf, len, err);
		io_step(progress, at + len, size);
	}
	return ret;
}

int digest_file(struct digest *out, int fd, uint64_t size, const struct io_progress *progress,
		struct err *err)
{
	auto_digest struct digest_stream s = { 0 };
	uint8_t *buf = malloc(READ_SIZE);
	int ret;

	if (!buf)
		return err_set(err, ENOMEM, "read buffer of %u bytes: out of memory",
			       READ_SIZE);
	ret = digest_begin(&s, err);
	if (ret == 0)
		ret = add_file(&s, fd, size, buf, progress, err);
	free(buf);
	return ret < 0 ? ret : digest_end(&s, out, err);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static const char hex_digits[] = "0123456789abcdef";

void digest_hex(const struct digest *d, char hex[DIGEST_HEX_SIZE])
{
	for (size_t i = 0; i < sizeof(d->bytes); i++) {
		hex[2 * i] = hex_digits[d->bytes[i] >> 4];
		hex[2 * i + 1] = hex_digits[d->bytes[i] & 15];
	}
	hex[DIGEST_HEX_SIZE - 1] = '\0';
}

int digest_check(const struct digest *is, const struct digest *expected, struct err *err)
{
	char is_hex[DIGEST_HEX_SIZE], expected_hex[DIGEST_HEX_SIZE];

	if (digest_equal(is, expected))
		return 0;
	digest_hex(is, is_hex);
	digest_hex(expected, expected_hex);
	return err_set(err, ERR_DAMAGED, "sha256 is %.16s..., expected %.16s...", is_hex,
		       expected_hex);
}

bool digest_parse(struct digest *d, const char *hex)
{
	struct digest parsed = { 0 };

	if (strlen(hex) != DIGEST_HEX_SIZE - 1 ||
	    strspn(hex, hex_digits) != DIGEST_HEX_SIZE - 1)
		return false;
	for (size_t i = 0; i < DIGEST_HEX_SIZE - 1; i++) {
		uint8_t nibble = (uint8_t)(strchr(hex_digits, hex[i]) - hex_digits);

		parsed.bytes[i / 2] = (uint8_t)(parsed.bytes[i / 2] << 4 | nibble);
	}
	*d = parsed;
	return true;
}

uint32_t digest_crc32c(uint32_t crc, const void *data, size_t len)
{
	assert(len <= INT_MAX);
	/* ISA-L leaves the two inversions to its caller, and only reads. */
	return ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, ~crc);
}
