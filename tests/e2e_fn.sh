#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `thaw fn` and `thaw top`, with a thawd of their own at a Unix socket.
# shellcheck source=tests/e2e.sh
# shellcheck disable=SC2016 # $LATEST is Lambda's
. tests/e2e.sh
. tests/e2e/certificates.sh

DAEMON=${DAEMON:-build/release/thawd}
need_program "$DAEMON"
need_program script
export THAWD="unix:$WORK/sock"
export TMPDIR="$WORK/tmp"
mkdir "$TMPDIR"

one_line() { # NAME: what went to stderr is exactly one line
	expect_equal "$1: one line" "$(wc -l <"$E2E_ERR" | tr -d ' ')" 1
}

# ---- without thawd ----

while IFS='|' read -r name arguments; do
	# shellcheck disable=SC2086 # words are meant to be split
	expect_status 2 "usage: $name" "$THAW" $arguments
	one_line "usage: $name"
done <<'END'
no verb|fn
unknown verb|fn frobnicate
unknown option|fn list --frobnicate
an option of another verb|fn list --follow
an option without its value|fn list --at
an argument too many|fn list echo
an argument too few|fn rm
add without a name|fn add
add with an unknown mode|fn add --mode warm echo
add with half a number|fn add --timeout 3s echo
add with a variable without a value|fn add --env FOO echo
memory of no program|fn add --mem 64M echo
a version that is none|fn alias echo live latest
END
expect_status 2 "usage: an image and something else" "$THAW" fn add echo "$WORK" more
expect_status 1 "a program that is not there" "$THAW" fn add echo "$WORK/missing"
one_line "a program that is not there"
expect_status 1 "no thawd" "$THAW" fn list
expect_match "which says where" "$(cat "$E2E_ERR")" "no answer from thawd at $THAWD"
one_line "no thawd"
expect_status 1 "no thawd for a program" "$THAW" fn add echo tests/e2e_fn.sh
expect_match "is said before it is built" "$(cat "$E2E_ERR")" 'no answer'
expect_status 1 "no thawd for top" "$THAW" top --once
one_line "no thawd for top"
expect_status 1 "a place that is none" "$THAW" fn list --at somewhere
expect_match "which says what is" "$(cat "$E2E_ERR")" 'expected unix:/PATH, HOST:PORT, http'
expect_status 1 "a certificate for a place without TLS" "$THAW" top --at 127.0.0.1:1 --cacert /dev/null
one_line "a certificate for a place without TLS"

need_kvm

# An address that nobody else has.
tcp=127.$(($$ / 65536 % 254 + 1)).$(($$ / 256 % 256)).$(($$ % 254 + 1)):9001
daemon=
trap '[ -z "$daemon" ] || { kill "$daemon"; wait "$daemon"; } 2>/dev/null; rm -rf "$WORK"' EXIT
start() { # [OPTION]...
	: >"$WORK/ready"
	"$DAEMON" --dir "$WORK/store" --listen "unix:$WORK/sock" --listen "$tcp" "$@" \
		>"$WORK/ready" 2>"$WORK/daemon.log" &
	daemon=$!
	tries=$((100 * SLOW))
	while [ ! -s "$WORK/ready" ] && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		sleep 0.1
	done
}
stop() { # returns its exit status
	kill "$daemon"
	wait "$daemon"
	stopped=$?
	daemon=
	return $stopped
}
start

# ---- functions ----

expect_status 0 "add a program" "$THAW" fn add echo "$GUEST/echo" a b
expect_status 0 "add one with options before and after its name" \
	"$THAW" fn add --timeout 300 moody --env MOOD=good --json "$GUEST/tests/moody"
expect_equal "its environment is known" "$(jq -c .Environment.Variables "$E2E_OUT")" \
	'{"MOOD":"good"}'
"$THAW" build --no-sync -o "$WORK/image" "$GUEST/echo" 2>/dev/null
expect_status 0 "add an image" "$THAW" fn add image "$WORK/image" --description 'an image'
expect_equal "nothing is left of images" "$(ls "$TMPDIR")" ""
expect_status 0 "change a function" "$THAW" fn add echo --description changed --reserved none
expect_status 1 "a function without an image" "$THAW" fn add nothing
one_line "a function without an image"
expect_status 1 "a value that thawd refuses" "$THAW" fn add echo --weight 0
expect_match "in its words" "$(cat "$E2E_ERR")" '^thaw: weight: expected'
expect_status 1 "a name that thawd refuses" "$THAW" fn add 'a b' "$GUEST/echo"
one_line "a name that thawd refuses"
expect_status 5 "a program that is none" "$THAW" fn add script tests/e2e_fn.sh

