#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `thaw boot --linux`: both entries, the terminal, how machines end, and what is refused.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
need_linux initramfs.cpio tiny.erofs

kernel=$LINUX/vmlinux-minimal

one_line() { # NAME PATTERN: what went to stderr is one line, and says that
	expect_equal "$1: one line" "$(grep -c . "$E2E_ERR")" 1
	expect_match "$1: says why" "$(cat "$E2E_ERR")" "$2"
}

# ---- what is refused ----

truncate -s 40M "$WORK/large"
head -c 100000 "$kernel" >"$WORK/cut"
: >"$WORK/nothing"
while IFS='|' read -r status name pattern arguments; do
	# shellcheck disable=SC2086 # words are meant to be split
	expect_status "$status" "$name" "$THAW" boot $arguments "$GUEST/tests/moody" exit 0
	one_line "$name" "$pattern"
done <<END
1|no kernel|No such file|--kernel $WORK/none
1|an empty kernel|neither an ELF file nor a bzImage|--kernel $WORK/nothing
1|text for a kernel|neither an ELF file nor a bzImage|--kernel tests/linux/boot.sh
1|half a kernel|kernel|--kernel $WORK/cut
5|a program for a kernel|triple fault|--kernel $GUEST/echo
1|no initrd|No such file|--linux --initrd $WORK/none
1|an initrd for which there is no room|initrd has 41943040 bytes, guest memory has room for|--linux --mem 32M --initrd $WORK/large
1|a command line that is too long|command line has [0-9]+ bytes, the kernel takes 2047|--linux --cmdline $(printf '%04000d' 0)
1|files that are not there|No such file|--linux --files $WORK/none
2|too little memory|expected 32M to|--linux --mem 16M
2|an entry that there is not|expected pvh or 64|--entry 32
END
expect_status 1 "kernels that were not built" env THAW_LINUX="$WORK" "$THAW" boot --linux "$GUEST/echo"
one_line "kernels that were not built" "$WORK/vmlinux-.*No such file"

# ---- programs ----

for entry in pvh 64; do
	expect_status 7 "entry $entry: the program's exit status" \
		boot --entry $entry --mem 64M "$GUEST/tests/moody" exit 7
	expect_match "entry $entry: the kernel's messages" "$(tr -d '\r' <"$E2E_OUT")" '^Linux version 6'
done
# Pressed when the shell is there: before, nobody keeps them.
keys() { # FILE: what the terminal shows
	for _ in $(seq $((1500 * SLOW))); do
		grep -q '/ # ' "$1" && break
		sleep 0.2
	done
	cat <<'END'
echo "$GREETING"
echo "the kernel is $(uname -s), its root has $(ls -d /functions)"
echo "the disk is $(grep -o vda /proc/partitions)"
exit 3
END
}
: >"$WORK/shown"
# shellcheck disable=SC2094 # what it reads grows
keys "$WORK/shown" | boot --rootfs "$LINUX/tiny.erofs" --env 'GREETING=hello from outside' \
	>"$WORK/shown" 2>"$WORK/err"
expect_equal "a shell on the terminal: its exit status" "$?" 3
tr -d '\r' <"$WORK/shown" >"$WORK/lines"
for line in 'hello from outside' 'the kernel is Linux, its root has /functions' 'the disk is vda'; do
	expect_match "which says: $line" "$(cat "$WORK/lines")" "^$line\$"
done

# ---- other ends ----

expect_status 0 "a guest that reboots" boot --rootfs "$LINUX/tiny.erofs" /bin/reboot -f
expect_status 5 "one that panics" boot --cmdline rdinit=/none "$GUEST/tests/moody" exit 0
expect_match "says so" "$(cat "$E2E_OUT")" 'Kernel panic'
one_line "and so do we" '^thaw: the guest panicked$'
expect_status 139 "a program that dies of a signal" boot --rootfs "$LINUX/tiny.erofs" /bin/sh -c 'kill -SEGV $$'
expect_status 127 "a program that is not there" boot --rootfs "$LINUX/tiny.erofs" /bin/none
expect_match "is named" "$(cat "$E2E_OUT" "$E2E_ERR")" 'cannot start /bin/none'
expect_status 5 "in an image, a panic is a crash" \
	"$THAW" build --linux --cmdline rdinit=/none -o "$WORK/no" "$GUEST/echo"
expect_match "with the same words" "$(cat "$E2E_ERR")" '^thaw: the guest panicked$'
expect_status 6 "a boot that takes too long" "$THAW" build --linux --timeout 100 -o "$WORK/no" "$GUEST/echo"
expect_status 1 "of which nothing is left" test -e "$WORK/no"
finish
