# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# keeper.sh - sourced after tests/linux.sh by scripts with Linux machines in which tests/linux/keeper.c keeps
# watch: a disk, an image, and what replies have to say.
#
#	BUILD_OPTIONS	more for `thaw build`: --kernel, --initrd ...
#	DATA_DISK	an ext4 to begin with, where there is no mkfs.ext4
EVENT_S=$((120 * SLOW))

# $disk: an ext4 of its own, or the one that $DATA_DISK says.
make_disk() {
	disk=$WORK/data.ext4
	if [ -n "${DATA_DISK:-}" ]; then
		cp "$DATA_DISK" "$disk"
	else
		truncate -s 64M "$disk"
		mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0 "$disk"
	fi
}

# The image $WORK/NAME, whose machine has that disk.
build_keeper() { # NAME
	# shellcheck disable=SC2086 # options are meant to be split
	linux_build "$1" ${BUILD_OPTIONS:-} --drive "data=$disk,overlay" "$LINUX/keeper"
	linux_built "$1" || finish
}

serve() { # NAME SOCKET
	linux_serve "$1" "$2" --timeout $((EVENT_S * 1000))
}

field() { # JSON NAME
	printf '%s\n' "$1" | jq -r ".$2"
}

# Of the clocks in $1, taken between $2 and $3 (ns of the host's time of day): not further off than 50 ms.
clock_is_right() { # JSON FROM TO
	real=$(field "$1" real)
	[ "$real" -ge $(($2 - 50000000)) ] && [ "$real" -le $(($3 + 50000000)) ]
}

# Are the clocks of $1 not behind those of the last call?
last_mono=0 last_boot=0
clocks_go_on() { # JSON
	mono=$(field "$1" mono) boot=$(field "$1" boot)
	[ "$mono" -ge "$last_mono" ] && [ "$boot" -ge "$last_boot" ] || return
	last_mono=$mono last_boot=$boot
}

# What a timer may be late, in ns: of a machine that shares its processor with others.
late_max=$((5000000000 * SLOW))

# What a machine says of itself is as it should be.
reply_is_good() { # JSON
	[ "$(field "$1" broken)" = "" ] && [ "$(field "$1" errors)" = 0 ] &&
		[ "$(field "$1" backwards)" = 0 ] && [ "$(field "$1" late)" -le "$late_max" ]
}

# e2fsck says 1 when it did something, as replaying a journal is.
replay() { # NAME FILE
	e2fsck -fp "$2" >"$WORK/fsck.log" 2>&1
	[ $? -le 1 ] || not_ok "$1: its journal is replayed" "$(cat "$WORK/fsck.log")"
}

# The file system on drive data of an image, as its machine left it: clean as it is if the guest unmounted it, else
# with the journal replayed first, as after a loss of power.
check_disk() { # NAME IMAGE [unmounted]
	rm -f "$WORK/out.ext4"
	expect_status 0 "$1: the disk is written out" "$THAW" drive -o "$WORK/out.ext4" "$2" data
	[ -n "${3:-}" ] || replay "$1" "$WORK/out.ext4"
	expect_status 0 "$1: its file system is clean" e2fsck -fn "$WORK/out.ext4"
}