expect_status 0 "list" "$THAW" fn list
expect_match "with descriptions" "$(cat "$E2E_OUT")" '^echo .* changed$'
expect_status 0 "list --json" "$THAW" fn list --json
expect_equal "all of them" "$(jq -r '.Functions[].FunctionName' "$E2E_OUT" | tr '\n' ' ')" \
	"echo image moody "

"$THAW" fn add never "$GUEST/tests/never" 2>/dev/null &
adding=$!
sleep $((1 * SLOW))
kill $adding
wait $adding
expect_equal "a build can be ended" $? 143
expect_equal "and nothing is left" "$(ls "$TMPDIR")" ""

# ---- invocations ----

expect_status 0 "invoke" "$THAW" fn invoke echo hello
expect_equal "with its reply" "$(cat "$E2E_OUT")" hello
expect_equal "an empty event" "$("$THAW" fn invoke echo | wc -c)" 0
expect_equal "by TCP, whatever proxies there are" \
	"$(http_proxy=http://127.0.0.1:1 "$THAW" fn invoke --at "http://$tcp" echo hello)" hello
expect_equal "and by host and port" "$("$THAW" fn invoke --at "$tcp" echo hello)" hello
head -c 6291456 /dev/urandom >"$WORK/largest"
"$THAW" fn invoke echo - --output "$WORK/reply" <"$WORK/largest"
expect_same_file "an event of 6 MiB from stdin, and a reply into a file" "$WORK/reply" \
	"$WORK/largest"
expect_status 0 "invoke --json" "$THAW" fn invoke --json echo hello
expect_equal "what was run" "$(jq -c '[.function, .executed_version, .reply_size_bytes]' "$E2E_ERR")" \
	'["echo","$LATEST",5]'
expect_status 5 "a crash" "$THAW" fn invoke moody crash
one_line "a crash"
expect_match "which says why" "$(cat "$E2E_ERR")" '^thaw: moody: RequestId: [-0-9a-f]+ Error: the.*SIGSEGV'
expect_status 6 "a function that takes too long" "$THAW" fn invoke moody hang
one_line "a function that takes too long"
expect_equal "replies with nothing" "$(wc -c <"$E2E_OUT")" 0
expect_status 1 "no such function" "$THAW" fn invoke nobody x
one_line "no such function"
expect_status 1 "a reply that cannot be written" sh -c "'$THAW' fn invoke echo x >/dev/full"
one_line "a reply that cannot be written"

# ---- versions ----

expect_status 0 "publish" "$THAW" fn publish echo
expect_equal "a version" "$(cat "$E2E_OUT")" 1
expect_status 0 "alias" "$THAW" fn alias echo live 1
expect_status 0 "invoke an alias" "$THAW" fn invoke --json echo:live x
expect_equal "runs its version" "$(jq -r .executed_version "$E2E_ERR")" 1
expect_status 0 "list --versions" "$THAW" fn list --versions --json
expect_equal "lists it" \
	"$(jq -c '[.Functions[] | select(.FunctionName == "echo").Version]' "$E2E_OUT")" \
	'["$LATEST","1"]'
expect_status 0 "remove an alias" "$THAW" fn rm echo:live
expect_status 1 "it is gone" "$THAW" fn invoke echo:live x

# ---- logs ----

