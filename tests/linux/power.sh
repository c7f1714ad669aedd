#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The power button of a Linux machine: SIGTERM and SIGHUP to `thaw boot`, with the kernel that has ACPI.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
LINUX_KERNELS=vmlinux-full need_linux initramfs.cpio tiny.erofs
need_program mkfs.ext4

truncate -s 16M "$WORK/data"
mkfs.ext4 -q "$WORK/data"
mkfifo "$WORK/line"

# A guest whose shell minds neither of init's signals; its process is $guest.
guest_start() {
	: >"$WORK/shown"
	"$THAW" boot --kernel "$LINUX/vmlinux-full" --rootfs "$LINUX/tiny.erofs" --drive data="$WORK/data" \
		/bin/sh -c 'trap "" TERM HUP; echo kept >/data/file; echo READY; while :; do sleep 1; done' \
		<"$WORK/line" >"$WORK/shown" 2>&1 &
	guest=$!
	exec 9>"$WORK/line"
	wait_for "$WORK/shown" READY
}

guest_end() { # NAME STATUS
	wait "$guest"
	expect_equal "$1" "$?" "$2"
	exec 9>&-
}

guest_start
kill "$guest"
guest_end "SIGTERM has a guest shut down" 0
expect_status 0 "its disk is sound" e2fsck -fn "$WORK/data"
expect_equal "and unmounted" "$(dumpe2fs -h "$WORK/data" 2>/dev/null | grep -c needs_recovery)" 0

guest_start
kill -HUP "$guest"
sleep 1
expect_status 0 "after SIGHUP it takes its time" kill "$guest"
guest_end "which a second signal cuts short" 143
finish
