#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# thawd as its users meet it: options, its own calls, Lambda's, wrong input, and how it stops.
# What takes long is in tests/e2e_thawd_drills.sh.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/thawd/daemon.sh
. tests/thawd/daemon.sh

# ---- options ----

expect_status 0 "help" "$THAWD" --help
expect_match "help shows the options" "$(cat "$E2E_OUT")" '^  --dir DIR'
while IFS='|' read -r name arguments; do
	# shellcheck disable=SC2086 # words are meant to be split
	expect_status 2 "usage: $name" "$THAWD" $arguments
	expect_match "usage: $name: how to get help" "$(cat "$E2E_ERR")" "^thawd: .*; try 'thawd --help'$"
done <<END
no directory|
an unknown option|--dir $WORK/x --frobnicate
an option without its value|--dir
an argument|--dir $WORK/x y
--slots no number|--dir $WORK/x --slots many
--slots too large|--dir $WORK/x --slots 65537
--memory no size|--dir $WORK/x --memory lots
--drain no number|--dir $WORK/x --drain -1
too many addresses|--dir $WORK/x $(printf -- '--listen unix:/x %.0s' 1 2 3 4 5 6 7 8 9)
END
need_kvm
need_program curl

while IFS='|' read -r name pattern arguments; do
	# shellcheck disable=SC2086
	expect_status 1 "refused: $name" timeout 10 "$THAWD" --dir "$WORK/x" $arguments
	expect_match "refused: $name: why" "$(cat "$E2E_ERR")" "$pattern"
done <<END
an address that others reach|not a loopback address|--listen 0.0.0.0:9001
such an address, IPv6|not a loopback address|--listen [::]:9001
a name for an address|expected 127.0.0.1:PORT|--listen localhost:9001
no port|expected 127.0.0.1:PORT|--listen 127.0.0.1
a port that is none|expected 127.0.0.1:PORT|--listen 127.0.0.1:65536
a path that is not absolute|expected 127.0.0.1:PORT|--listen unix:x
a socket in no directory|$WORK/none|--listen unix:$WORK/none/s
a socket that is a file|thawd.log|--listen unix:$WORK/thawd.log
no slots|slots|--slots 0 --listen unix:$WORK/x/s
END
expect_status 1 "refused: a directory that is a file" "$THAWD" --dir "$WORK/thawd.log"

# ---- functions ----

image echo "$GUEST/echo"
image moody "$GUEST/tests/moody"
image keeper "$GUEST/tests/keeper"
if ! thawd_start --slots 64; then
	not_ok "it starts" "$(cat "$WORK/thawd.log")"
	finish
fi
ok "it starts"
expect_status 1 "not twice in one directory" timeout 10 "$THAWD" --dir "$WORK/thawd" --listen "unix:$WORK/y"
expect_equal "it lives" "$(ask GET /healthz)" ok
expect_equal "it is ready" "$(ask GET /readyz)" ok
expect_status 0 "a function is put" put echo echo
expect_equal "and is described" "$(jq -r .FunctionName "$WORK/body")" echo
expect_equal "it answers" "$(invoke echo '"hello"')" '"hello"'
expect_equal "a reply may have 6 MB" \
	"$(head -c 6291456 /dev/zero | ask POST /2015-03-31/functions/echo/invocations --data-binary @- |
		wc -c | tr -d ' ')" 6291456
expect_equal "a version is published" "$(ask POST /thaw/functions/echo/versions | jq -r .Version)" 1
expect_equal "an alias is put" "$(ask_status PUT /thaw/functions/echo/aliases/live -d '{"version": 1}')" 200
expect_equal "and invoked" \
	"$(ask_status POST '/2015-03-31/functions/echo/invocations?Qualifier=live' -d 1)" 200
expect_match "as the version that it is" "$(cat "$WORK/head")" '^X-Amz-Executed-Version: 1'
expect_equal "an alias is deleted" "$(ask_status DELETE /thaw/functions/echo/aliases/live)" 200
expect_equal "and gone" "$(ask_status POST '/2015-03-31/functions/echo/invocations?Qualifier=live' -d 1)" \
	"404 ResourceNotFoundException"
