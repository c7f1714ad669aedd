#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# debian.sh DIR - a small Debian with Perl in DIR; MIRROR= names another mirror than Debian's own.
# Made in a new folder that becomes DIR when it is whole.
# shellcheck disable=SC2086 # MIRROR is a word or none
set -eu
dir=$1
release=bookworm

[ "$(id -u)" -eq 0 ] || {
	echo "a Debian root is made by root only (debootstrap): make $dir as root" >&2
	exit 1
}
rm -rf "$dir" "$dir.part"
mkdir -p "$dir.part"
debootstrap --variant=minbase --include=perl "$release" "$dir.part" ${MIRROR:-} \
	>"$dir.log" 2>&1 || {
	tail -n 5 "$dir.log" >&2
	exit 1
}

# What no function reads, and what would not be the same the next time.
cd "$dir.part"
rm -rf usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/locale/* usr/share/lintian/* \
	var/cache/apt/* var/cache/debconf/* var/cache/ldconfig/* var/lib/apt/lists/* var/log/* \
	etc/machine-id etc/hostname etc/resolv.conf dev/*
find . -xdev '(' -name '*.dpkg-old' -o -name '*-old' -o -name '*.pyc' ')' -delete
for name in data thaw upper; do mkdir -p "$name"; done
cd - >/dev/null
mv "$dir.part" "$dir"
