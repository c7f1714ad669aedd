#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# thawd and functions in Linux machines: it takes them as it does those of kindling's.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
# shellcheck source=tests/thawd/daemon.sh
. tests/thawd/daemon.sh
need_linux initramfs.cpio
need_program curl

truncate -s 3M "$WORK/disk"
printf 'from the file' | dd of="$WORK/disk" conv=notrunc status=none
linux_build echo --record-runs 0 "$GUEST/echo"
linux_build moody --record-runs 0 "$GUEST/tests/moody"
linux_build counter --record-runs 0 "$GUEST/tests/counter"
linux_build drives --record-runs 0 --drive "b=$WORK/disk,bytes=512K" "$GUEST/tests/drives"
linux_built echo moody counter drives
thawd_start --slots 16 || not_ok "it starts" "$(cat "$WORK/thawd.log")"

# ---- invocations ----

# Of an invocation, on a host that may have to emulate the kernel; nobody waits for it but who fails.
limit="\"timeout_ms\": $((60000 * SLOW))"

expect_status 0 "a function is put" put echo echo "$limit"
expect_equal "it answers" "$(invoke echo '"hello"')" '"hello"'
expect_equal "a reply may have 6 MB" \
	"$(head -c 6291456 /dev/zero | ask POST /2015-03-31/functions/echo/invocations --data-binary @- |
		wc -c | tr -d ' ')" 6291456
expect_equal "a version is published" "$(ask POST /thaw/functions/echo/versions | jq -r .Version)" 1
expect_equal "and invoked" \
	"$(ask_status POST '/2015-03-31/functions/echo/invocations?Qualifier=1' -d 1)" 200
expect_status 0 "four at once" load --function echo --connections 4 --requests 40
expect_equal "have right replies" "$(jq -c '[.right, .wrong]' "$E2E_OUT")" '[40,0]'

# ---- modes ----

put rewound counter "$limit"
put reused counter "$limit, \"mode\": \"reuse\""
put fresh counter "$limit, \"mode\": \"fresh\""
for name in rewound fresh; do
	invoke $name 'add 5' >/dev/null
	expect_match "$name: nothing is kept" "$(invoke $name 'add 5')" '^sum 5 events 1 '
done
invoke reused 'add 5' >/dev/null
expect_match "reused: everything is" "$(invoke reused 'add 5')" '^sum 10 events 2 '
expect_equal "one machine for all that is rewound" "$(metric machines_used_total rewound)" 1
expect_equal "one for each that is fresh" "$(metric machines_used_total fresh)" 2

# ---- disks ----

expect_status 0 "one with a disk is put" put drives drives "$limit"
expect_equal "it writes to it" "$(invoke drives '/dev/vda write 0 of another')" written
expect_equal "for itself alone" "$(invoke drives '/dev/vda read 0')" "from the file"
from=$(date +%s%3N)
expect_match "it reads it from end to end" "$(invoke drives '/dev/vda sum')" '^[0-9a-f]{16}$'
expect_time "as slowly as it may" 3000 $(($(date +%s%3N) - from))
expect_status 0 "the disk is as it was" sh -c "head -c 13 '$WORK/disk' | grep -qx 'from the file'"

# ---- functions that fail ----

put moody moody "\"timeout_ms\": $((3000 * SLOW))"
for event in crash abort exit hang; do
	expect_equal "$event" "$(ask_status POST /2015-03-31/functions/moody/invocations -d $event)" 200
	expect_match "$event: a function's error" "$(cat "$WORK/head")" '^X-Amz-Function-Error: Unhandled'
	expect_equal "$event: with its type" "$(jq -r .errorType "$WORK/body")" \
		"$([ $event = hang ] && echo Sandbox.Timedout || echo Runtime.ExitError)"
	expect_equal "$event: the next one is answered" "$(invoke moody fine)" "moody: fine"
done
invoke moody 'say cheese' >/dev/null
expect_match "what it prints is in its log" "$(ask GET /thaw/functions/moody/log)" '^say cheese'
thawd_stop
expect_equal "it ends well" "$thawd_status" 0
finish
