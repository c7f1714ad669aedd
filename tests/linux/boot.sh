#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `thaw boot --linux`: both entries, the terminal, how machines end, and what is refused.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
need_linux initramfs.cpio tiny.erofs
need_program mkfs.ext4

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
2|files for another init|--files is for our init, and --initrd has its own|--initrd $WORK/large --files $WORK
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
	wait_for "$1" '/ # ' || return
	cat <<'END'
echo "$GREETING"
echo "the kernel is $(uname -s), its root has $(ls -d /functions)"
cat /etc/.file /root/profile
echo "$(grep -c root /etc/passwd) passwd, $(ls -d /thaw/files /lower/bin 2>/dev/null | wc -l) remains"
echo "$(stat -c '%a %u' /bin /etc /root | uniq | wc -l) kind of folder, but $(stat -c %a /own)"
echo "the disk is $(grep -o vda /proc/partitions)"
exit 3
END
}
: >"$WORK/shown"
mkdir -p "$WORK/files/etc" "$WORK/files/root"
chmod 700 "$WORK/files/etc" "$WORK/files/root"
mkdir -m 750 "$WORK/files/own"
echo 'a file from outside' >"$WORK/files/etc/.file"
echo 'another one' >"$WORK/files/root/profile"
# shellcheck disable=SC2094 # what it reads grows
keys "$WORK/shown" | boot --rootfs "$LINUX/tiny.erofs" --files "$WORK/files" --env 'GREETING=hello from outside' \
	>"$WORK/shown" 2>"$WORK/err"
expect_equal "a shell on the terminal: its exit status" "$?" 3
tr -d '\r' <"$WORK/shown" >"$WORK/lines"
while read -r line; do
	expect_match "which says: $line" "$(cat "$WORK/lines")" "^$line\$"
done <<END
hello from outside
the kernel is Linux, its root has /functions
a file from outside
another one
1 passwd, 0 remains
1 kind of folder, but 750
the disk is vda
END

# ---- an initrd with a program ----

if command -v cpio >/dev/null; then
	{ cat "$LINUX/initramfs.cpio" && (cd "$GUEST" && echo echo | cpio -o -H newc --quiet); } >"$WORK/own.cpio"
	expect_status 0 "an initrd that names its program itself is frozen" "$THAW" build --initrd "$WORK/own.cpio" \
		--cmdline '-- /echo' --record-runs 0 --no-sync --timeout $BOOT_MS -o "$WORK/own" &&
		expect_equal "and answers" "$("$THAW" run --payload 'who?' "$WORK/own")" 'who?'
	expect_equal "its image has its name" "$("$THAW" inspect --json "$WORK/own" |
		jq -c '.manifest.guest | [.program, .args]')" '["own.cpio",[]]'
else
	skip "an initrd that names its program itself" "cpio is not installed"
fi

# ---- other ends ----

expect_status 0 "a guest that reboots" boot --rootfs "$LINUX/tiny.erofs" /bin/reboot -f
truncate -s 16M "$WORK/disk" "$WORK/upper"
mkfs.ext4 -q "$WORK/disk"
mkfs.ext4 -q "$WORK/upper"
# A shell that minds no SIGTERM, and is not asked by its terminal.
expect_status 0 "one that powers off" boot --rootfs "$LINUX/tiny.erofs" --drive data="$WORK/disk" \
	--drive upper="$WORK/upper" /bin/sh -c 'trap "" TERM; echo 1 >/data/file; echo 2 >/file; poweroff; while :; do sleep 1; done'
for disk in disk upper; do
	expect_status 0 "$disk: sound" e2fsck -fn "$WORK/$disk"
	expect_equal "$disk: its journal is done" "$(dumpe2fs -h "$WORK/$disk" 2>/dev/null | grep -c needs_recovery)" 0
done
mkfifo "$WORK/line"
"$THAW" boot --kernel "$kernel" "$GUEST/tests/moody" cat <"$WORK/line" >"$WORK/shown" 2>&1 &
machine=$!
exec 9>"$WORK/line"
expect_status 0 "one without a power button boots" wait_for "$WORK/shown" 'Run /init as init process'
kill "$machine"
wait "$machine"
expect_equal "and ends at SIGTERM" "$?" 143
exec 9>&-
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