expect_match "its log is shown" "$(ask GET /thaw/functions/echo/log)" '^REPORT RequestId: .*Duration'
put gone echo

# ---- machines of versions and aliases ----

machines_are() { # WANTED LABEL...: soon
	machines_wanted=$1
	shift
	for _ in $(seq $((100 * SLOW))); do
		[ "$(metric machines "$@")" -eq "$machines_wanted" ] && return
		sleep 0.05
	done
	metric machines "$@"
	return 1
}

publish_two() { # NAME [MEMBERS]: versions 1 and 2, whose idle machines go soon
	for idle_ms in 50 60; do
		put "$1" keeper "\"idle_timeout_ms\": $idle_ms${2:+, $2}"
		ask POST "/thaw/functions/$1/versions" -f -o "$WORK/body"
	done
}

publish_two kept
alias=/thaw/functions/kept/aliases/live
ask_status PUT $alias -d '{"version": 1, "provisioned": 2}' >"$WORK/status"
expect_status 0 "an alias has machines that are always there" machines_are 2 kept 'version="1"'
ask_status PUT $alias -d '{"version": 2}' >"$WORK/status"
expect_status 0 "they are those of the version that it means" machines_are 2 kept 'version="2"'
expect_status 0 "and not of the one that it meant" machines_are 0 kept 'version="1"'
ask_status PUT $alias -d '{"provisioned": 1}' >"$WORK/status"
expect_status 0 "less of them" machines_are 1 kept 'version="2"'
ask_status DELETE $alias >"$WORK/status"
expect_status 0 "none without the alias" machines_are 0 kept

# What is reserved is the function's: two invocations of a version leave no room for a third.
put few keeper '"reserved": 2'
ask POST /thaw/functions/few/versions -f -o "$WORK/body"
load --path '/2015-03-31/functions/few/invocations?Qualifier=1' --verb 'nap 600' --connections 2 \
	--requests 2 >"$WORK/first" &
loader=$!
machines_are 2 few busy
load --function few --verb 'nap 1' --requests 1 >"$WORK/second"
wait $loader
expect_equal "versions have what is reserved together" \
	"$(jq -c '[.right, .p50_us > 300000]' "$WORK/second")" '[1,true]'
expect_equal "nobody is refused for that" "$(jq -c '[.right, .errors]' "$WORK/first")" '[2,0]'

# Both versions are in use when the alias goes from one to the other, and there is room for one's only.
publish_two moved '"reserved": 2'
alias=/thaw/functions/moved/aliases/live
ask_status PUT $alias -d '{"version": 1, "provisioned": 2}' >"$WORK/status"
machines_are 2 moved 'version="1"'
ask_status PUT $alias -d '{"provisioned": 1}' >"$WORK/status"
load --path '/2015-03-31/functions/moved/invocations?Qualifier=2' --requests 1 >"$WORK/first"
expect_equal "the other version is in use" "$(jq .right "$WORK/first")" 1
ask_status PUT $alias -d '{"provisioned": 2}' >"$WORK/status"
ask_status PUT $alias -d '{"version": 2}' >"$WORK/status"
expect_status 0 "what is provisioned moves within what is reserved" machines_are 2 moved 'version="2"'
ask_status DELETE $alias >"$WORK/status"
put moved keeper '"reserved": -1'
load --path '/2015-03-31/functions/moved/invocations?Qualifier=2' --verb 'nap 300' --connections 4 \
	--requests 4 >"$WORK/first"
expect_equal "when nothing is reserved any more, more may run at once" \
	"$(jq -c '[.right, .max_us < 700000]' "$WORK/first")" '[4,true]'

# One runs, the other waits, and the function changes.
put changed keeper '"reserved": 1'
load --function changed --verb 'nap 500' --connections 2 --requests 2 >"$WORK/first" &
loader=$!
until [ "$(metric queued changed)" -eq 1 ]; do
	kill -0 $loader 2>/dev/null || break
