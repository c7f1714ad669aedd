#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A Linux machine that writes to its disk is frozen and thawed every few seconds, for SOAK_SECONDS (180): each
# time as a layer on the one before, which is flattened now and then, and started in every other way, too. Beside
# it one machine stays for all the time, and is forked again and again. The guest checks its clocks, timers and all
# that it wrote (tests/linux/keeper.c); here, that every event has an answer, and that nothing grows or stays.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
# shellcheck source=tests/keeper.sh
. tests/keeper.sh
need_linux initramfs.cpio keeper

seconds=${SOAK_SECONDS:-180}
until=$(($(date +%s) + seconds))
layers_max=4 # then they are flattened
rss_max=$(((128 + 64 + 64) * 1024)) # KiB: its memory, its disk, and what else it takes
rounds=0 starts=0 depth=0

bad() { # WHAT REPLY
	not_ok "round $rounds: $1" "$2" "$(tail -n 3 "$WORK/server.err")"
}

expect_good() { # WHAT REPLY: an empty one, too, is bad
	reply_is_good "$2" || bad "$1" "$2"
}

good_event() { # WHAT SOCKET EVENT
	reply=$(ask "$2" "$3")
	expect_good "$1" "$reply"
}

# Thaw $1, have it work, freeze it as $2, and see that it goes on.
generation() { # FROM TO: names in $WORK
	if ! serve "$1" "$WORK/sock"; then
		bad "is thawed" ""
		return 1
	fi
	from=$(date +%s%N)
	reply=$(ask "$WORK/sock" '')
	clock_is_right "$reply" "$from" "$(date +%s%N)" || bad "the time of day, after $from" "$reply"
	clocks_go_on "$reply" || bad "clocks, after $last_mono" "$reply"
	event=work
	[ $((rounds % 4)) -ne 0 ] || event=check
	good_event "a thawed machine" "$WORK/sock" $event
	"$THAW" snapshot --no-sync -o "$WORK/$2" "$WORK/sock" >/dev/null || bad "is frozen" ""
	[ $((rounds % 3)) -ne 0 ] || good_event "goes on after a fork" "$WORK/sock" work
	linux_stop
}

# How each round's layer is started once more: all ways that there are for layers.
start_options() {
	set -- '--tier eager' '--tier map' '--shells 2 -n 2' '--tier warm -n 2 --verify' '--tier auto'
	shift $((rounds % $#))
	echo "$1"
}

one_start() { # NAME OPTIONS
	start=$2
	# shellcheck disable=SC2086 # options are meant to be split
	reply=$(timeout -k 5 $((3 * EVENT_S)) "$THAW" run $start --payload work "$WORK/$1" \
		2>"$WORK/server.err" </dev/null)
	expect_good "a start, $start" "$reply"
	starts=$((starts + 1))
}

# The layers up to $image as one image, and away with them.
flatten() {
	"$THAW" flatten --no-sync -o "$WORK/flat.new" "$WORK/$image" || bad "is flattened" ""
	"$THAW" verify "$WORK/flat.new" >/dev/null || bad "what was flattened is whole" ""
	rm -rf "$WORK"/gen* "$WORK/flat"
	mv "$WORK/flat.new" "$WORK/flat"
	image=flat depth=0
	one_start "$image" '--tier lazy'
	one_start "$image" '--tier ready'
}

# ---- the machine that stays ----

measure() { # PID: $rss in KiB, $fds
	rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status")
	fds=$(find "/proc/$1/fd" -mindepth 1 | wc -l)
}

stayer_begin() {
	serve "$image" "$WORK/stayer.sock" || bad "a machine that stays" ""
	stayer=$linux_server
}

stayer_event() {
	good_event "a machine that stays" "$WORK/stayer.sock" work
	[ $((rounds % 2)) -eq 0 ] || return
	"$THAW" snapshot --no-sync -o "$WORK/stayer" "$WORK/stayer.sock" >/dev/null || bad "is forked" ""
	one_start stayer "$(start_options)"
	rm -rf "$WORK/stayer"
	measure "$stayer"
	first_fds=${first_fds:-$fds}
}

stayer_end() {
	measure "$stayer"
	expect_equal "the machine that stayed has the descriptors that it had" "$fds" "$first_fds"
	if [ "$rss" -le $rss_max ]; then
		ok "and $rss KiB"
	else
		not_ok "it has $rss KiB, expected up to $rss_max"
	fi
	linux_server=$stayer
	linux_stop
}

make_disk
build_keeper base
image=base
stayer_begin
until=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$until" ] && [ "$e2e_failed" -lt 10 ]; do
	rounds=$((rounds + 1)) depth=$((depth + 1))
	generation "$image" "gen$rounds" || break
	image=gen$rounds
	one_start "$image" "$(start_options)"
	stayer_event
	[ "$depth" -lt "$layers_max" ] || flatten
	echo "# round $rounds: $(field "$reply" files) files, $(field "$reply" writes) writes, $(($(date +%s) - until)) s"
done
stayer_end
if command -v e2fsck >/dev/null; then
	check_disk "after $rounds generations" "$WORK/$image"
else
	skip "the file system after $rounds generations" "there is no e2fsck"
fi
expect_equal "no process is left" "$(pgrep -f "$WORK")" ""
ok "$rounds generations and $starts starts in $seconds s"
finish
