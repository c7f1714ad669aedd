/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/sigv4.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "engine/err.h"
#include "tools/thaw/sigv4_sign.h"
#include "tools/thawd/aws_error.h"
#include "tools/thawd/sigv4_keys.h"

#define UNSIGNED "UNSIGNED-PAYLOAD"

static bool is_right(const struct sigv4_claim *c, const char *secret,
		     const struct digest *canonical)
{
	struct digest right;

	return sigv4_signature(&right, c, secret, canonical) &&
	       CRYPTO_memcmp(right.bytes, c->signature, sizeof(right.bytes)) == 0;
}

/* ---- what is asked of a request besides ---- */

static enum aws_error refuse(enum aws_error error, struct err *err, const char *message)
{
	err_set(err, EACCES, "%s", message);
	return error;
}

static enum aws_error read_claim(struct sigv4_claim *c, const struct http_request *r,
				 struct err *err)
{
	const char *authorization = http_header(r, "Authorization");
	int ret;

	if (sigv4_is_presigned(http_uri(r)) && !authorization)
		ret = sigv4_claim_query(c, http_uri(r), err);
	else if (authorization)
		ret = sigv4_claim_header(c, authorization, http_header(r, "X-Amz-Date"), err);
	else
		return refuse(AWS_MISSING_TOKEN, err, "Missing Authentication Token");
	return ret < 0 ? AWS_INCOMPLETE_SIGNATURE : AWS_FINE;
}

static enum aws_error check_time(const struct sigv4 *s, const struct sigv4_claim *c,
				 struct err *err)
{
	uint64_t now = s->seconds ? s->seconds() : clock_realtime() / NSEC_PER_SEC;
	uint64_t from = sigv4_seconds(c->date);
	uint64_t lasts = c->is_presigned ? c->expires_s : SIGV4_SKEW_S;

	if (from > now + SIGV4_SKEW_S) {
		err_set(err, EACCES, "Signature not yet current: %s is %llu s ahead", c->date,
			(unsigned long long)(from - now));
		return AWS_INVALID_SIGNATURE;
	}
	if (from + lasts < now) {
		err_set(err, EACCES, "Signature expired: %s is %llu s ago, it lasts %llu s",
			c->date, (unsigned long long)(now - from), (unsigned long long)lasts);
		return AWS_INVALID_SIGNATURE;
	}
	return AWS_FINE;
}

struct unsigned_header {
	const struct sigv4_claim *claim;
	struct err *err;
	bool is_found;
};

static bool on_header(void *data, const char *name, const char *value)
{
	struct unsigned_header *u = data;

	(void)value;
	if (strncasecmp(name, "x-amz-", 6) != 0 || sigv4_claim_signs(u->claim, name))
		return true;
	err_set(u->err, EACCES, "Header '%.60s' is there and not signed", name);
	u->is_found = true;
	return false;
}

static enum aws_error check_headers(const struct sigv4_claim *c, const struct http_request *r,
				    struct err *err)
{
	struct unsigned_header u = { c, err, false };

	if (http_header(r, "X-Amz-Security-Token"))
		return refuse(AWS_UNRECOGNIZED_CLIENT, err,
			      "The security token included in the request is invalid.");
	http_headers(r, on_header, &u);
	return u.is_found ? AWS_INVALID_SIGNATURE : AWS_FINE;
}

/* What stands for the body in the canonical request: @hex of what came, or what was said of it. */
static enum aws_error check_payload(const struct sigv4 *s, const struct http_request *r,
				    const char *hex, const char **payload, struct err *err)
{
	const char *said = http_header(r, "X-Amz-Content-Sha256");

	*payload = said ? said : hex;
	if (!said || strcmp(said, hex) == 0)
		return AWS_FINE;
	if (strcmp(said, UNSIGNED) == 0 && s->is_tls)
		return AWS_FINE;
	return refuse(AWS_INVALID_SIGNATURE, err,
		      "X-Amz-Content-Sha256 is not the SHA-256 of the body");
}

static void each_header(const void *source,
			bool (*each)(void *data, const char *name, const char *value),
			void *data)
{
	http_headers(source, each, data);
}

static enum aws_error check_signature(const struct sigv4 *s, const struct sigv4_claim *c,
				      const struct http_request *r, const char *payload,
				      struct err *err)
{
	struct sigv4_request what = { .method = http_method(r),
				      .uri = http_uri(r),
				      .headers = each_header,
				      .source = r,
				      .payload = payload };
	const char *secret = sigv4_keys_secret(s->keys, c->key_id);
	struct digest canonical;

	if (!secret)
		return refuse(AWS_UNRECOGNIZED_CLIENT, err,
			      "The security token included in the request is invalid.");
	if (strcmp(c->service, s->service) != 0)
		return refuse(AWS_INVALID_SIGNATURE, err,
			      "Credential should be scoped to correct service.");
	if (sigv4_canonical(&canonical, &what, c, err) < 0)
		return AWS_INVALID_SIGNATURE;
	if (is_right(c, secret, &canonical))
		return AWS_FINE;
	return refuse(AWS_INVALID_SIGNATURE, err,
		      "The request signature we calculated does not match the signature you "
		      "provided. Check your AWS Secret Access Key and signing method. Consult "
		      "the service documentation for details.");
}

static enum aws_error check(const struct sigv4 *s, const struct http_request *r,
			    const struct digest *body, struct err *err)
{
	struct sigv4_claim c;
	char hex[DIGEST_HEX_SIZE];
	const char *payload;
	enum aws_error error = read_claim(&c, r, err);

	digest_hex(body, hex);
	if (!error)
		error = check_time(s, &c, err);
	if (!error)
		error = check_headers(&c, r, err);
	if (!error)
		error = check_payload(s, r, hex, &payload, err);
	return error ? error : check_signature(s, &c, r, payload, err);
}

static bool admit(struct http_request *r, const struct digest *body, void *data)
{
	struct err err;
	enum aws_error error = check(data, r, body, &err);

	if (!error)
		return true;
	aws_refuse(r, &(struct aws_refusal){ .error = error, .message = err.text });
	return false;
}

struct http_guard sigv4_guard(struct sigv4 *s)
{
	return (struct http_guard){ admit, s };
}
