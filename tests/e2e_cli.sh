#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line: what it prints, and the exit code for everything that can be wrong.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh

one_line() { # NAME: what went to stderr is exactly one line
	expect_equal "$1: one line" "$(wc -l <"$E2E_ERR" | tr -d ' ')" 1
}

# ---- without KVM ----

expect_status 0 "help" "$THAW" help
expect_match "help lists run" "$(cat "$E2E_OUT")" '^  run +'
for command in build run boot inspect verify drive bench version help; do
	expect_status 0 "help $command" "$THAW" help $command
	expect_match "help $command: usage" "$(cat "$E2E_OUT")" "^usage: thaw $command"
done
expect_status 0 "version" "$THAW" version
expect_match "version names itself" "$(cat "$E2E_OUT")" '^thaw [0-9]+\.[0-9]+\.[0-9]+ '
expect_status 0 "version --json" "$THAW" version --json
expect_match "version --json" "$(jq -r .thaw "$E2E_OUT")" '^[0-9]+\.[0-9]+\.[0-9]+$'

while IFS='|' read -r name arguments; do
	# shellcheck disable=SC2086 # words are meant to be split
	expect_status 2 "usage: $name" "$THAW" $arguments
done <<'END'
no command|
unknown command|frobnicate
build without -o|build prog
build without a program|build -o x
--mem too small|build -o x --mem 1M prog
--mem no number|build -o x --mem lots prog
--mem not in 2 MiB steps|build -o x --mem 33M prog
--env without a value|build -o x --env FOO prog
drive without -o|drive a data
drive without a name|drive -o x a
run without an image|run
run with two images|run a b
unknown tier|run --tier hot a
-n 0|run -n 0 a
-n no number|run -n many a
two payloads|run --payload a --payload-file b c
unknown option|run --frobnicate a
verify without an image|verify
inspect with two images|inspect a b
END

expect_status 1 "run of nothing" "$THAW" run "$WORK/nothing"
one_line "run of nothing"
mkdir "$WORK/empty"
expect_status 1 "verify of a directory that is no image" "$THAW" verify "$WORK/empty"
one_line "verify of no image"
expect_status 1 "verify of a file" "$THAW" verify "$THAW"
one_line "verify of a file"

need_kvm

# ---- build and run ----

expect_status 1 "build of a missing program" "$THAW" build -o "$WORK/x" "$WORK/missing"
one_line "build of a missing program"
expect_status 1 "build into a directory of something else" "$THAW" build -o "$WORK/empty/.." \
	"$GUEST/echo"
mkdir "$WORK/full" && touch "$WORK/full/precious"
expect_status 1 "build does not replace what is no image" "$THAW" build -o "$WORK/full" \
	"$GUEST/echo"
expect_equal "and leaves it alone" "$(ls "$WORK/full")" precious
expect_status 5 "build of a script" "$THAW" build -o "$WORK/x" tests/e2e_cli.sh
expect_status 5 "build of a dynamic program" "$THAW" build -o "$WORK/x" "$THAW"
expect_match "which says why" "$(cat "$E2E_ERR")" 'static'
expect_equal "nothing is left of failed builds" "$(find "$WORK" -maxdepth 1 -name 'x*')" ""

expect_status 0 "build" "$THAW" build -o "$WORK/echo" --env GREETING=hello "$GUEST/echo" a b
expect_status 0 "build again replaces" "$THAW" build --raw -o "$WORK/echo" "$GUEST/echo" a b
expect_equal "nothing else is left" "$(find "$WORK" -maxdepth 1 -name '*echo*' -printf '%f ')" "echo "
expect_equal "members" "$(cd "$WORK/echo" && echo *)" \
	"manifest.json memory.lz4 memory.raw state.bin wset.bin"

expect_status 0 "verify" "$THAW" verify --json "$WORK/echo"
expect_equal "verify --json" "$(jq .good "$E2E_OUT")" true
expect_status 0 "inspect" "$THAW" inspect --state "$WORK/echo"
expect_match "inspect names the program" "$(cat "$E2E_OUT")" 'program echo$'
expect_match "inspect shows registers" "$(cat "$E2E_OUT")" 'rip +0x'
expect_status 0 "inspect --json" "$THAW" inspect --json "$WORK/echo"
expect_equal "inspect --json: arguments" "$(jq -c .manifest.guest.args "$E2E_OUT")" \
	'["echo","a","b"]'
expect_match "inspect --json: a register" \
	"$(jq -r '.sections[] | select(.name == "vcpu.regs") | .elements[0].rip' "$E2E_OUT")" '^0x'

for tier in auto map warm raw ready lazy eager; do
	expect_status 0 "run, tier $tier" "$THAW" run --tier $tier --payload "hi $tier" "$WORK/echo"
	expect_equal "its reply" "$(cat "$E2E_OUT")" "hi $tier"
