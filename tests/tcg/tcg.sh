#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tcg.sh - boot the emulated machine once and report each of its tests as one of ours; an image
# made here is tried there, and one made there is tried here. Run by `make test-tcg`.
#
#	TCG_DIR		holds base.cpio, vmlinuz; gets console.log and results.log
#	TCG_TESTS	the test programs to run inside
#	TCG_APPEND	more for the kernel's command line
#	TCG_LIMIT_S	the machine's whole time in seconds
#
# The machine's console is in console.log while it runs. Where it breaks, that is shown.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/tcg/refusal.sh
. tests/tcg/refusal.sh

: "${TCG_DIR:?}" "${TCG_TESTS:?}"
limit_s=${TCG_LIMIT_S:-400}
console=$TCG_DIR/console.log results=$TCG_DIR/results.log

outer_image() { # an image made on this host, where it can make one
	have_kvm || return 1
	expect_status 0 "an image is made outside" "$THAW" build -o "$WORK/src/outer" "$GUEST/tiny"
}

# What differs from run to run, as a second archive behind the first.
pack_run() {
	mkdir -p "$WORK/src"
	echo "$TCG_TESTS" >"$WORK/src/tests.list"
	outer_image
	(cd "$WORK" && find src | cpio --quiet -o -H newc -R 0:0) >"$WORK/run.cpio"
	cat "$TCG_DIR/base.cpio" "$WORK/run.cpio" >"$WORK/all.cpio"
}

# EPYC is QEMU's model with SVM and AVX that works. TCG's clock is the host's: the TSC is good,
# but nothing in its CPUID says so, and KVM is to forgive what emulation makes of its rate.
boot() {
	: >"$results"
	timeout -k 5 "$limit_s" qemu-system-x86_64 -nodefaults -no-user-config -no-reboot \
		-M q35 -accel tcg,thread=multi,tb-size=512 -cpu EPYC -smp 2 -m 3072 \
		-display none -serial "file:$console" -serial "file:$results" \
		-device isa-debug-exit,iobase=0xf4,iosize=1 \
		-kernel "$TCG_DIR/vmlinuz" -initrd "$WORK/all.cpio" \
		-append "console=ttyS0 loglevel=3 panic=-1 mitigations=off tsc=reliable \
kvm.tsc_tolerance_ppm=100000 ${TCG_APPEND:-}" 2>"$WORK/qemu.log" </dev/null
}

# RESULT NAME ok|fail|skip REASON
report() {
	while read -r word name verdict reason; do
		case $word-$verdict in
		RESULT-ok) ok "$name" ;;
		RESULT-skip) skip "$name" "$reason" ;;
		RESULT-fail) not_ok "$name" "$reason" ;;
		esac
	done <"$results"
}

inner_image() {
	if ! grep -q '^IMAGE ' "$results"; then
		not_ok "the emulated host's image arrives outside"
		return
	fi
	sed -n 's/^IMAGE //p' "$results" | base64 -d | tar -C "$WORK" -xz
	if [ -d "$WORK/src/outer" ]; then
		expect_fitting "the emulated host's image outside" "$WORK/inner" "$WORK/src/outer"
	else
		skip "the emulated host's image outside" "no usable /dev/kvm outside"
	fi
}

# QEMU 7.2 dies of SIGSEGV now and then, its two CPUs being two threads: that says nothing about
# the tests, so the machine gets another chance, twice.
boot_patiently() {
	for _ in 1 2 3; do
		boot
		status=$?
		[ $status -eq 139 ] || return
		echo "# QEMU itself died of SIGSEGV; $(grep -c ^RESULT "$results") tests were done"
	done
}

pack_run
boot_patiently
report
inner_image
# isa-debug-exit: 1 is a status of 0 written to it; 0 is an end without a report.
expect_equal "the emulated machine ends with all tests passed (QEMU's exit status)" "$status" 1
# shellcheck disable=SC2154 # of tests/e2e.sh
if [ "$e2e_failed" -ne 0 ]; then
	grep -v "TCG doesn't support requested feature" "$WORK/qemu.log" >&2
	cat "$console" >&2
fi
finish
