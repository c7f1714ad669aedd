#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One machine for many events: `thaw run --tier warm`, its rewinds compared with the image.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

"$THAW" build --no-sync -o "$WORK/echo" "$GUEST/echo" 2>/dev/null
"$THAW" build --no-sync -o "$WORK/moody" "$GUEST/tests/moody" 2>/dev/null
"$THAW" build --no-sync -o "$WORK/sql" "$GUEST/sql" 2>/dev/null

expect_status 0 "warm starts answer alike" \
	"$THAW" run --tier warm -n $((1000 / SLOW)) --payload again --json "$WORK/echo"
expect_equal "with the reply" "$(cat "$E2E_OUT")" again
cp "$E2E_ERR" "$WORK/json"
expect_equal "one rewind each, and one to begin with" \
	"$(jq -c '[.tier, .starts, .rewinds.rewinds]' "$WORK/json")" \
	"[\"warm\",$((1000 / SLOW)),$((1000 / SLOW + 1))]"
expect_equal "devices have counted" "$(jq -c '.devices.mailbox' "$WORK/json")" '[{"log_bytes":0,"violations":0}]'
expect_equal "the short way" "$(jq '.rewinds.full_loads <= 1 and .rewinds.flushes <= 1' "$WORK/json")" true
expect_equal "a rewind has its stamp" "$(jq '.stamps.released.p50_us > .stamps.first_response.p50_us' "$WORK/json")" true

expect_status 0 "rewinds are verified" \
	"$THAW" run --tier warm -n $((100 / SLOW)) --verify --payload again "$WORK/echo"
expect_status 0 "those of sql, too" "$THAW" run --tier warm -n $((40 / SLOW)) --verify \
	--payload 'select count(*) from orders where amount > 100' "$WORK/sql"
expect_status 2 "--verify without rewinds" "$THAW" run --tier map --verify "$WORK/echo"
expect_match "says what it is of" "$(cat "$E2E_ERR")" 'expected --tier warm'
expect_status 5 "a program that dies ends the run" "$THAW" run --tier warm -n 3 --payload crash "$WORK/moody"
expect_status 6 "so does a deadline" "$THAW" run --tier warm --timeout 100 --payload hang "$WORK/moody"
finish