done
sleep 4 # a file that changed just now is checked again each time
XDG_CACHE_HOME=$WORK/cache "$THAW" run --tier raw --payload raw "$WORK/echo" >"$E2E_OUT"
expect_equal "memory.raw is mapped" "$(cat "$E2E_OUT")" raw
expect_equal "its digest is remembered" "$(find "$WORK/cache/thaw" -type f | wc -l)" 1
expect_equal "an empty event" "$("$THAW" run "$WORK/echo" | wc -c)" 0
expect_equal "an event from stdin" "$(printf 'from stdin' | "$THAW" run - "$WORK/echo")" "from stdin"
head -c 6291456 /dev/urandom >"$WORK/largest"
"$THAW" run --payload-file "$WORK/largest" "$WORK/echo" >"$E2E_OUT"
expect_same_file "an event of 6 MiB" "$E2E_OUT" "$WORK/largest"
echo x >>"$WORK/largest"
expect_status 1 "an event of more" "$THAW" run --payload-file "$WORK/largest" "$WORK/echo"
one_line "an event of more"

expect_status 1 "a reply that cannot be written" sh -c "'$THAW' run --payload x '$WORK/echo' >/dev/full"
one_line "a reply that cannot be written"
expect_status 1 "nobody to write the reply to" sh -c "'$THAW' run --payload x '$WORK/echo' >&-"
bad=$(printf '%s/\377' "$WORK")
cp -r "$WORK/echo" "$bad"
expect_status 1 "a name that JSON cannot hold" "$THAW" verify --json "$bad"
one_line "a name that JSON cannot hold"
expect_status 1 "an argument that JSON cannot hold" "$THAW" build -o "$WORK/x" "$GUEST/echo" \
	"$(printf '\377')"

expect_status 0 "latencies" "$THAW" run -n 5 --json --payload z "$WORK/echo"
expect_equal "reply once" "$(cat "$E2E_OUT")" z
expect_equal "stamps" "$(jq -c '.stamps | keys' "$E2E_ERR")" \
	'["first_instruction","first_response","memory","shell","state","torn_down"]'
expect_equal "percentiles" "$(jq -c '.stamps.first_response | keys' "$E2E_ERR")" \
	'["max_us","p50_us","p90_us","p99_us"]'
expect_equal "in order" "$(jq '.stamps | .shell.p50_us <= .memory.p50_us and
	.memory.p50_us <= .state.p50_us and .state.p50_us <= .first_response.p50_us' "$E2E_ERR")" true

expect_status 0 "timeline as text" "$THAW" run --timeline --payload z "$WORK/echo"
expect_match "timeline: tier and why" "$(cat "$E2E_ERR")" 'tier [a-z]+ \(.*\)$'
expect_match "timeline: stamp" "$(cat "$E2E_ERR")" 'first_instruction$'
expect_status 0 "timeline as a trace" "$THAW" run --timeline="$WORK/t.json" --payload z "$WORK/echo"
expect_equal "trace events" "$(jq '.traceEvents | length' "$WORK/t.json")" 6

# ---- guests that do not answer ----

expect_status 6 "a build that takes too long" "$THAW" build --timeout 300 -o "$WORK/x" \
	"$GUEST/tests/never"
one_line "a build that takes too long"
expect_status 0 "a program that hangs when it is told to" "$THAW" build -o "$WORK/moody" \
	"$GUEST/tests/moody"
expect_status 6 "run --timeout" "$THAW" run --timeout 200 --payload hang "$WORK/moody"
one_line "run --timeout"
expect_status 6 "run --timeout in a child" "$THAW" run -n 2 --timeout 200 --payload hang "$WORK/moody"
expect_status 5 "a crash" "$THAW" run --payload crash "$WORK/moody"
expect_match "a crash: signal and address" "$(cat "$E2E_ERR")" 'SIGSEGV .*address 0x10'
expect_match "a crash: registers" "$(cat "$E2E_ERR")" 'rip [0-9a-f]{16}'
expect_status 5 "an abort" "$THAW" run --payload abort "$WORK/moody"
expect_match "an abort: signal" "$(cat "$E2E_ERR")" 'SIGABRT'
expect_status 5 "an exit instead of a reply" "$THAW" run --payload exit "$WORK/moody"
expect_match "an exit: status" "$(cat "$E2E_ERR")" 'status 3'
expect_status 0 "and it still works" "$THAW" run --payload hello "$WORK/moody"
expect_equal "its reply" "$(cat "$E2E_OUT")" "moody: hello"

# ---- boot ----

expect_status 1 "boot of a function" "$THAW" boot "$GUEST/echo"
expect_equal "which says what to do" "$(cat "$E2E_ERR")" \
	"thaw: this program waits for events: use thaw build"
expect_equal "boot: stdin to stdout" "$(printf 'abc\ndef\n' | "$THAW" boot "$GUEST/tests/moody" cat)" \
	"$(printf 'abc\ndef')"
"$THAW" boot "$GUEST/tests/moody" exit 42
expect_equal "boot: exit status" $? 42
mkdir -p "$WORK/files/etc" && echo "from a file" >"$WORK/files/etc/motd"
expect_equal "boot --files DIR" "$("$THAW" boot --files "$WORK/files" "$GUEST/tests/moody" \
	file /etc/motd)" "from a file"
expect_equal "boot --env" "$("$THAW" boot --env MOOD=good "$GUEST/tests/moody" env MOOD)" good
finish
