#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# e2e_install.sh - install puts its files where a distribution expects them, the installed
# program works from there, and uninstall takes away exactly those.
. tests/e2e.sh

root=$WORK/root
mkdir -p "$root/usr/bin"
echo keep >"$root/usr/bin/thawing"

files() {
	(cd "$root" && find . -type f -o -type l | sort | tr '\n' ' ')
}

# shellcheck disable=SC2317 # expect_status calls it
install() { # [VARIABLE=VALUE]...
	make -s install DESTDIR="$root" PREFIX=/usr "$@"
}

# Files of Linux guests are installed as they are: any will do.
mkdir "$WORK/linux"
for name in vmlinux-minimal vmlinux-full initramfs.cpio; do
	echo "$name" >"$WORK/linux/$name"
done
expect_status 0 "make install without all of a Linux guest" install L="$WORK/linux"
expect_match "says what is not there" "$(cat "$E2E_OUT")" "^Linux .* want of thaw-device: run 'make linux-guest' before\$"
expect_equal "and leaves it out" "$(files | grep -c linux)" 0
echo thaw-device >"$WORK/linux/thaw-device"
expect_status 0 "make install" install L="$WORK/linux"
expect_equal "says nothing" "$(cat "$E2E_OUT")" ""
expect_equal "install adds its files" "$(files)" \
	"./usr/bin/thaw ./usr/bin/thawd ./usr/bin/thawing ./usr/include/thaw.h ./usr/lib/libthaw.a ./usr/lib/libthaw.so \
./usr/lib/libthaw.so.0 ./usr/lib/pkgconfig/thaw.pc ./usr/lib/systemd/system/thawd.service ./usr/lib/thaw/linux/initramfs.cpio \
./usr/lib/thaw/linux/thaw-device ./usr/lib/thaw/linux/vmlinux-full ./usr/lib/thaw/linux/vmlinux-minimal \
./usr/share/bash-completion/completions/thaw ./usr/share/man/man1/thaw.1 ./usr/share/man/man8/thawd.8 "
expect_status 0 "the installed program runs" "$root/usr/bin/thaw" version
have_kvm && {
	expect_status 1 "it looks for a Linux guest there" env -u THAW_LINUX "$root/usr/bin/thaw" boot --linux bin/thaw
	expect_match "and finds that of the installation" "$(cat "$E2E_ERR")" '/lib/thaw/linux/initramfs.cpio: neither'
}
expect_status 0 "the completion is valid bash" \
	bash -n "$root/usr/share/bash-completion/completions/thaw"
expect_status 0 "so does the installed daemon" "$root/usr/bin/thawd" --help
expect_match "the unit starts it" "$(cat "$root/usr/lib/systemd/system/thawd.service")" \
	'^ExecStart=/usr/bin/thawd --dir '
if command -v systemd-analyze >/dev/null; then
	sed "s|/usr/bin|$root&|" "$root/usr/lib/systemd/system/thawd.service" >"$WORK/thawd.service"
	expect_status 0 "systemd takes the unit" systemd-analyze verify --man=no "$WORK/thawd.service"
	expect_equal "and knows all of it" "$(cat "$E2E_ERR")" ""
else
	skip "systemd takes the unit" "systemd-analyze is not installed"
fi
expect_status 0 "make uninstall" make -s uninstall DESTDIR="$root" PREFIX=/usr
expect_equal "uninstall removes them and nothing else" "$(files)" "./usr/bin/thawing "
expect_status 1 "nor its folder" test -e "$root/usr/lib/thaw"
finish
