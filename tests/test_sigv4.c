/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of AWS's published test suite (get-vanilla and so on: its key, date and service), and
 * some that botocore made with the same key and date. tests/e2e_frontend.sh has live ones.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/err.h"
#include "tests/helpers_http.h"
#include "tests/helpers_image.h"
#include "tools/thaw/sigv4_sign.h"
#include "tools/thawd/lambda.h"
#include "tools/thawd/sigv4.h"

#define KEY_ID	   "AKIDEXAMPLE"
#define SECRET	   "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DATE	   "20150830T123600Z"
#define DATE_S	   1440938160u
#define SCOPE	   "20150830/us-east-1/service/aws4_request"
#define CREDENTIAL "Credential=" KEY_ID "/" SCOPE
#define HOST	   "Host: example.amazonaws.com\r\n"
#define AMZ_DATE   "X-Amz-Date: " DATE "\r\n"
#define VANILLA	   "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

static uint64_t now = DATE_S;

static uint64_t seconds(void)
{
	return now;
}

static void on_any(struct http_request *r, void *data)
{
	(void)data;
	http_answer(r, &(struct http_answer){ .status = 200, .body = "in", .len = 2 });
}

static const struct http_route routes[] = {
	{ "GET", "/", 0, on_any },
	{ "POST", "/", 1000, on_any },
	{ "GET", "/*", 0, on_any },
	{ "POST", "/2015-03-31/functions/*/invocations", 1000, on_any },
};

static const struct http_routes tables[] = { { routes, ARRAY_SIZE(routes), NULL } };
static struct sigv4_keys *keys;
static struct sigv4 sigv4 = { .service = "service", .seconds = seconds };
static struct http_host host;

static int read_keys(const char *text, mode_t mode, struct sigv4_keys **out, struct err *err)
{
	char dir[256], path[300];
	int fd, ret;

	scratch_make(dir);
	snprintf(path, sizeof(path), "%s/keys", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(i64, write(fd, text, strlen(text)), (long)strlen(text)));
	cr_assert(eq(int, fchmod(fd, mode), 0));
	close(fd);
	ret = sigv4_keys_read(out, path, err);
	scratch_remove(dir);
	return ret;
}

static void start(void)
{
	struct http_config config = { .tables = tables,
				      .ntables = 1,
				      .limits = { .connections = 10,
						  .bodies = 1u << 20,
						  .patience = 60 * NSEC_PER_SEC },
				      .refuse = lambda_refuse };
	struct http_guard guard = sigv4_guard(&sigv4);
	struct err err = { 0 };

	cr_assert(eq(int,
		     read_keys("# ours\nAKOTHER abc\n\n" KEY_ID "\t" SECRET "\r\n", 0600, &keys,
			       &err),
		     0),
		  "%s", err.text);
	sigv4.keys = keys;
	http_host_start(&host, &config, &guard);
}

static void stop(void)
{
	http_host_stop(&host);
	sigv4_keys_free(keys);
}

static void expect(const char *request, int status, const char *part)
{
	char *answer = http_host_ask(&host, request);

	cr_expect(eq(int, http_status(answer), status), "%s\n%s", request, answer);
	cr_expect(ne(ptr, strstr(answer, part), NULL), "%s\n%s\nlacks %s", request, answer,
		  part);
	free(answer);
}

#define SIGNED(headers, signature)                                                             \
	"Authorization: AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=" headers               \
	", Signature=" signature "\r\n"

Test(sigv4, takes_what_is_signed_right, .init = start, .fini = stop)
{
	/* clang-format off */
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host;x-amz-date", VANILLA) "\r\n",
		"POST / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host;x-amz-date",
			"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b") "Content-Length: 0\r\n\r\n",
		"GET /?Param2=value2&Param1=value1 HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host;x-amz-date",
			"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500") "\r\n",
		"GET / HTTP/1.1\r\n" HOST "My-Header1:  value1\r\nMy-Header2: \"a   b   c\" \r\n" AMZ_DATE
			SIGNED("host;my-header1;my-header2;x-amz-date",
			"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736") "\r\n",
		"GET /\xe1\x88\xb4 HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host;x-amz-date",
			"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85") "\r\n",
		"POST /2015-03-31/functions/f%3Av1/invocations?Qualifier=v1 HTTP/1.1\r\n" HOST
			"X-Amz-Invocation-Type: Event\r\n" AMZ_DATE SIGNED("host;x-amz-date;x-amz-invocation-type",
			"1c09666199e22038400063b8ee4c3f08bafbea2fae7e23fdd5af87e37f5c7b7a")
			"Content-Length: 7\r\n\r\n{\"a\":1}",
		"GET /?b=%C3%A9%2F&a=x%20y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1"
			"%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&"
			"X-Amz-Signature=3fa1e830e5fd41b5b07635ec37c7859fffd6fd600ed71a5bc2cc9e94caa8c58f HTTP/1.1\r\n" HOST "\r\n",
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		expect(requests[i], 200, "in");
	expect(requests[0], 200, "in"); /* again, as AWS does */
}

