#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# initramfs.sh OUT KERNEL_DIR LEAVE FILE... - pack the emulated machine's file system: busybox,
# `init` and the program LEAVE that ends it, KVM's modules, this host's own tools that the tests
# use, and FILEs, which keep their names below /src. Programs bring their shared libraries. The
# same input gives the same bytes.
set -eu

out=$1 kernel=$2 leave=$3
shift 3
# What tests/run.sh and the end-to-end tests call.
tools='sh bash awk basename cat chmod cmp cp cut date dd diff dirname e2fsck env expr find grep head id
	jq ln ls mkdir mktemp mv od ps readlink realpath rm rmdir sed seq sha256sum sleep
	sort sqlite3 stat tail tee timeout touch tr truncate uname wc xargs base64 gzip tar'

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

put() { # FILE NAME: with the libraries it asks for
	mkdir -p "$root/${2%/*}"
	cp -L "$1" "$root/$2"
	# The libraries of a dynamic program, one path a line; ldd fails for anything else.
	ldd "$1" 2>/dev/null | awk '
		$2 == "=>" && $3 ~ /^\// { print $3 }
		$1 ~ /^\// { print $1 }
	' | while read -r library; do
		[ -e "$root$library" ] && continue
		mkdir -p "$root${library%/*}"
		cp -L "$library" "$root$library"
	done
}

mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/modules"
ln -s usr/bin usr/lib usr/lib64 "$root"
install -D -m 755 tests/tcg/init "$root/init"
cp "$leave" "$root/leave"
cp "$kernel/irqbypass.ko" "$kernel/kvm.ko" "$kernel/kvm-amd.ko" "$root/modules"
put "$(command -v busybox)" bin/busybox
for tool in $tools; do
	path=$(command -v "$tool") || continue
	put "$path" "usr/bin/$tool"
done
for file; do
	put "$file" "src/$file"
done

find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort |
	cpio --quiet -o -H newc -R 0:0 --reproducible) >"$out.part"
mv "$out.part" "$out"
