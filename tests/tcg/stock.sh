# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# stock.sh - sourced by tests/tcg/stock_KERNEL.sh: a kernel that is no kernel for thaw, as
# distributions have them, boots as a guest, finds its devices, is frozen and thawed. Its user space
# is tests/tcg/stock_init: an event is a script, the reply what it prints.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

# What its kernel says of devices that the board has not.
NO_DEVICE='PCI: Fatal: No config space\|mce: Unable to init MCE device'

# Have clones of the image run $COMMAND.
clone() { # COMMAND [OPTION]...
	command=$1
	shift
	timeout -k 5 $((10 * SLOW)) "$THAW" run --payload "$command" "$@" "$WORK/image" 2>"$WORK/err"
}

stock_build() { # FOLDER: with vmlinuz and stock.cpio
	expect_status 0 "it boots, and is frozen" timeout -k 5 $((15 * SLOW)) "$THAW" build \
		--kernel "$1/vmlinuz" --initrd "$1/stock.cpio" --drive "disk=${1%/*}/disk.ext4,overlay" \
		--mem 192M --cmdline 'mitigations=off init_on_free=1' --record-runs 1 --no-sync \
		-o "$WORK/image" stock || {
		cat "$E2E_ERR" >&2
		finish
	}
}

# What its kernel says of each device of the board, and which drivers took them.
stock_devices() {
	# shellcheck disable=SC2016 # for the guest
	clone 'dmesg; cat /proc/interrupts; for d in /sys/bus/virtio/devices/*; do readlink $d/driver; done
		cat /sys/class/misc/hw_random/rng_available; ls /sys/bus/acpi/devices
		echo "vda is number $(cat /sys/block/vda/serial)"
		ls -d /sys/bus/platform/drivers/*/*:00 /sys/bus/acpi/drivers/*/*:00' >"$WORK/devices"
	while read -r name pattern; do
		[ -n "$name" ] || continue
		expect_match "it finds: $name" "$(cat "$WORK/devices")" "$pattern"
	done <<-EOF
		tables		ACPI: XSDT 0x.* THAW
		interpreter	ACPI: Interpreter enabled
		IOAPIC		IOAPIC\[0\]: apic_id 1, version 32, address 0xfec00000, GSI 0-23
		hypervisor	kvm-clock: Using msrs
		serial		ttyS0 at I/O 0x3f8 .* is a 16550A
		GED		IO-APIC +5-edge +ACPI:Ged
		virtio-blk	^[^ ]*/drivers/virtio_blk
		disk		\[vda\] 8192 512-byte logical blocks
		serial-number	^vda is number disk$
		virtio-rng	^virtio_rng.0
		virtio-console	^[^ ]*/drivers/virtio_console
		VMGenID		^THAW0001:00
		VMClock		AMZNC10C:00
		$1
	EOF
	expect_equal "AML without complaints" "$(grep -E 'ACPI.*(Error|Warning|BUG|BIOS)' "$WORK/devices")" ""
	expect_equal "no write to an MSR that is refused" "$(grep 'unchecked MSR' "$WORK/devices")" ""
}

# What a clone is asked: three lines.
# shellcheck disable=SC2016 # for the guest
PROBE='adjtimex | awk "/tv_sec/ { s = \$2 } /tv_usec/ { printf \"time %d.%06d\\n\", s, \$2 }"
awk "FNR == 1 { print \"uptime\", \$1 }" /uptime /proc/uptime
echo "random $(od -An -N16 -tx4 /dev/urandom)"
ls /disk; echo "${RANDOM}" >/disk/new; sync; echo 1 >/proc/sys/vm/drop_caches; cat /disk/new'

