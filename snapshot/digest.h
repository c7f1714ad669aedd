/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - the two checksums of an image. SHA-256 (FIPS 180-4, by OpenSSL) says whether
 * bytes are the ones that were written, against anyone; CRC32C (RFC 3720 B.4, by ISA-L) says
 * it against accidents, fast enough for every restore.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;
struct io_progress;

#define DIGEST_HEX_SIZE 65u /* 64 lower-case hex digits and a NUL */

struct digest {
	uint8_t bytes[32];
};

/* Errors of all SHA-256 functions: -ENOMEM, OpenSSL has no memory. */
int digest_of(struct digest *out, const void *data, size_t len, struct err *err) must_check;

/*
 * The same in pieces: begin, add as often as needed, end. auto_digest gives the stream back
 * at the end of the scope, also of one that was not begun ({ 0 }).
 */
struct digest_stream {
	void *ctx; /* OpenSSL's EVP_MD_CTX */
};
int digest_begin(struct digest_stream *s, struct err *err) must_check;
int digest_add(struct digest_stream *s, const void *data, size_t len,
	       struct err *err) must_check;
int digest_end(struct digest_stream *s, struct digest *out, struct err *err) must_check;
void digest_drop(struct digest_stream *s);
#define auto_digest __attribute__((cleanup(digest_drop)))

/*
 * digest_file - SHA-256 of the first @size bytes of a file; holes are read as zeros.
 * Errors: as io_read.
 */
int digest_file(struct digest *out, int fd, uint64_t size, const struct io_progress *progress,
		struct err *err) must_check;

bool digest_equal(const struct digest *a, const struct digest *b);

/* Errors: -ERR_DAMAGED @is is not @expected. */
int digest_check(const struct digest *is, const struct digest *expected,
		 struct err *err) must_check;

/* 64 lower-case hex digits. */
void digest_hex(const struct digest *d, char hex[DIGEST_HEX_SIZE]);
/* Exactly 64 lower-case hex digits, or false with @d untouched. */
bool digest_parse(struct digest *d, const char *hex);

/* CRC32C of @len bytes (at most INT_MAX) that follow those whose CRC is @crc; start with 0. */
uint32_t digest_crc32c(uint32_t crc, const void *data, size_t len);
