#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A thousand restores in a row (fewer on a slow host) and two hundred that are killed at a random
# moment leave nothing behind: no process, no temporary file, and an image with the bytes it had.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

digest() { # of every file of the image and every name in it
	(cd "$WORK/echo" && ls -lA --time-style=+%s.%N && sha256sum ./*)
}

# Processes of this very binary that run this very image and are not zombies.
ours() {
	count=0
	for dir in /proc/[0-9]*; do
		[ "$(readlink "$dir/exe" 2>/dev/null)" = "$(realpath "$THAW")" ] &&
			grep -q -F "$WORK/echo" "$dir/cmdline" 2>/dev/null && count=$((count + 1))
	done
	echo $count
}

mkdir "$WORK/tmp"
TMPDIR=$WORK/tmp
export TMPDIR
expect_status 0 "echo is built" "$THAW" build -o "$WORK/echo" "$GUEST/echo"
digest >"$WORK/before"
"$THAW" run -n 1000000 --payload x "$WORK/echo" >/dev/null 2>&1 &
pid=$!
sleep "$(awk -v slow="$SLOW" 'BEGIN { print 0.1 * slow }')"
expect_match "a process is seen" "$(ours)" '^[12]$'
kill -KILL $pid
wait $pid 2>/dev/null

expect_status 0 "a thousand restores answer alike" \
	"$THAW" run -n $((1000 / SLOW)) --tier map --payload "the same" --json "$WORK/echo"
expect_equal "their replies" "$(cat "$E2E_OUT")" "the same"
expect_equal "their number" "$(jq .starts "$E2E_ERR")" $((1000 / SLOW))

killed=0 i=0
while [ $i -lt $((200 / SLOW)) ]; do
	# At 1 to 40 ms: from the reading of the image to the middle of some start.
	delay=$(awk -v seed=$i -v slow="$SLOW" \
		'BEGIN { srand(seed); printf "%.4f", slow * (0.001 + rand() * 0.039) }')
	"$THAW" run -n 50 --payload x "$WORK/echo" >/dev/null 2>&1 &
	pid=$!
	sleep "$delay"
	kill -KILL $pid 2>/dev/null && killed=$((killed + 1))
	wait $pid 2>/dev/null
	i=$((i + 1))
done
expect_equal "two hundred were killed while they ran" "$killed" $((200 / SLOW))
sleep 0.5 # a child dies of its parent's death, after it
expect_equal "no process is left" "$(ours)" 0
expect_equal "no temporary file is left" "$(ls -A "$TMPDIR")" ""
digest >"$WORK/after"
expect_same_file "the image is what it was" "$WORK/after" "$WORK/before"
expect_status 0 "and still answers" "$THAW" run --payload y "$WORK/echo"
finish