done
put changed keeper '"description": "another"'
wait $loader
expect_equal "who waits while it changes is answered all the same" \
	"$(jq -c '[.right, .errors]' "$WORK/first")" '[2,0]'
for name in kept few moved changed; do
	ask DELETE /thaw/functions/$name -f -o "$WORK/body"
done

expect_equal "a function is deleted" "$(ask_status DELETE /thaw/functions/gone)" 200
expect_equal "and gone" "$(ask_status POST /2015-03-31/functions/gone/invocations -d 1)" \
	"404 ResourceNotFoundException"

# ---- wrong input ----

while IFS='|' read -r status method path body; do
	expect_equal "$method $path $body" "$(ask_status "$method" "$path" -d "$body")" "$status"
	expect_equal "$method $path $body: as Lambda says it" \
		"$(jq -r 'has("Type") and (has("message") or has("Message"))' "$WORK/body")" true
done <<END
400 InvalidParameterValueException|PUT|/thaw/functions/new|
400 InvalidParameterValueException|PUT|/thaw/functions/new|{
400 InvalidParameterValueException|PUT|/thaw/functions/new|[]
400 InvalidParameterValueException|PUT|/thaw/functions/new|"text"
400 InvalidParameterValueException|PUT|/thaw/functions/new|{"image": "relative"}
400 InvalidParameterValueException|PUT|/thaw/functions/new|{"image": 7}
404 ResourceNotFoundException|PUT|/thaw/functions/new|{"image": "/no/such/directory"}
404 ResourceNotFoundException|PUT|/thaw/functions/new|{"image": "$WORK"}
400 InvalidParameterValueException|PUT|/thaw/functions/new|{"image": "$WORK/thawd.log"}
400 InvalidParameterValueException|PUT|/thaw/functions/new|{"timeout_ms": 100}
400 InvalidParameterValueException|PUT|/thaw/functions/new|{"image": "$WORK/echo", "image": "$WORK/echo"}
400 InvalidParameterValueException|PUT|/thaw/functions/new|{"image": "$WORK/echo", "color": "red"}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"timeout_ms": 0}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"timeout_ms": 99999999999}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"timeout_ms": 1.5}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"min": -1}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"weight": 0}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"mode": "sometimes"}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"mode": null}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"environment": []}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"min": 5, "max": 2}
400 InvalidParameterValueException|PUT|/thaw/functions/a%20b|{"image": "$WORK/echo"}
400 InvalidParameterValueException|PUT|/thaw/functions/%2e%2e%2fx|{"image": "$WORK/echo"}
400 InvalidParameterValueException|PUT|/thaw/functions/$(printf 'a%.0s' $(seq 65))|{"image": "$WORK/echo"}
400 InvalidParameterValueException|PUT|/thaw/functions/%zz|{"image": "$WORK/echo"}
404 ResourceNotFoundException|DELETE|/thaw/functions/nobody|
404 ResourceNotFoundException|POST|/thaw/functions/nobody/versions|
404 ResourceNotFoundException|PUT|/thaw/functions/nobody/aliases/live|{"version": 1}
404 ResourceNotFoundException|PUT|/thaw/functions/echo/aliases/live|{"version": 77}
400 InvalidParameterValueException|PUT|/thaw/functions/echo/aliases/live|{"version": 0}
400 InvalidParameterValueException|PUT|/thaw/functions/echo/aliases/live|{}
400 InvalidParameterValueException|PUT|/thaw/functions/echo/aliases/1|{"version": 1}
400 InvalidParameterValueException|PUT|/thaw/functions/echo/aliases/live|{"version": 1, "color": "red"}
400 InvalidParameterValueException|PUT|/thaw/functions/echo/aliases/live|{"version": 1, "max": 2}
400 InvalidParameterValueException|PUT|/thaw/functions/echo/aliases/live|{"version": 1, "provisioned": -1}
400 InvalidParameterValueException|PUT|/thaw/functions/echo|{"version": 1}
404 ResourceNotFoundException|DELETE|/thaw/functions/echo/aliases/nobody|
404 ResourceNotFoundException|POST|/2015-03-31/functions/nobody/invocations|1
404 UnknownOperationException|POST|/nowhere|
404 UnknownOperationException|PATCH|/thaw/functions/echo|
END
expect_equal "the function is as it was" "$(invoke echo '"still"')" '"still"'
expect_equal "too large an event" "$(head -c 6291457 /dev/zero |
	ask_status POST /2015-03-31/functions/echo/invocations --data-binary @-)" "413 RequestTooLargeException"
