#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The program of docs/embed.md, built against an installed libthaw with nothing but pkg-config,
# answers 10,000 events on four threads.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm
need_program pkg-config

root=$WORK/root
expect_status 0 "make install" make -s install DESTDIR="$root" PREFIX=/usr
PKG_CONFIG_LIBDIR=$root/usr/lib/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR

embed_program >"$WORK/ask.c"
flags=$(pkg-config --cflags --libs thaw)
# shellcheck disable=SC2086 # words are meant to be split
expect_status 0 "the program of docs/embed.md compiles without warnings" \
	cc -Wall -Wextra -Werror -O2 -o "$WORK/ask" "$WORK/ask.c" $flags
# shellcheck disable=SC2046,SC2086
expect_status 0 "and links statically with libthaw" cc -O2 -o "$WORK/ask-static" "$WORK/ask.c" \
	$(pkg-config --cflags thaw) "$root/usr/lib/libthaw.a" \
	$(pkg-config --static --libs-only-l thaw | sed 's/-lthaw//')
expect_equal "libthaw.so offers thaw_ names only" \
	"$(nm -D --defined-only "$root/usr/lib/libthaw.so" | awk '$2 != "A" && $3 !~ /^thaw_/' | wc -l)" 0
expect_equal "libthaw.a offers thaw_ names only" \
	"$(nm --defined-only --extern-only "$root/usr/lib/libthaw.a" | awk 'NF == 3 && $3 !~ /^thaw_/' | wc -l)" 0

LD_LIBRARY_PATH=$root/usr/lib
export LD_LIBRARY_PATH
expect_status 0 "echo is built" "$THAW" build -o "$WORK/echo" "$GUEST/echo"
expect_status 0 "10,000 events on four threads" "$WORK/ask" "$WORK/echo" hello 4 2500
expect_equal "their replies" "$(sort -u "$E2E_OUT") $(wc -l <"$E2E_OUT")" "hello 4"
expect_status 0 "the static program, too" "$WORK/ask-static" "$WORK/echo" hello 2 10
expect_status 1 "no such image" "$WORK/ask" "$WORK/nothing" hello 1 1
expect_match "which says so" "$(cat "$E2E_ERR")" '^ask: .*nothing'
finish