stock_clones() {
	began=$(date +%s.%N)
	clone "$PROBE" >"$WORK/one" && clone "$PROBE" >"$WORK/two"
	expect_equal "two clones answer" "$?" 0
	ended=$(date +%s.%N)
	expect_equal "they have different random numbers" \
		"$(grep -h ^random "$WORK/one" "$WORK/two" | sort -u | wc -l)" 2
	expect_equal "the wall clock is right in both" "$(awk -v began="$began" -v ended="$ended" '
		/^time/ { n++; if ($2 < began - 0.05 || $2 > ended + 0.05) print began, $2, ended }
		END { print n }' "$WORK/one" "$WORK/two")" 2
	expect_equal "uptime goes on" "$(awk '
		FNR == 1 { was = 0 }
		/^uptime/ { n++; if ($2 < was || was && $2 > was + 60) print was, $2; was = $2 }
		END { print n }' "$WORK/one" "$WORK/two")" 4
	expect_match "a file on the disk is read back" "$(tail -n 1 "$WORK/one")" '^[0-9]+$'
	expect_equal "no clone sees the other's" "$(grep -c '^new$' "$WORK/two")" 0
	clone 'echo a clone >/dev/console; sleep 1' >"$WORK/one"
	expect_match "what one prints on its console is shown" "$(cat "$WORK/err")" '^a clone'
}

stock_tiers() {
	for tier in lazy ready eager; do
		expect_match "tier $tier" "$(clone 'cat /disk/lost+found /proc/uptime' --tier $tier)" '^[0-9]+[.]'
	done
	clone 'echo a >>/disk/many; sync; cat /disk/many' --tier warm --verify -n 4 >"$WORK/warm"
	expect_equal "tier warm rewinds, and is as it was" "$?" 0 || cat "$WORK/err" >&2
}

serve() { # IMAGE
	rm -f "$WORK/socket"
	"$THAW" run --listen "$WORK/socket" "$1" 2>"$WORK/server" &
	server=$!
	for _ in $(seq $((50 * SLOW))); do
		[ -S "$WORK/socket" ] && return
		kill -0 "$server" 2>/dev/null || return
		sleep 0.1
	done
}

ask() { # COMMAND
	timeout -k 5 $((10 * SLOW)) "$THAW" run --connect "$WORK/socket" --payload "$1" 2>"$WORK/err"
}

leave() {
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
}

# Frozen and thawed five times, with a write on its way to the disk at each freeze.
stock_generations() { # MESSAGES: how many "crng reseeded" there are in the end
	image=$WORK/image
	for n in 1 2 3 4 5; do
		serve "$image"
		ask "echo $n >>/disk/log; awk 'FNR == 1 { print \$1 }' /proc/uptime" >>"$WORK/uptimes"
		timeout -k 5 $((10 * SLOW)) "$THAW" snapshot --no-sync -o "$WORK/generation$n" "$WORK/socket" \
			>/dev/null 2>&1 || not_ok "generation $n is frozen"
		leave
		image=$WORK/generation$n
	done
	serve "$image"
	expect_equal "after 5 generations the disk has it all" "$(ask 'cat /disk/log' | tr '\n' ' ')" "1 2 3 4 5 "
	expect_equal "uptime never went back" "$(sort -n "$WORK/uptimes")" "$(cat "$WORK/uptimes")"
	expect_equal "random numbers were made anew with each thaw" \
		"$(ask 'dmesg | grep -c "crng reseeded due to virtual machine fork"')" "$1"
	ticks=$(ask 'wc -l </ticks')
	expect_equal "timers go on" "$(ask "sleep 3; [ \$(wc -l </ticks) -ge $((${ticks:-0} + 2)) ]; echo \$?")" 0
	expect_equal "no complaints" "$(ask 'dmesg -r' | grep -E '^<[0-3]>' | grep -v "$NO_DEVICE")" ""
	ask 'umount /disk; cat /dev/vda' >"$WORK/disk"
	leave
	expect_status 0 "the file system is clean" e2fsck -f -n "$WORK/disk"
}

stock() { # FOLDER MESSAGES [DEVICE]: one more for stock_devices
	stock_build "$1"
	stock_devices "${3:-}"
	stock_clones
	stock_tiers
	stock_generations "$2"
	finish
}
