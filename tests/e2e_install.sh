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

expect_status 0 "make install" make -s install DESTDIR="$root" PREFIX=/usr
expect_equal "install adds its files" "$(files)" \
	"./usr/bin/thaw ./usr/bin/thawing ./usr/include/thaw.h ./usr/lib/libthaw.a ./usr/lib/libthaw.so \
./usr/lib/libthaw.so.0 ./usr/lib/pkgconfig/thaw.pc ./usr/share/bash-completion/completions/thaw ./usr/share/man/man1/thaw.1 "
expect_status 0 "the installed program runs" "$root/usr/bin/thaw" version
expect_status 0 "the completion is valid bash" \
	bash -n "$root/usr/share/bash-completion/completions/thaw"
expect_status 0 "make uninstall" make -s uninstall DESTDIR="$root" PREFIX=/usr
expect_equal "uninstall removes them and nothing else" "$(files)" "./usr/bin/thawing "
finish
