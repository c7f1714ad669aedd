#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kernel.sh SOURCE FRAGMENT DIR VMLINUX - build the kernel that FRAGMENT configures in DIR, and leave
# it without symbols in VMLINUX. An option that the configuration did not take is an error: it would
# be missed much later.
set -eu
source=$(realpath "$1")
fragment=$(realpath "$2")
dir=$3
out=$4

# The flags of the make that runs this are not the kernel's.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CC
export KBUILD_BUILD_USER=thaw KBUILD_BUILD_HOST=thaw KBUILD_BUILD_VERSION=1
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH")
export KBUILD_BUILD_TIMESTAMP

mkdir -p "$dir"
make_kernel() {
	make -C "$source" O="$(realpath "$dir")" "$@" >>"$dir/build.log" 2>&1 || {
		tail -n 30 "$dir/build.log" >&2
		exit 1
	}
}

: >"$dir/build.log"
KCONFIG_ALLCONFIG=$fragment make_kernel allnoconfig
lost=$(grep -h '^CONFIG_.*=[^n]' "$fragment" | grep -vxFf "$dir/.config" || true)
[ -z "$lost" ] || {
	echo "$fragment: not taken:" >&2
	echo "$lost" >&2
	exit 1
}
nice -n 19 make -C "$source" O="$(realpath "$dir")" -j"$(nproc)" vmlinux >>"$dir/build.log" 2>&1 || {
	grep -n -m 20 -i 'error' "$dir/build.log" >&2 || tail -n 30 "$dir/build.log" >&2
	exit 1
}
strip -s -o "$out.part" "$dir/vmlinux"
mv "$out.part" "$out"