expect_status 0 "logs" "$THAW" fn logs moody
expect_match "tell of timeouts" "$(cat "$E2E_OUT")" 'timed out after 0.30 seconds'
expect_status 0 "logs --json" "$THAW" fn logs moody --json
expect_match "are a string" "$(jq -r .log "$E2E_OUT")" '^REPORT RequestId'
expect_status 0 "what a function prints" "$THAW" fn invoke --tail --output /dev/null moody chatter
expect_match "is shown" "$(cat "$E2E_ERR")" '0999$'
expect_status 1 "logs of nobody" "$THAW" fn logs nobody
"$THAW" fn invoke image x >/dev/null
"$THAW" fn logs image --follow >"$WORK/followed" &
following=$!
sleep $((1 * SLOW))
# Printed after the first look, and renamed before the next one.
"$THAW" fn invoke image x >/dev/null
mv "$WORK/store/logs/image.log" "$WORK/store/logs/image.log.1"
echo "a new file" >"$WORK/store/logs/image.log"
sleep $((4 * SLOW))
kill $following
wait $following
expect_equal "logs --follow misses nothing" "$(cut -d' ' -f1 "$WORK/followed" | tr '\n' ' ')" \
	"START END REPORT START END REPORT a "

# ---- top ----

(while "$THAW" fn invoke echo x >/dev/null; do :; done) 2>/dev/null &
load=$!
expect_status 0 "top --once" "$THAW" top --once
expect_match "shows functions" "$(cat "$E2E_OUT")" '^echo +[0-9.]+ +0\.0 .*us'
expect_status 0 "top where there is no terminal" "$THAW" top
expect_match "does the same" "$(cat "$E2E_OUT")" '^echo '
expect_status 0 "top --json" "$THAW" top --json
expect_equal "has rates and times" "$(jq '.functions[] | select(.function == "echo" and
	.version == "$LATEST") | .invocations_per_s > 0 and .errors_per_s == 0 and
	.response.p50_us > 0 and .response.p50_us <= .response.p99_us and
	.rewind.p50_us > 0 and .queued == 0 and .machines.idle + .machines.busy +
	.machines.rewinding + .machines.starting >= 1' "$E2E_OUT")" true
expect_equal "and none where there are none" \
	"$(jq -c '.functions[] | select(.function == "image").queue' "$E2E_OUT")" \
	'{"p50_us":null,"p99_us":null}'
expect_equal "and memory" "$(jq '.memory_bytes > 0' "$E2E_OUT")" true
kill $load
wait $load

# Of its widest line, in letters. 0: the terminal does not say how wide it is, but COLUMNS does.
width_of_top() { # COLUMNS ARGUMENT...
	columns=$1
	shift
	COLUMNS=77 script -qec "stty cols $columns rows 20; '$THAW' top $*" "$WORK/screen" </dev/null >"$WORK/typed"
	grep -q '^echo ' "$WORK/typed" || echo 1000 +
	tr -d '\r' <"$WORK/typed" | LC_ALL=C.UTF-8 wc -L
}
for columns in 100 80 60 40; do
	expect_equal "top --once keeps to $columns columns" "$(($(width_of_top $columns --once) <= columns))" 1
done
expect_equal "and to COLUMNS" "$(($(width_of_top 0 --once) <= 77))" 1

# How a terminal is before, while, and after somebody was killed.
cat >"$WORK/terminal.sh" <<'END'
stty -g >"$WORK/before"
"$THAW" top </dev/tty &
sleep $((2 * SLOW))
stty -g >"$WORK/during"
case $2 in
view) kill -"$1" "$(tr -d ' ' <"/proc/$!/task/$!/children")" ;;
*) kill -"$1" $! ;;
esac
wait $!
sleep 0.2 # who is orphaned is told afterwards
stty -g >"$WORK/after"
END
export THAW WORK SLOW
for how in 'KILL view' 'KILL top' 'TERM top'; do
	script -qec "sh '$WORK/terminal.sh' $how" "$WORK/screen" </dev/null >/dev/null
	expect_same_file "the terminal is as it was after $how" "$WORK/after" "$WORK/before"
	cmp -s "$WORK/during" "$WORK/before" && not_ok "it was not taken at all"
	expect_match "and shows its own screen again" "$(tr '\033' ' ' <"$WORK/screen")" '\[\?1049l'
done
(
	sleep $((3 * SLOW))
	printf q
) | script -qec "'$THAW' top" "$WORK/screen" >/dev/null
expect_equal "q ends it" $? 0
expect_match "after it has shown something" "$(cat "$WORK/screen")" '^moody '

# ---- a thawd that knows its clients ----