/* Any byte of a signed request that changes makes it worthless. */
Test(sigv4, refuses_what_was_changed, .init = start, .fini = stop, .timeout = 60)
{
	static const char good[] =
		"POST /2015-03-31/functions/f%3Av1/invocations?Qualifier=v1 "
		"HTTP/1.1\r\n" HOST "X-Amz-Invocation-Type: Event\r\n" AMZ_DATE
		"Content-Length: 7\r\n" SIGNED(
			"host;x-amz-date;x-amz-invocation-type",
			"1c09666199e22038400063b8ee4c3f08bafbea2fae7e23fdd5a"
			"f87e37f5c7b7a") "\r\n{\"a\":1}";
	/* Names of headers have no case, and neither has "Authorization" a meaning of its own. */
	static const char *const parts[] = { "functions/f", "Qualifier=v1", "example.amazon",
					     "Event\r\n",   "20150830T",    "AKIDEX",
					     "us-east-1",   "aws4_req",	    "host;x",
					     "1c0966",	    "{\"a\":1}" };

	expect(good, 200, "in");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char bad[sizeof(good)];
		char *answer, *at;

		memcpy(bad, good, sizeof(good));
		at = strstr(bad, parts[i]) + 1;
		*at = *at == 'a' ? 'b' : 'a';
		answer = http_host_ask(&host, bad);
		cr_expect(eq(int, http_status(answer), 403), "%s: %s", parts[i], answer);
		free(answer);
	}
}

