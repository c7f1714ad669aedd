#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kernel.sh SERIES DIR - leave Debian's newest cloud kernel of a series ("6.12", "6.1") in DIR:
# vmlinuz, the three modules of KVM, `package`, its name, and in guest/ the modules that a guest of
# ours needs, whose names begin with the order of loading. The package is found and downloaded by apt,
# and not installed.
set -eu

series=$1 dir=$2
# In order of loading, as they are in the package.
modules='virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd'
# The same for a guest; some are in one kernel and modules of another.
guest_modules='virtio/virtio_ring virtio/virtio virtio/virtio_mmio block/virtio_blk
	char/hw_random/virtio-rng char/virtio_console acpi/button ../fs/fuse/fuse ../fs/fuse/cuse'

die() {
	echo "kernel.sh: $*" >&2
	exit 1
}

command -v apt-cache >/dev/null || die "no apt here: put vmlinuz, irqbypass.ko, kvm.ko and" \
	"kvm-amd.ko of a kernel $series and a file 'package' that names it into $dir"
packages=$(apt-cache search --names-only \
	"^linux-image-${series}[.][0-9]+(-[0-9]+|[+]deb[0-9]+)-cloud-amd64\$" |
	awk '{ print $1 }' | sort -rV)
[ -n "$packages" ] || die "apt knows no package linux-image-$series.*-cloud-amd64; for 6.12" \
	"Debian 12 needs bookworm-backports among its sources, and an apt-get update"

rm -rf "$dir"
mkdir -p "$dir/deb" "$dir/tree"
for package in $packages; do
	(cd "$dir/deb" && apt-get download -q "$package") >"$dir/log" 2>&1 && break
	package=
done
[ -n "$package" ] || die "apt-get download got none of $(echo "$packages" | tr '\n' ' '):" \
	"$(tail -n 1 "$dir/log")"

dpkg -x "$dir"/deb/*.deb "$dir/tree"
cp "$dir"/tree/boot/vmlinuz-* "$dir/vmlinuz"

unpack() { # MODULE FILE: fails if there is none
	# The package of 6.12 has them compressed.
	module=$(echo "$dir"/tree/lib/modules/*/kernel/"$1".ko*)
	case $module in
	*.xz) xz -dc "$module" >"$2" ;;
	*.ko) cp "$module" "$2" ;;
	*) return 1 ;;
	esac
}

for name in $modules; do
	unpack "$name" "$dir/${name##*/}.ko" || die "$package has no ${name##*/}.ko"
done
mkdir "$dir/guest"
n=10
for name in $guest_modules; do
	unpack "drivers/$name" "$dir/guest/$n-${name##*/}.ko" || continue
	n=$((n + 1))
done
rm -r "$dir/deb" "$dir/tree" "$dir/log"
echo "$package" >"$dir/package"
