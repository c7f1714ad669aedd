#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A Linux machine with a disk is thawed, works, and is frozen again, for five generations: each is a layer on
# the one before. Clocks, timers, random numbers and the file system are as if nothing had happened.
#
# GENERATIONS: how many. RESEEDS=1: its kernel has VMGenID, and says so once for each thaw.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
# shellcheck source=tests/keeper.sh
. tests/keeper.sh
need_linux initramfs.cpio keeper

generations=${GENERATIONS:-5}
sock=$WORK/sock

first_event() { # GENERATION
	from=$(date +%s%N)
	reply=$(ask "$sock" '')
	to=$(date +%s%N)
	if clock_is_right "$reply" "$from" "$to"; then
		ok "generation $1: the time of day is right at the first event"
	else
		not_ok "generation $1: the time of day is right at the first event" "$from $reply $to"
	fi
	if clocks_go_on "$reply"; then
		ok "generation $1: clocks go on"
	else
		not_ok "generation $1: clocks go on" "$last_mono $last_boot $reply"
	fi
}

# Everything else; the reply is $reply.
expect_good() { # GENERATION EVENT
	reply=$(ask "$sock" "$2")
	if reply_is_good "$reply"; then
		ok "generation $1: nothing is lost"
	else
		not_ok "generation $1: nothing is lost" "$reply"
	fi
	expect_equal "generation $1: files" "$(field "$reply" files)" $(($1 + 1))
	reseeds=$(field "$reply" reseeds)
	[ "$1" -gt 1 ] || each=${RESEEDS:-$reseeds}
	expect_equal "generation $1: the kernel says that it is a copy, once" "$reseeds" $(($1 * each))
	random=$(field "$reply" random)
	case " $randoms " in
	*" $random "*) not_ok "generation $1: random numbers of its own" "$random" ;;
	*) ok "generation $1: random numbers of its own" ;;
	esac
	randoms="$randoms $random"
}

# A copy of the generation that stays behind has other random numbers, and its own disk.
expect_sibling() { # GENERATION IMAGE
	reply=$(timeout -k 5 "$EVENT_S" "$THAW" run --tier eager --payload check "$2" </dev/null)
	if reply_is_good "$reply" && [ "$(field "$reply" random)" != "$random" ]; then
		ok "generation $1: a sibling is well, and another one"
	else
		not_ok "generation $1: a sibling is well, and another one" "$reply"
	fi
}

make_disk
build_keeper gen0
sum=$(sha256sum <"$disk")

randoms=
for generation in $(seq "$generations"); do
	child=$WORK/gen$generation
	event=check
	[ "$generation" -lt "$generations" ] || event=fsck
	expect_status 0 "generation $generation: is thawed" serve "gen$((generation - 1))" "$sock"
	first_event "$generation"
	expect_good "$generation" "$event"
	expect_status 0 "generation $generation: is frozen" "$THAW" snapshot --no-sync -o "$child" "$sock"
	linux_stop
	sleep 2 # so that timers are due by then
done
expect_status 0 "the last layer is whole" "$THAW" verify "$child"
expect_sibling "$generation" "$WORK/gen$((generations - 1))"
expect_equal "what clones wrote is not in the file" "$(sha256sum <"$disk")" "$sum"

if command -v e2fsck >/dev/null; then
	check_disk "the last disk" "$child" unmounted
	check_disk "the one before" "$WORK/gen$((generations - 1))"
	expect_status 0 "the layers are flattened" "$THAW" flatten --no-sync -o "$WORK/flat" "$child"
	check_disk "the disk of a flat image" "$WORK/flat" unmounted
	expect_status 1 "no file is written over" "$THAW" drive -o "$disk" "$WORK/flat" data
	expect_status 1 "no such drive" "$THAW" drive -o "$WORK/no" "$WORK/flat" nothing
else
	skip "file systems are checked" "there is no e2fsck"
fi
finish