expect_equal "too large a body of our own" "$(head -c 70000 /dev/zero |
	ask_status PUT /thaw/functions/new --data-binary @-)" "413 RequestTooLargeException"

# ---- functions that fail ----

put moody moody '"timeout_ms": 300'
for event in crash abort exit hang; do
	expect_equal "$event" "$(ask_status POST /2015-03-31/functions/moody/invocations -d $event)" 200
	expect_match "$event: a function's error" "$(cat "$WORK/head")" '^X-Amz-Function-Error: Unhandled'
	expect_equal "$event: with its type" "$(jq -r .errorType "$WORK/body")" \
		"$([ $event = hang ] && echo Sandbox.Timedout || echo Runtime.ExitError)"
	expect_equal "$event: the next one is answered" "$(invoke moody fine)" "moody: fine"
done
expect_equal "machines that failed are given up" "$(metric machines_poisoned_total moody)" 4

# ---- modes ----

put rewound keeper
put reused keeper '"mode": "reuse"'
put fresh keeper '"mode": "fresh"'
for name in rewound fresh; do
	expect_status 0 "$name: nothing of others is found" load --function $name --requests 20
	expect_equal "$name: in 20 right replies" "$(jq .right "$E2E_OUT")" 20
done
expect_equal "a machine for all that is rewound" "$(metric machines_used_total rewound)" 1
expect_equal "one for each that is fresh" "$(metric machines_used_total fresh)" 20
expect_status 1 "reused: everything is" load --function reused --requests 20
expect_equal "reused: by all but the first" "$(jq -c '[.right, .wrong]' "$E2E_OUT")" '[1,19]'

# ---- few machines for low load ----

put low keeper
expect_status 0 "low load" load --function low --rate 40 --seconds 2
expect_equal "touches one machine" "$(metric machines_used_total low)" 1
# A rewind that this host does not come to for a millisecond is not waited for: of three times, once it does.
for low in low4 again4 last4; do
	put $low keeper
	expect_status 0 "four at once: $low" load --function $low --verb 'nap 50' --connections 4 --requests 80
	expect_equal "$low: all right" "$(jq .right "$E2E_OUT")" 80
	touched=$(metric machines_used_total $low)
	[ "$touched" -ne 4 ] || break
done
expect_equal "four at once touch four" "$touched" 4
put wide keeper
expect_status 0 "from none to fifty at once" load --function wide --verb 'nap 300' --connections 50 --requests 50
expect_equal "fifty right replies" "$(jq .right "$E2E_OUT")" 50

# ---- other clients ----

if command -v aws >/dev/null; then
	port=$((20000 + $$ % 20000))
	thawd_stop
	thawd_start --slots 64 --listen "127.0.0.1:$port" || not_ok "it starts again"
	export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=local
	printf '"from aws"' >"$WORK/event"
	expect_status 0 "aws lambda invoke" aws lambda invoke --endpoint-url "http://127.0.0.1:$port" \
		--function-name echo --payload "fileb://$WORK/event" "$WORK/reply"
	expect_equal "with the reply" "$(cat "$WORK/reply")" '"from aws"'
	expect_equal "of the latest version" "$(jq -r .ExecutedVersion "$E2E_OUT")" "\$LATEST"
	expect_status 0 "aws lambda list-functions" aws lambda list-functions \
		--endpoint-url "http://127.0.0.1:$port"
	expect_equal "with all of them" "$(jq -r '[.Functions[].FunctionName] | join(" ")' "$E2E_OUT")" \
		"echo fresh low low4 moody reused rewound wide"
