#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts from shells that were made ahead: `thaw run --shells`.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

"$THAW" build --no-sync -o "$WORK/echo" "$GUEST/echo" 2>/dev/null
"$THAW" build --no-sync -o "$WORK/moody" "$GUEST/tests/moody" 2>/dev/null

expect_status 0 "one start" "$THAW" run --shells 1 --payload hello "$WORK/echo"
expect_equal "with the reply" "$(cat "$E2E_OUT")" hello
expect_status 0 "more starts than shells" \
	"$THAW" run -n $((100 / SLOW + 1)) --shells 8 --payload again --json "$WORK/echo"
expect_equal "all alike" "$(cat "$E2E_OUT")" again
expect_equal "in tier map" "$(jq -c '[.tier, .starts, .differing_replies]' "$E2E_ERR")" \
	"[\"map\",$((100 / SLOW + 1)),0]"
expect_equal "a shell is taken before its memory is there" \
	"$(jq '.stamps.shell.p50_us < .stamps.memory.p50_us' "$E2E_ERR")" true

expect_status 5 "a program that dies" "$THAW" run --shells 2 --payload crash "$WORK/moody"
expect_match "leaves its registers" "$(cat "$E2E_ERR")" 'rip'
expect_status 6 "a deadline" "$THAW" run --shells 2 --timeout 100 --payload hang "$WORK/moody"
expect_status 0 "what a program prints is shown" \
	"$THAW" run --shells 1 --payload chatter "$WORK/moody"
expect_equal "all of it" "$(grep -c '0999$' "$E2E_ERR")" 1
expect_status 2 "shells are for mapped memory" \
	"$THAW" run --shells 1 --tier eager "$WORK/echo"
expect_match "which is said" "$(cat "$E2E_ERR")" 'with --tier map'

# Refused before it is made, with numbers.
expect_status 1 "a machine for which there is no memory" \
	"$THAW" run --shells 1 --slot-memory 4000G --payload x "$WORK/echo"
expect_match "which is said" "$(cat "$E2E_ERR")" 'a machine needs 4096000 MiB of memory, [0-9]+ of'
expect_status 0 "a machine that is promised less" \
	"$THAW" run --shells 1 --slot-memory 4M --payload hello "$WORK/echo"
expect_equal "answers" "$(cat "$E2E_OUT")" hello
expect_status 2 "memory of shells that are not asked for" \
	"$THAW" run --slot-memory 4M "$WORK/echo"
finish
