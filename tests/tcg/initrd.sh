#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# initrd.sh OUT MODULES DEVICE - pack what a kernel that is not ours boots into as a guest:
# busybox, stock_init, the folder MODULES and thaw-device. The same input gives the same bytes.
set -eu

out=$1 modules=$2 device=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/disk"
install -m 755 tests/tcg/stock_init "$root/init"
install -m 755 "$(command -v busybox)" "$root/bin/busybox"
install -m 755 "$device" "$root/bin/thaw-device"
cp -r "$modules" "$root/modules"

find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort |
	cpio --quiet -o -H newc -R 0:0 --reproducible) >"$out.part"
mv "$out.part" "$out"
