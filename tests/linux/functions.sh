#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Functions in Linux machines: the event contract, hooks, every tier, rewinds, shells, forks, crashes.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
need_linux initramfs.cpio tiny.erofs

linux_build echo --raw --env GREETING=hello "$GUEST/echo"
linux_build moody --record-runs 0 "$GUEST/tests/moody"
linux_build counter --record-runs 0 "$GUEST/tests/counter"
linux_build contract --record-runs 0 "$GUEST/tests/contract" linux
linux_build hooks --record-runs 0 "$GUEST/tests/hooks"
linux_build stubborn --record-runs 0 --rootfs "$LINUX/tiny.erofs" /bin/sh -c \
	'(trap "" TERM HUP; while :; do sleep 1; done) & dd bs=64k count=1 <&3; exit 3'
linux_built echo moody counter contract hooks stubborn

# ---- tiers ----

for tier in auto map warm raw ready lazy eager; do
	expect_status 0 "tier $tier" run echo "hi $tier" --tier $tier
	expect_equal "tier $tier: the reply" "$(cat "$E2E_OUT")" "hi $tier"
done
expect_equal "an empty event" "$("$THAW" run "$WORK/echo" | wc -c | tr -d ' ')" 0
head -c 6291456 /dev/urandom >"$WORK/largest"
"$THAW" run --payload-file "$WORK/largest" "$WORK/echo" >"$E2E_OUT"
expect_same_file "an event of 6 MiB" "$E2E_OUT" "$WORK/largest"
expect_status 0 "many starts" "$THAW" run -n 20 --tier map --payload again --json "$WORK/echo"
expect_equal "answer alike" "$(cat "$E2E_OUT") $(jq -c '[.starts, .differing_replies]' "$E2E_ERR")" "again [20,0]"
expect_status 0 "starts from shells" "$THAW" run -n 20 --shells 4 --payload again --json "$WORK/echo"
expect_equal "answer alike, too" "$(cat "$E2E_OUT") $(jq -c '[.starts, .differing_replies]' "$E2E_ERR")" "again [20,0]"
expect_status 0 "the image is verified" "$THAW" verify "$WORK/echo"
expect_status 0 "and inspected" "$THAW" inspect --json "$WORK/echo"
expect_equal "as one of Linux, with a working set" \
	"$(jq -c '[.manifest.guest.kind, .working_set != null]' "$E2E_OUT")" '["linux",true]'

# ---- rewinds ----

expect_status 0 "warm starts" "$THAW" run --tier warm -n 20 --verify --payload again --json "$WORK/echo"
expect_equal "are rewound each" "$(jq .rewinds.rewinds "$E2E_ERR")" 21
expect_status 0 "those that print, too" "$THAW" run --tier warm -n 5 --verify --payload 'say x' "$WORK/moody"

# ---- the contract ----

ended_well() { # SOCKET: the program has ended, with status 0
	"$THAW" run --connect "$1" --payload bye 2>&1 | grep -o 'exited with status [0-9]*'
}

linux_serve contract "$WORK/sock"
n=0
head -c 6291456 /dev/zero >"$WORK/largest"
{
	printf '\001%.0s' $(seq 32)
	printf '\377%.0s' $(seq 32)
} >"$WORK/half"
while IFS='|' read -r option event want; do
	n=$((n + 1))
	"$THAW" run --connect "$WORK/sock" "--$option" "$event" >"$WORK/got" 2>/dev/null
	case $want in
	bytes*) got="bytes $(wc -c <"$WORK/got" | tr -d ' ')" ;;
	*) got=$(cat "$WORK/got") ;;
	esac
	expect_equal "the contract: event $n" "$got" "$(printf '%s' "$want" | tr / '|')"
done <<END
payload|0123456789|0123/456/789
payload||empty
payload|abcd|exact
payload|efgh|several writes
payload|whatever|
payload|whatever|bytes 6291456
payload-file|$WORK/largest|6291456
payload|fault|fault
payload|vector|vec/tor
payload|vecto|vec/to
payload|skip|skip
payload-file|$WORK/half|over
payload|dup|dup
END
expect_equal "the contract: the end" "$(ended_well "$WORK/sock")" "exited with status 0"
wait "$linux_server"

# ---- hooks ----

expect_match "hooks run before the freeze and after a thaw" "$(run hooks one)" \
	"^before 2 1after 1 2 [0-9a-f]{16}; event 'one'\$"
linux_serve hooks "$WORK/sock"
expect_match "once" "$(ask "$WORK/sock" first && echo && ask "$WORK/sock" second)" "^; event 'second'\$"
linux_stop
expect_equal "random numbers are drawn anew" "$({ run hooks x && echo && run hooks x; } | uniq | wc -l)" 2

# ---- forks ----

linux_serve counter "$WORK/sock"
expect_match "a machine that stays answers" "$(ask "$WORK/sock" 'add 5')" '^sum 5 events 1 '
expect_status 0 "it is forked" "$THAW" snapshot --no-sync --json -o "$WORK/one" "$WORK/sock"
expect_match "it goes on" "$(ask "$WORK/sock" 'add 5')" '^sum 10 events 2 '
linux_stop
expect_match "its layer has the past" "$(run one '?')" '^sum 5 events 2 '
expect_status 0 "is verified" "$THAW" verify "$WORK/one"
expect_status 0 "is rewound" "$THAW" run --tier warm --verify --payload '?' "$WORK/one"
linux_serve one "$WORK/sock"
ask "$WORK/sock" 'add 7' >/dev/null
expect_status 0 "is forked itself" "$THAW" snapshot --no-sync -o "$WORK/two" "$WORK/sock"
linux_stop
expect_match "a layer on a layer has all of it" "$(run two '?')" '^sum 12 events 3 '
expect_status 0 "and is made flat" "$THAW" flatten --no-sync -o "$WORK/flat" "$WORK/two"
expect_match "with the same answer" "$(run flat '?')" '^sum 12 events 3 '

# ---- what a program prints, and its end ----

expect_equal "it prints" "$(run moody 'say cheese' 2>"$WORK/said"; cat "$WORK/said")" "moody: say cheesesay cheese"
run moody chatter >/dev/null 2>"$WORK/said"
expect_equal "a megabyte, too" "$(grep -c '^0*[0-9]*$' "$WORK/said")" 1000
for how in '' '--shells 1'; do
	# shellcheck disable=SC2086 # words are meant to be split
	while IFS='|' read -r event status limit_ms what; do
		expect_status "$status" "$event${how:+, $how}" "$THAW" run $how --timeout $((limit_ms * SLOW)) \
			--payload "$event" "$WORK/moody"
		expect_match "$event${how:+, $how}: says why" "$(cat "$E2E_ERR")" "$what"
	done <<'END'
crash|5|60000|SIGSEGV.*address 0x10,
abort|5|60000|SIGABRT
exit|5|60000|exited with status 3
hang|6|3000|did not answer in time
END
done
expect_status 5 "nobody waits for what it leaves behind" "$THAW" run --timeout $((3000 * SLOW)) --payload x \
	"$WORK/stubborn"
expect_match "it is its end that is told" "$(cat "$E2E_ERR")" 'exited with status 3'
finish
