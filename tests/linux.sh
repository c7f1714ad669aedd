# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# linux.sh - sourced by tests/linux/*.sh after tests/e2e.sh: what tests of Linux guests share. A boot takes
# seconds: each script makes its images once, side by side, and uses them for all it does.
#
# THAW_LINUX=build/linux: what `make linux-guest` built. REQUIRE_LINUX=1: it has to be there.
# LINUX_KERNELS: which kernels of it, where not both.

LINUX=${THAW_LINUX:-build/linux}
export THAW_LINUX="$LINUX"
# Milliseconds after which a boot does not come to its end any more.
BOOT_MS=$((400000 * SLOW))

need_kvm
need_linux() { # FILE...: in $LINUX, and the kernels
	for linux_file in ${LINUX_KERNELS-vmlinux-minimal vmlinux-full} "$@"; do
		[ -e "$LINUX/$linux_file" ] && continue
		if [ "${REQUIRE_LINUX:-0}" != 0 ]; then
			not_ok "there is $linux_file" "REQUIRE_LINUX is set, but there is no $LINUX/$linux_file"
		else
			skip "$(basename "$0" .sh)" "no $linux_file: run 'make linux-guest'"
		fi
		finish
	done
}

# Begin to make an image, $WORK/NAME; what is said meanwhile is in $WORK/NAME.log.
linux_build() { # NAME [OPTION]... PROGRAM [ARG]...
	linux_name=$1
	shift
	"$THAW" build --linux --no-sync --timeout $BOOT_MS -o "$WORK/$linux_name" "$@" \
		>"$WORK/$linux_name.log" 2>&1 </dev/null &
}

# They are there.
linux_built() { # NAME...
	wait
	for linux_name; do
		expect_status 0 "$linux_name is frozen" test -e "$WORK/$linux_name/manifest.json" ||
			sed 's/^/# /' "$WORK/$linux_name.log"
	done
}

boot() { # [OPTION]... PROGRAM [ARG]...
	timeout -k 2 $((BOOT_MS / 1000)) "$THAW" boot --linux "$@"
}

wait_for() { # FILE TEXT: that it has it
	for _ in $(seq $((BOOT_MS / 200))); do
		grep -q "$2" "$1" && return
		sleep 0.2
	done
	echo "# no '$2' in $1" >&2
	return 1
}

run() { # NAME EVENT [OPTION]...: the reply of a new machine
	run_image=$WORK/$1 run_event=$2
	shift 2
	"$THAW" run --payload "$run_event" "$@" "$run_image"
}

# A machine that stays; its process is $linux_server.
linux_serve() { # NAME SOCKET [OPTION]...
	linux_image=$WORK/$1 linux_socket=$2
	shift 2
	"$THAW" run --listen "$linux_socket" "$@" "$linux_image" 2>"$WORK/server.err" </dev/null &
	linux_server=$!
	for _ in $(seq $((600 * SLOW))); do
		[ -S "$linux_socket" ] && return
		kill -0 "$linux_server" 2>/dev/null || return
		sleep 0.05
	done
}

linux_stop() {
	kill "$linux_server"
	wait "$linux_server"
}

ask() { # SOCKET EVENT: of a machine that stays
	"$THAW" run --connect "$1" --payload "$2"
}

expect_time() { # NAME MILLISECONDS GOT: that many at least
	if [ "${3:-0}" -ge "$2" ]; then
		ok "$1"
	else
		not_ok "$1" "${3:-?} ms, expected at least $2"
	fi
}
