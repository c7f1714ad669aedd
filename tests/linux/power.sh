#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The power button of a Linux machine: SIGTERM to `thaw boot`, with the kernel that has ACPI. Where ring 0 is
# emulated that one takes minutes to boot; what else a signal does is asked by tests/test_power.c.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
LINUX_KERNELS=vmlinux-full need_linux initramfs.cpio tiny.erofs
need_program mkfs.ext4
BOOT_MS=$((900000 * SLOW))

truncate -s 16M "$WORK/data"
mkfs.ext4 -q "$WORK/data"
mkfifo "$WORK/line"

# Its shell minds neither of init's signals. timeout(1) sends SIGTERM twice, at once: one press.
: >"$WORK/shown"
timeout -k 60 $((BOOT_MS / 1000)) "$THAW" boot --kernel "$LINUX/vmlinux-full" --rootfs "$LINUX/tiny.erofs" --drive data="$WORK/data" \
	/bin/sh -c 'trap "" TERM HUP; echo kept >/data/file; echo READY; while :; do sleep 1; done' \
	<"$WORK/line" >"$WORK/shown" 2>&1 &
guest=$!
exec 9>"$WORK/line"
expect_status 0 "a guest is up" wait_for "$WORK/shown" READY
kill "$guest"
wait "$guest"
expect_equal "SIGTERM has it shut down" "$?" 0
exec 9>&-
expect_status 0 "its disk is sound" e2fsck -fn "$WORK/data"
expect_equal "and unmounted" "$(dumpe2fs -h "$WORK/data" 2>/dev/null | grep -c needs_recovery)" 0
finish