else
	skip "aws lambda invoke" "aws is not installed"
fi

# ---- the end ----

# Replies are larger than a socket takes at once.
load --function low --verb 'nap 500' --size 900000 --connections 16 --requests 16 >"$WORK/drained" &
loader=$!
until [ "$(metric queued low)" -eq 0 ] && [ "$(metric machines low busy)" -eq 16 ]; do
	kill -0 $loader 2>/dev/null || break
done
thawd_stop
expect_equal "told to stop: it ends well" "$thawd_status" 0
wait $loader
expect_equal "what was under way has its reply" \
	"$(jq -c '[.sent, .right, .lost]' "$WORK/drained")" '[16,16,0]'
thawd_start --drain 100
load --function low --verb 'nap 2000' --requests 1 >"$WORK/drained" &
loader=$!
until [ "$(metric machines low busy)" -eq 1 ]; do
	kill -0 $loader 2>/dev/null || break
done
thawd_stop
expect_equal "what takes longer than --drain: it ends well, too" "$thawd_status" 0
wait $loader
expect_equal "and no process is left" "$(pgrep -fc "^$THAWD --dir $WORK/thawd")" 0

# ---- what it logs, and who it was for ----

trace=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
expect_status 2 "a format that is none" "$THAWD" --dir "$WORK/x" --log-format xml
echo 'log-format = json' >"$WORK/config"
: >"$WORK/thawd.log"
thawd_start --config "$WORK/config" || not_ok "it starts with a configuration" "$(cat "$WORK/thawd.log")"
invoke moody crash -D "$WORK/head" -H "traceparent: $trace" >/dev/null
expect_match "a trace context is passed back" "$(tr -d '\r' <"$WORK/head")" "^traceparent: $trace\$"
invoke echo x -H "traceparent: $trace" >/dev/null
expect_match "and told in the function's log" "$(ask GET /thaw/functions/echo/log)" \
	"^REPORT RequestId: .*	traceparent: $trace\$"
traced() { # how many of echo's invocations had that trace context
	ask GET /thaw/functions/echo/log | grep -c "traceparent: $trace\$"
}
invoke echo x -H "traceparent: $trace" -H 'X-Amz-Invocation-Type: Event' >/dev/null
tries=$((100 * SLOW))
while [ "$(traced)" -lt 2 ] && [ $tries -gt 0 ]; do
	tries=$((tries - 1))
	sleep 0.1
done
expect_equal "also of an event that was queued" "$(traced)" 2
thawd_stop
expect_equal "each line of its log is an object" "$(jq -c type "$WORK/thawd.log" | sort -u)" '"object"'
expect_equal "with what belongs to it" \
	"$(jq '.time and .level and .component and .message' "$WORK/thawd.log" | sort -u)" true
id=$(sed -n 's/\r$//; s/^x-amzn-RequestId: //p' "$WORK/head")
expect_equal "and what it is about" "$(jq -c 'select(.function == "moody") |
	[.component, .level, .request_id, .traceparent]' "$WORK/thawd.log")" \
	"[\"thawd\",\"info\",\"$id\",\"$trace\"]"
expect_status 1 "what ends it, too" "$THAWD" --dir "$WORK/thawd.log" --log-format json
expect_match "is an object" "$(jq -r '.level + " " + .message' "$E2E_ERR")" '^error .*thawd.log'
: >"$WORK/thawd.log"

# ---- a zygote that died ----

thawd_start || not_ok "it starts again"
kill -9 "$(pgrep -P "$thawd_pid")"
wait "$thawd_pid"
thawd_status=$? thawd_pid=
expect_equal "without its zygote it ends, and says so" \
	"$thawd_status $(grep -c "the zygote has died" "$WORK/thawd.log")" "1 1"
finish