remote() { # COMMAND...: of thaw, by TCP with the right key
	AWS_ACCESS_KEY_ID=$KEY AWS_SECRET_ACCESS_KEY=$SECRET "$THAW" "$@"
}
KEY=AKIDEXAMPLE SECRET=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
(umask 077 && echo "$KEY $SECRET" >"$WORK/keys")
"$THAW" fn alias echo live 1 >/dev/null
stop
start --auth "sigv4:$WORK/keys"
export THAWD="http://$tcp"
expect_status 1 "without a key nobody gets in" "$THAW" fn list
one_line "without a key nobody gets in"
expect_status 1 "with a wrong one neither" env "AWS_ACCESS_KEY_ID=$KEY" AWS_SECRET_ACCESS_KEY=wrong \
	"$THAW" fn invoke echo x
expect_match "and thawd says why" "$(cat "$E2E_ERR")" '^thaw: .*signature we calculated does not match'
one_line "and thawd says why"
expect_status 0 "with the right one" remote fn list --versions
expect_match "one does" "$(cat "$E2E_OUT")" '^echo +1 '
expect_equal "an event is signed" "$(remote fn invoke echo:live 'a b&c=%20')" 'a b&c=%20'
expect_equal "and a large one" "$(remote fn invoke echo - <"$WORK/largest" | wc -c)" 6291456
expect_status 0 "and headers, in any region" env AWS_REGION=eu-north-1 AWS_ACCESS_KEY_ID="$KEY" \
	AWS_SECRET_ACCESS_KEY="$SECRET" "$THAW" fn invoke --tail echo x
expect_status 0 "and one that is kept" remote fn invoke --event echo x
expect_status 1 "a name that is none is refused in thawd's words" remote fn invoke 'a b' x
expect_match "and not for its signature" "$(cat "$E2E_ERR")" 'name'
expect_status 0 "publish signed" remote fn publish moody
expect_status 0 "change signed" remote fn add image --description 'from afar'
expect_status 0 "alias signed" remote fn alias moody good 1
expect_status 0 "rm signed" remote fn rm moody:good
expect_status 0 "logs signed" remote fn logs echo
expect_status 0 "top signed" remote top --once
expect_match "shows functions, too" "$(cat "$E2E_OUT")" '^echo '
stop

if command -v openssl >/dev/null; then
	authority ca
	authority foreign
	certificate server ca "${tcp%:*}"
	certificate client ca
	certificate stranger foreign
	start --auth "sigv4:$WORK/keys" --tls "$WORK/server.pem,$WORK/server.key,$WORK/ca.pem"
	export THAWD="https://$tcp"
	with() { # CLIENT AUTHORITY COMMAND...
		with_cert=$1 with_ca=$2
		shift 2
		remote "$@" --cacert "$WORK/$with_ca.pem" --cert "$WORK/$with_cert.pem" \
			--key "$WORK/$with_cert.key"
	}
	expect_equal "with a certificate and a key one gets in through TLS" \
		"$(with client ca fn invoke echo x)" x
	expect_status 0 "top, too" with client ca top --once
	expect_status 1 "a thawd that nobody vouches for is not asked" with client foreign fn invoke echo x
	expect_match "which is said" "$(cat "$E2E_ERR")" "no answer from thawd at $THAWD: .*certificate"
	one_line "which is said"
	expect_status 1 "nor one that only others trust" remote fn list
	expect_status 1 "a client with a foreign certificate stays out" with stranger ca fn invoke echo x
	one_line "a client with a foreign certificate stays out"
	expect_status 1 "as does one without" remote fn list --cacert "$WORK/ca.pem"
	expect_status 1 "and one without a key" "$THAW" fn list --cacert "$WORK/ca.pem" \
		--cert "$WORK/client.pem" --key "$WORK/client.key"
	expect_match "whose certificate was right" "$(cat "$E2E_ERR")" 'Missing Authentication Token'
	expect_status 1 "a certificate that is not there" with nobody ca fn list
	one_line "a certificate that is not there"
	stop
else
	skip "thaw fn through TLS" "openssl is not installed"
fi
export THAWD="unix:$WORK/sock"
start

# ---- the end ----

expect_status 0 "rm" "$THAW" fn rm moody
expect_equal "says nothing" "$(cat "$E2E_OUT")" ""
expect_status 1 "rm of what is gone" "$THAW" fn rm moody
one_line "rm of what is gone"
stop
expect_equal "thawd ends well" $? 0
expect_status 1 "and is missed" "$THAW" fn invoke echo x
finish
