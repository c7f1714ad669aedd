#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# thawd's frontend and clients that others wrote: curl, and AWS's own command line where it is
# installed. Behind it are functions that are made up (tests/e2e/frontend.c).
. tests/e2e.sh
. tests/e2e/certificates.sh
need_program curl

FRONTEND=${FRONTEND:-build/release/tests/e2e/frontend}
API=2015-03-31/functions
KEY=AKIDEXAMPLE SECRET=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$WORK"' EXIT

start() { # ADDRESS [ARGUMENT]...: sets $port
	: >"$WORK/server"
	"$FRONTEND" "$@" >"$WORK/server" 2>"$WORK/server.err" &
	server=$!
	for _ in $(seq 100); do
		grep -q port "$WORK/server" && break
		sleep 0.1
	done
	port=$(sed -n 's/^port //p' "$WORK/server")
}

stop() {
	kill "$server"
	wait "$server"
	expect_equal "the server ends cleanly" "$? $(cat "$WORK/server.err")" "0 "
	server=
}

quiet_curl() { # curl that says the status behind the body
	curl -sS -m 20 -w ' %{http_code}' "$@" 2>&1
}

# ---- over a Unix socket ----

start "unix:$WORK/socket"
on_socket() {
	path=$1
	shift
	quiet_curl --unix-socket "$WORK/socket" "$@" "http://thaw/$path"
}
expect_equal "echo replies over a Unix socket" "$(on_socket $API/echo/invocations -d hi)" "hi 200"
expect_equal "it is healthy" "$(on_socket healthz)" "ok
 200"
expect_match "an unknown path is none of ours" "$(on_socket nothing)" 'Unknown operation.* 404'
expect_equal "the socket is its owner's" "$(stat -c %a "$WORK/socket")" 600
head -c 6291456 /dev/zero >"$WORK/most"
on_socket $API/echo/invocations --data-binary "@$WORK/most" -o "$WORK/got" >/dev/null
expect_same_file "six MiB come back" "$WORK/got" "$WORK/most"
echo >>"$WORK/most"
expect_match "one byte more is refused" \
	"$(on_socket $API/echo/invocations --data-binary "@$WORK/most")" 'must be smaller than 6291456.* 413'
expect_match "a body in chunks is taken" \
	"$(on_socket $API/echo/invocations -H 'Transfer-Encoding: chunked' -d hi)" '^hi 200'
expect_match "whoever is tired of waiting may go" "$(on_socket $API/never/invocations -d 1 -m 1)" 'timed out'
expect_match "and the server goes on" "$(on_socket metrics)" '^requests [0-9]+'
stop
expect_match "having noticed that" "$(cat "$WORK/server")" '^hung_up 1$'

# ---- signed ----

(umask 077 && echo "$KEY $SECRET" >"$WORK/keys")
start 127.0.0.1:0 keys "$WORK/keys"
url=http://127.0.0.1:$port/$API
signed() {
	quiet_curl --aws-sigv4 aws:amz:us-east-1:lambda --user "$KEY:$1" "$url/$2" -d "$3"
}
expect_equal "curl's signature is right" "$(signed "$SECRET" echo/invocations 'a b')" "a b 200"
expect_match "and with another secret it is not" "$(signed wrong echo/invocations hi)" \
	'signature we calculated does not match.* 403'
expect_match "nobody gets in without" "$(quiet_curl "$url/echo/invocations" -d hi)" \
	'Missing Authentication Token.* 403'

aws_lambda() {
	AWS_ACCESS_KEY_ID=$KEY AWS_SECRET_ACCESS_KEY=$SECRET AWS_DEFAULT_REGION=eu-central-1 \
		AWS_MAX_ATTEMPTS=1 AWS_PAGER='' HOME=$WORK AWS_EC2_METADATA_DISABLED=true \
		aws lambda --endpoint-url "http://127.0.0.1:$port" --output text "$@" 2>&1
}
invoke() { # FUNCTION PAYLOAD [OPTION]...
	name=$1
	printf %s "$2" >"$WORK/payload"
	shift 2
	aws_lambda invoke --function-name "$name" --payload "fileb://$WORK/payload" "$@" "$WORK/reply"
}
if command -v aws >/dev/null; then
	expect_match "aws invokes" "$(invoke echo '{"a":1}')" 'LATEST.*200'
	expect_equal "and gets the reply" "$(cat "$WORK/reply")" '{"a":1}'
	expect_match "also by ARN" \
		"$(invoke arn:aws:lambda:eu-central-1:123456789012:function:echo:v1 1 --client-context e30=)" 200
	expect_match "sees a function fail" "$(invoke fail 1)" Unhandled
	expect_match "and why" "$(cat "$WORK/reply")" '"errorType":"Runtime.ExitError"'
	expect_match "sees the end of the log" "$(invoke log printed --log-type Tail)" cHJpbnRlZA==
	expect_match "queues an event" "$(invoke echo 1 --invocation-type Event)" 202
	expect_match "knows a throttled function" "$(invoke busy 1)" TooManyRequestsException
	expect_match "knows that there is no such function" "$(invoke other 1)" ResourceNotFoundException
	expect_match "describes a function" "$(aws_lambda get-function --function-name echo --qualifier v1)" 'echo.*v1'
	expect_equal "lists functions by pages" \
		"$(aws_lambda list-functions --page-size 2 --query 'Functions[].FunctionName' | xargs)" \
		"busy echo fail log never"
else
	skip "aws invokes, describes and lists" "aws is not installed"
fi
stop

# ---- only this host, unless clients are known ----

expect_status 1 "no door to the world without keys" "$FRONTEND" 0.0.0.0:0
expect_match "and the reason" "$(cat "$E2E_ERR")" 'not a loopback address'
chmod 640 "$WORK/keys"
expect_status 1 "keys that others can read are refused" "$FRONTEND" 127.0.0.1:0 keys "$WORK/keys"

# ---- certificates ----

with_tls() { # CERTIFICATE
	quiet_curl --cacert "$WORK/ca.pem" --cert "$WORK/$1.pem" --key "$WORK/$1.key" \
		"https://127.0.0.1:$port/$API/echo/invocations" -d hi
}
if command -v openssl >/dev/null; then
	authority ca
	authority foreign
	certificate server ca 127.0.0.1
	certificate client ca
	certificate stranger foreign
	start 127.0.0.1:0 tls "$WORK/server.pem" "$WORK/server.key" "$WORK/ca.pem"
	expect_equal "a client with a certificate comes in" "$(with_tls client)" "hi 200"
	expect_match "one of another authority does not" "$(with_tls stranger)" '^ 000$'
	expect_match "nor one without" "$(quiet_curl --cacert "$WORK/ca.pem" "https://127.0.0.1:$port/healthz")" \
		'^ 000$'
	expect_match "nor one without TLS" "$(quiet_curl "http://127.0.0.1:$port/healthz")" '^ 000$'
	expect_equal "six MiB come back through TLS" "$(head -c 6291456 /dev/zero | curl -sS -m 20 \
		--cacert "$WORK/ca.pem" --cert "$WORK/client.pem" --key "$WORK/client.key" --data-binary @- \
		"https://127.0.0.1:$port/$API/echo/invocations" | wc -c)" 6291456
	stop
	expect_status 1 "a key that is none is refused" "$FRONTEND" 127.0.0.1:0 \
		tls "$WORK/server.pem" "$WORK/client.key" "$WORK/ca.pem"
else
	skip "clients with certificates come in" "openssl is not installed"
fi

finish
