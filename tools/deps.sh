#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh SET... - install the Debian packages of these sets that are missing; else say nothing.
#
#	build	what `make` and `make demo` need
#	check	what `make check` and `make asan` need besides
#	thawd	what `make demo-thawd`, `make bench-thawd` and tests of thawd need besides
#	style	what `make fuzz`, `make check-style` and a build with clang need besides
#	tcg	what `make test-tcg` needs besides
#	linux	what `make linux-guest`, `make demo-linux` and `make check-linux` need besides
#	bench	what `make bench` needs besides
# shellcheck disable=SC2086 # lists of package names are split on purpose
set -eu

build='gcc make libc6-dev liblz4-dev libjansson-dev libssl-dev libisal-dev liburing-dev libseccomp-dev
	libarchive-dev libsqlite3-dev liblua5.4-dev libmicrohttpd-dev libgnutls28-dev
	libcurl4-openssl-dev sqlite3 jq'
check='libcriterion-dev curl openssl strace musl-tools pkg-config busybox-static acpica-tools'
thawd='awscli curl wrk'
style='clang clang-tidy clang-format libclang-rt-dev shellcheck mandoc'
tcg='qemu-system-x86 busybox-static cpio xz-utils e2fsprogs'
linux='linux-source-6.12 flex bison bc libelf-dev libssl-dev xz-utils cpio kmod patch musl-tools busybox-static
	debootstrap erofs-utils e2fsprogs'
bench='qemu-system-x86'

if [ $# -eq 0 ]; then
	echo "usage: tools/deps.sh build|check|thawd|style|tcg|linux|bench..." >&2
	exit 2
fi
wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	check) wanted="$wanted $check" ;;
	thawd) wanted="$wanted $thawd" ;;
	style) wanted="$wanted $style" ;;
	tcg) wanted="$wanted $tcg" ;;
	linux) wanted="$wanted $linux" ;;
	bench) wanted="$wanted $bench" ;;
	*)
		echo "deps: no set '$set': expected build, check, thawd, style, tcg, linux or bench" >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "deps: not a Debian system, nothing checked; needed are the equivalents of:" $wanted >&2
	exit 0
fi

# One line per installed package; multi-arch ones have a colon and the architecture.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || true)
missing=
for package in $wanted; do
	case "
$installed
" in
	*"
installed $package
"*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	sudo=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	sudo='sudo -n'
else
	echo "deps: packages are missing; run: sudo apt-get install$missing" >&2
	exit 1
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
$sudo apt-get install -q -y --no-install-recommends $missing
