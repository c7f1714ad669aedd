#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kernel.sh SERIES DIR - leave Debian's newest cloud kernel of a series ("6.12", "6.1") in DIR:
# vmlinuz, the three modules of KVM, and `package`, its name. The package is found and downloaded
# by apt, and not installed.
set -eu

series=$1 dir=$2
# In order of loading, as they are in the package.
modules='virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd'

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
for module in $modules; do
	# The package of 6.12 has them compressed.
	file=$(echo "$dir"/tree/lib/modules/*/kernel/"$module".ko*)
	case $file in
	*.xz) xz -dc "$file" >"$dir/${module##*/}.ko" ;;
	*.ko) cp "$file" "$dir" ;;
	*) die "$package has no $module.ko" ;;
	esac
done
rm -r "$dir/deb" "$dir/tree" "$dir/log"
echo "$package" >"$dir/package"
