# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# keeper.sh - sourced by scripts with Linux machines in which tests/linux/keeper.c keeps watch: a disk, a
# machine that stays, and what its replies have to say.
#
#	LINUX		where the guest is: keeper, and what thaw boots it from
#	BUILD_OPTIONS	more for `thaw build`: --kernel, --initrd ...
LINUX=${LINUX:-build/linux}
export THAW_LINUX="${THAW_LINUX:-$LINUX}"
# Boots of minutes on a host that emulates ring 0 and has other things to do.
BOOT_S=$((300 * SLOW)) EVENT_S=$((120 * SLOW))

# Skip all of the script where there is no guest.
need_linux() {
	[ -e "$LINUX/keeper" ] && [ -e "$THAW_LINUX/initramfs.cpio" ] && return
	skip "a Linux guest" "there is none: make linux-guest"
	finish
}

# $disk: an ext4 of its own, or the one that $DATA_DISK says.
make_disk() {
	disk=$WORK/data.ext4
	if [ -n "${DATA_DISK:-}" ]; then
		cp "$DATA_DISK" "$disk"
	else
		truncate -s 64M "$disk"
		mkfs.ext4 -q -F -b 4096 "$disk"
	fi
}

# The image $1, whose machine has that disk.
build_keeper() { # IMAGE
	# shellcheck disable=SC2086 # options are meant to be split
	timeout -k 5 "$BOOT_S" "$THAW" build --linux --no-sync ${BUILD_OPTIONS:-} \
		--drive "data=$disk,overlay" -o "$1" "$LINUX/keeper" >"$WORK/build.log" 2>&1 </dev/null
}

# Keep a machine of the image $1 at the socket $2; its process is $server.
serve() { # IMAGE SOCKET
	rm -f "$2"
	"$THAW" run --listen "$2" --timeout $((EVENT_S * 1000)) "$1" >>"$WORK/server.log" 2>&1 </dev/null &
	server=$!
	until [ -S "$2" ]; do
		kill -0 "$server" 2>/dev/null || return 1
		sleep 0.02
	done
}

leave() { # the machine of $server
	kill "$server" 2>/dev/null
	wait "$server"
}

ask() { # SOCKET EVENT
	timeout -k 5 "$EVENT_S" "$THAW" run --connect "$1" --payload "$2" </dev/null
}

field() { # JSON NAME
	printf '%s\n' "$1" | jq -r ".$2"
}

# Of the clocks in $1, taken between $2 and $3 (ns of the host's time of day): not further off than 50 ms.
clock_is_right() { # JSON FROM TO
	real=$(field "$1" real)
	[ "$real" -ge $(($2 - 50000000)) ] && [ "$real" -le $(($3 + 50000000)) ]
}

# What a machine says of itself is as it should be: nothing broken; $late_max ns is what a timer may be late.
late_max=$((3000000000 * SLOW))
reply_is_good() { # JSON
	[ "$(field "$1" broken)" = "" ] && [ "$(field "$1" errors)" = 0 ] &&
		[ "$(field "$1" backwards)" = 0 ] && [ "$(field "$1" late)" -le "$late_max" ]
}

# The file system on drive data of an image, as its machine left it: clean as it is if the guest unmounted it, else
# with the journal replayed first, as after a loss of power.
check_disk() { # NAME IMAGE [unmounted]
	rm -f "$WORK/out.ext4"
	expect_status 0 "$1: the disk is written out" "$THAW" drive -o "$WORK/out.ext4" "$2" data
	if [ -z "${3:-}" ]; then
		e2fsck -fp "$WORK/out.ext4" >"$WORK/fsck.log" 2>&1
		[ $? -le 1 ] || not_ok "$1: its journal is replayed" "$(cat "$WORK/fsck.log")"
	fi
	expect_status 0 "$1: its file system is clean" e2fsck -fn "$WORK/out.ext4"
}
