#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `thaw bench`: its report in three forms, and what it refuses.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

expect_status 0 "build" "$THAW" build --no-sync -o "$WORK/echo" "$GUEST/echo"

expect_status 0 "bench" "$THAW" bench -n 5 --payload hi --out "$WORK/out" "$WORK/echo"
expect_match "bench: a row per tier" "$(cat "$E2E_OUT")" '^\| tier map, fresh, to response \|.* 5 \|$'
expect_match "bench: memory" "$(cat "$E2E_OUT")" '^\| map \| [0-9.]+ \| [0-9.]+ \| 8 \|$'
for file in report.html results.json table.md; do
	if [ -s "$WORK/out/$file" ]; then ok "bench --out: $file"; else not_ok "bench --out: $file"; fi
done
expect_equal "a slot that is rewound, too" \
	"$(jq '[.series.warm_us.n, .series.rewind_us.n >= 5]' -c "$WORK/out/results.json")" '[5,true]'
expect_match "bench: beside a bare round trip" "$(cat "$WORK/out/table.md")" \
	'^\| warm slot, to response \| bare KVM_RUN round trip \| [0-9.]+ \['
expect_match "bench: without memory.raw there is no lazy peer, and it says so" \
	"$(cat "$WORK/out/table.md")" 'not measured: the image has no memory.raw'
expect_match "bench: a verdict is the last line" "$(tail -n 1 "$WORK/out/table.md")" \
	'^must: [0-9]+ of 14, goal: [0-9]+ of 14$'
expect_equal "bench: goals that any image can be asked about" \
	"$(jq -c '[.goals[] | select(.measured) | .number] - [9]' "$WORK/out/results.json")" '[2,3,12]'
expect_equal "results.json has every sample" \
	"$(jq '.series.tier_map_us.samples | length' "$WORK/out/results.json")" 5

expect_status 0 "bench --json" "$THAW" bench -n 3 --tier eager --json "$WORK/echo"
expect_equal "bench --tier: only that one" "$(jq -r '.series | keys | join(" ")' "$E2E_OUT")" \
	tier_eager_us
expect_equal "bench --json: in order" \
	"$(jq '.series.tier_eager_us | .p50 <= .p90 and .p90 <= .p99 and .p99 <= .max' "$E2E_OUT")" true
expect_match "bench --json: the host" "$(jq -r .host.kvm "$E2E_OUT")" '^[a-z]+$'

expect_status 0 "build --raw" "$THAW" build --no-sync --raw -o "$WORK/raw" "$GUEST/echo"
expect_status 0 "bench --tier ready" "$THAW" bench -n 3 --tier ready --json "$WORK/raw"
expect_equal "bench: a lazy mapping of memory.raw" \
	"$(jq -c '[.series.ready_cached_us.n, .series.lazy_cached_us.n]' "$E2E_OUT")" '[3,3]'

expect_status 2 "bench: no image" "$THAW" bench
expect_status 2 "bench: -n 0" "$THAW" bench -n 0 "$WORK/echo"
expect_status 2 "bench: two payloads" "$THAW" bench --payload a --payload-file /dev/null "$WORK/echo"
expect_status 1 "bench: no such tier" "$THAW" bench --tier fast "$WORK/echo"
expect_match "bench: no such tier, a sentence" "$(cat "$E2E_ERR")" "no tier is called 'fast'"
expect_status 1 "bench: no such directory" "$THAW" bench "$WORK/none"
expect_status 1 "bench: cannot write" "$THAW" bench -n 1 --out /dev/null/x "$WORK/echo"
printf x | dd of="$WORK/echo/state.bin" bs=1 seek=200 conv=notrunc 2>/dev/null
expect_status 4 "bench: a damaged image" "$THAW" bench "$WORK/echo"

finish
