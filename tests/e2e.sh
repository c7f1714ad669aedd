# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# e2e.sh - sourced by tests/e2e_*.sh: what they share. They run from the root folder:
#
#	. tests/e2e.sh
#	need_kvm
#	expect_status 0 "build makes an image" "$THAW" build -o "$WORK/echo" "$GUEST/echo"
#	expect_equal "echo answers" "$("$THAW" run --payload hi "$WORK/echo")" hi
#	finish
#
# Each check is one TAP line on standard output. A script that does not reach `finish` has
# printed no plan, which tests/run.sh counts as a failure.
set -u

THAW=${THAW:-bin/thaw}
GUEST=${GUEST:-build/guest}
# How many times slower this host is than one of its own: numbers of repetitions are divided by
# it, waits are multiplied with it, and what compares times is skipped.
# shellcheck disable=SC2034 # for the scripts
SLOW=${THAW_SLOW:-1}
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
e2e_count=0 e2e_failed=0
E2E_OUT=$WORK/.out E2E_ERR=$WORK/.err

ok() { # NAME
	e2e_count=$((e2e_count + 1))
	echo "ok - $1"
}

not_ok() { # NAME [LINE]...
	e2e_count=$((e2e_count + 1)) e2e_failed=$((e2e_failed + 1))
	echo "not ok - $1"
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/# /' | cut -c 1-400 | head -n 20
}

skip() { # NAME REASON
	e2e_count=$((e2e_count + 1))
	echo "ok - $1 # SKIP $2"
}

note() { # TEXT: worth to be shown, and no check
	echo "# note: $1"
}

finish() {
	echo "1..$e2e_count"
	[ "$e2e_failed" -eq 0 ]
	exit
}

# Where there is no such device, opening for writing would make a file of that name.
have_kvm() {
	[ -c /dev/kvm ] && (exec 3<>/dev/kvm) 2>/dev/null
}

# The program of docs/embed.md: the first C there. Paths are relative to the root folder.
embed_program() {
	awk '/^```c$/ { on = 1; next } on && /^```$/ { exit } on' docs/embed.md
}

# The script is one skipped test where there is no KVM. REQUIRE_KVM is run.sh's business.
need_kvm() {
	have_kvm && return
	skip "$(basename "$0" .sh)" "no usable /dev/kvm"
	finish
}

need_program() { # PROGRAM: from another package than those we always have
	command -v "$1" >/dev/null && return
	skip "$(basename "$0" .sh)" "$1 is not installed"
	finish
}

# Run a command; its output is in $E2E_OUT and $E2E_ERR until the next one.
expect_status() { # STATUS NAME COMMAND...
	e2e_want=$1 e2e_name=$2
	shift 2
	"$@" >"$E2E_OUT" 2>"$E2E_ERR" </dev/null
	e2e_got=$?
	if [ "$e2e_got" -eq "$e2e_want" ]; then
		ok "$e2e_name"
		return
	fi
	not_ok "$e2e_name" "exit status is $e2e_got, expected $e2e_want: $*" "$(tail -n 5 "$E2E_ERR")"
	return 1
}

expect_equal() { # NAME GOT WANTED
	if [ "$2" = "$3" ]; then
		ok "$1"
		return
	fi
	not_ok "$1" "got:      $2" "expected: $3"
	return 1
}

expect_same_file() { # NAME GOT WANTED: byte for byte
	if e2e_diff=$(cmp "$2" "$3" 2>&1); then
		ok "$1"
		return
	fi
	not_ok "$1" "$e2e_diff"
	return 1
}

expect_match() { # NAME GOT PATTERN: an extended regular expression for one line of GOT
	if printf '%s\n' "$2" | grep -qE -e "$3"; then
		ok "$1"
		return
	fi
	not_ok "$1" "got:             $2" "expected a line: $3"
	return 1
}