Test(sigv4, says_what_is_wrong_as_aws_does, .init = start, .fini = stop)
{
	/* clang-format off */
	static const struct { const char *request, *type; } t[] = {
		{ "GET / HTTP/1.1\r\n" HOST "\r\n", "MissingAuthenticationTokenException" },
		{ "GET / HTTP/1.1\r\n" HOST "Authorization: Basic YTpi\r\n\r\n", "IncompleteSignatureException" },
		{ "GET / HTTP/1.1\r\n" HOST SIGNED("host;x-amz-date", VANILLA) "\r\n", "IncompleteSignatureException" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("x-amz-date", VANILLA) "\r\n", "IncompleteSignatureException" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("x-amz-date;host", VANILLA) "\r\n", "IncompleteSignatureException" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host;host;x-amz-date", VANILLA) "\r\n", "IncompleteSignatureException" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host;x-amz-date", "5f") "\r\n", "IncompleteSignatureException" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host", VANILLA) "\r\n", "'X-Amz-Date' is there and not signed" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE "X-Amz-Log-Type: Tail\r\n" SIGNED("host;x-amz-date", VANILLA) "\r\n",
		  "'X-Amz-Log-Type' is there and not signed" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("accept;host;x-amz-date", VANILLA) "\r\n", "'accept' is not there" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE "X-Amz-Security-Token: x\r\n" SIGNED("host;x-amz-date;x-amz-security-token", VANILLA) "\r\n",
		  "UnrecognizedClientException" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"
		  SIGNED("host;x-amz-content-sha256;x-amz-date", VANILLA) "\r\n", "not the SHA-256 of the body" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE "Authorization: AWS4-HMAC-SHA256 Credential=AKNONE/" SCOPE
		  ", SignedHeaders=host;x-amz-date, Signature=" VANILLA "\r\n\r\n", "UnrecognizedClientException" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE "Authorization: AWS4-HMAC-SHA256 Credential=AKOTHER/" SCOPE
		  ", SignedHeaders=host;x-amz-date, Signature=" VANILLA "\r\n\r\n", "does not match the signature" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/lambda/aws4_request"
		  ", SignedHeaders=host;x-amz-date, Signature=" VANILLA "\r\n\r\n", "correct service" },
		{ "GET / HTTP/1.1\r\n" HOST AMZ_DATE "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150831/us-east-1/service/aws4_request"
		  ", SignedHeaders=host;x-amz-date, Signature=" VANILLA "\r\n\r\n", "Date in Credential scope" },
		{ "GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256 HTTP/1.1\r\n" HOST "\r\n", "IncompleteSignatureException" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		expect(t[i].request, 403, t[i].type);
}

Test(sigv4, a_signature_lasts_five_minutes, .init = start, .fini = stop)
{
	static const char good[] =
		"GET / HTTP/1.1\r\n" HOST AMZ_DATE SIGNED("host;x-amz-date", VANILLA) "\r\n";

	now = DATE_S + SIGV4_SKEW_S;
	expect(good, 200, "in");
	now = DATE_S - SIGV4_SKEW_S;
	expect(good, 200, "in");
	now = DATE_S + SIGV4_SKEW_S + 1;
	expect(good, 403, "Signature expired");
	now = DATE_S - SIGV4_SKEW_S - 1;
	expect(good, 403, "Signature not yet current");
}

/* ---- the file of keys ---- */

Test(sigv4_keys, the_file_is_taken_only_in_its_form)
{
	/* clang-format off */
	static const struct { const char *text; mode_t mode; int ret; const char *part; } t[] = {
		{ "A b\n", 0600, 0, "" },
		{ "A b # c\n#\n \nC d", 0400, 0, "" },
		{ "A b\n", 0640, -EPERM, "has mode 0640" },
		{ "A b\n", 0604, -EPERM, "has mode 0604" },
		{ "", 0600, -EINVAL, "no key" },
		{ "# A b\n", 0600, -EINVAL, "no key" },
		{ "A b\nC\n", 0600, -EINVAL, "line 2: expected ACCESS_KEY_ID SECRET" },
		{ "A b c\n", 0600, -EINVAL, "line 1" },
		{ "A b\n\nA c\n", 0600, -EINVAL, "line 3: the key is there already" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct sigv4_keys *k = NULL;
		struct err err = { "" };

		cr_expect(eq(int, read_keys(t[i].text, t[i].mode, &k, &err), t[i].ret), "%zu",
			  i);
		cr_expect(ne(ptr, strstr(err.text, t[i].part), NULL), "%s", err.text);
		cr_expect(eq(ptr, strstr(err.text, " b"), NULL), "a secret: %s", err.text);
		sigv4_keys_free(k);
	}
}

/* ---- the signing half ---- */

static const struct sigv4_key key = { KEY_ID, SECRET, "us-east-1", "service" };

Test(sigv4_sign, signs_as_others_do)
{
	static const char *const queued[] = { "X-Amz-Invocation-Type: Event", NULL };
	static const char *const blanks[] = { "My-Header2: \"a   b   c\" ",
					      "My-Header1:  value1", NULL };
	/* clang-format off */
	static const struct { struct sigv4_what what; const char *signature; } t[] = {
		{ { .method = "GET", .target = "/" }, VANILLA },
		{ { .method = "GET", .target = "/", .headers = blanks },
		  "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
		{ { .method = "GET", .target = "/?Param2=value2&Param1=value1" },
		  "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
		{ { .method = "POST", .target = "/2015-03-31/functions/f%3Av1/invocations?Qualifier=v1",
		    .headers = queued, .body = "{\"a\":1}", .len = 7 },
		  "1c09666199e22038400063b8ee4c3f08bafbea2fae7e23fdd5af87e37f5c7b7a" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct sigv4_what what = t[i].what;
		struct sigv4_lines lines;
		struct err err = { "" };

		what.host = "example.amazonaws.com";
		what.seconds = DATE_S;
		cr_assert(eq(int, sigv4_sign(&lines, &what, &key, &err), 0), "%s", err.text);
		cr_expect(eq(str, lines.date, "X-Amz-Date: " DATE));
		cr_expect(ne(ptr, strstr(lines.authorization, CREDENTIAL ", "), NULL), "%s",
			  lines.authorization);
		cr_expect(ne(ptr, strstr(lines.authorization, t[i].signature), NULL), "%zu: %s",
			  i, lines.authorization);
	}
}

Test(sigv4_sign, refuses_what_it_cannot_sign)
{
	static const char *const none[] = { "a header without a colon", NULL };
	static const char *const many[] = { "a:", "b:", "c:", "d:", "e:", "f:", "g:", NULL };
	const struct sigv4_what good = { .method = "GET", .target = "/", .host = "h" };
	struct sigv4_key long_key = key;
	struct sigv4_what what = good;
	struct sigv4_lines lines;
	char longest[600];

	what.target = "nowhere";
	cr_expect(eq(int, sigv4_sign(&lines, &what, &key, NULL), -EINVAL));
	what = good;
	what.headers = none;
	cr_expect(eq(int, sigv4_sign(&lines, &what, &key, NULL), -EINVAL));
	what.headers = many;
	cr_expect(eq(int, sigv4_sign(&lines, &what, &key, NULL), -E2BIG));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	long_key.secret = longest;
	cr_expect(eq(int, sigv4_sign(&lines, &good, &long_key, NULL), -EINVAL));
	long_key = key;
	long_key.region = longest;
	cr_expect(eq(int, sigv4_sign(&lines, &good, &long_key, NULL), -EINVAL));
}

/* ---- dates ---- */

Test(sigv4_claim, dates_are_of_one_form)
{
	static const char *const wrong[] = { "",
					     "20150830T123600",
					     "20150830T123600z",
					     "2015083012:36:00",
					     "20151330T123600Z",
					     "20150830T253600Z",
					     " 0150830T123600Z",
					     "19690830T123600Z",
					     "20150830T123600ZZ" };

	cr_expect(eq(u64, sigv4_seconds(DATE), DATE_S));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect(eq(u64, sigv4_seconds(wrong[i]), 0), "%s", wrong[i]);
}
