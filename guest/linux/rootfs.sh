#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rootfs.sh FOLDER INIT IMAGE - make an erofs IMAGE of FOLDER, `tiny` for one with BusyBox alone,
# with INIT as /sbin/init and the sample functions in /functions.
#
# Not compressed: pages then come from the disk as they are, where a kernel whose instructions are
# emulated takes milliseconds to decompress each.
set -eu
here=$(dirname "$0")
folder=$1
init=$2
image=$3
root=$image.root

rm -rf "$root"
mkdir -p "$root"
trap 'rm -rf "$root" "$image.part"' EXIT

if [ "$folder" = tiny ]; then
	mkdir -p "$root/bin" "$root/sbin" "$root/etc" "$root/root"
	cp "$(command -v busybox)" "$root/bin/busybox"
	"$root/bin/busybox" --list | while read -r name; do
		[ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
else
	cp -a "$folder/." "$root"
fi
for name in data dev functions lower proc run sys thaw tmp upper; do
	mkdir -p "$root/$name"
done
install -m 755 "$init" "$root/sbin/init"
install -m 755 "$here"/functions/* "$root/functions"

rm -f "$image.part"
mkfs.erofs --quiet -x-1 -T"$SOURCE_DATE_EPOCH" -U 74686177-0000-4000-8000-000000000000 \
	"$image.part" "$root" >"$image.log" 2>&1 || {
	cat "$image.log" >&2
	exit 1
}
mv "$image.part" "$image"
