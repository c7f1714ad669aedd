#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# source.sh DIR - unpack Debian's kernel source into DIR, once, with our patches and our driver.
# Files whose contents stay keep their times, so that a change rebuilds what depends on it: other
# patches are taken back before the new ones are applied.
set -eu
dir=$1
here=$(dirname "$0")
archive=/usr/src/linux-source-6.12.tar.xz
driver=$dir/drivers/char/thaw

[ -e "$archive" ] || {
	echo "linux-source-6.12 is not installed: run 'sh tools/deps.sh linux'" >&2
	exit 1
}

unpack() {
	rm -rf "$dir" "$dir.part"
	mkdir -p "$dir.part"
	tar -C "$dir.part" --strip-components=1 -xf "$archive"
	mkdir "$dir.part/.applied"
	mv "$dir.part" "$dir"
}

patched() { # the files that are patched, or were
	cat "$dir/.applied/all.patch" "$dir/.wanted" 2>/dev/null | sed -n 's|^+++ b/||p' | sort -u
}

patch_all() { # what was applied is kept beside the source
	cat "$here"/patches/*.patch >"$dir/.wanted"
	cmp -s "$dir/.wanted" "$dir/.applied/all.patch" && return
	for file in $(patched); do
		mkdir -p "$dir/.before/$(dirname "$file")"
		cp -p "$dir/$file" "$dir/.before/$file"
	done
	if [ -s "$dir/.applied/all.patch" ]; then
		patch -d "$dir" -p1 -R -s <"$dir/.applied/all.patch"
	fi
	patch -d "$dir" -p1 -s <"$dir/.wanted"
	for file in $(patched); do
		! cmp -s "$dir/$file" "$dir/.before/$file" || touch -r "$dir/.before/$file" "$dir/$file"
	done
	rm -r "$dir/.before"
	mv "$dir/.wanted" "$dir/.applied/all.patch"
}

[ -d "$dir/.applied" ] || unpack
patch_all
mkdir -p "$driver/guest"
install -C -m 644 "$here"/driver/* "$driver"
install -C -m 644 "$here/../abi.h" "$driver/guest"
