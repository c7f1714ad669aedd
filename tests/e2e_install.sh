#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# e2e_install.sh - install puts three files where a distribution expects them, the installed
# program works from there, and uninstall takes away exactly those three.
. tests/e2e.sh

root=$WORK/root
mkdir -p "$root/usr/bin"
echo keep >"$root/usr/bin/thawing"

files() {
	(cd "$root" && find . -type f | sort | tr '\n' ' ')
}

expect_status 0 "make install" make -s install DESTDIR="$root" PREFIX=/usr
expect_equal "install adds three files" "$(files)" \
	"./usr/bin/thaw ./usr/bin/thawing ./usr/share/bash-completion/completions/thaw ./usr/share/man/man1/thaw.1 "
expect_status 0 "the installed program runs" "$root/usr/bin/thaw" version
expect_status 0 "the completion is valid bash" \
	bash -n "$root/usr/share/bash-completion/completions/thaw"
expect_status 0 "make uninstall" make -s uninstall DESTDIR="$root" PREFIX=/usr
expect_equal "uninstall removes them and nothing else" "$(files)" "./usr/bin/thawing "
finish
