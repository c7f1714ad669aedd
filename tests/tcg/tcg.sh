#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tcg.sh - boot emulated machines, hand out the tests among them and report each as one of ours;
# an image made here is tried there, and one made there is tried here. Run by `make test-tcg`.
#
#	TCG_DIR		holds base.cpio, vmlinuz; gets console-N.log and results-N.log
#	TCG_TESTS	the test programs to run inside
#	TCG_APPEND	more for the kernel's command line
#	TCG_LIMIT_S	a machine's whole time in seconds
#
# Two machines of one processor each, not one of two: QEMU 7.2 with two CPU threads loses a guest's
# guest now and then, runs breakpoints that Linux has already taken out of its code, or dies.
# A machine's console is in console-N.log while it runs. Where it breaks, that is shown.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/tcg/refusal.sh
. tests/tcg/refusal.sh

: "${TCG_DIR:?}" "${TCG_TESTS:?}"
limit_s=${TCG_LIMIT_S:-480}
machines='1 2'

outer_image() { # an image made on this host, where it can make one
	have_kvm || return 1
	expect_status 0 "an image is made outside" "$THAW" build -o "$WORK/src/outer" "$GUEST/tiny"
}

# What differs from run to run, as a second archive behind the first.
pack_run() {
	mkdir -p "$WORK/src" "$WORK/taken"
	outer_image
	(cd "$WORK" && find src | cpio --quiet -o -H newc -R 0:0) >"$WORK/run.cpio"
	cat "$TCG_DIR/base.cpio" "$WORK/run.cpio" >"$WORK/all.cpio"
}

# EPYC is QEMU's model with SVM and AVX that works. TCG's clock is the host's: the TSC is good,
# but nothing in its CPUID says so, and KVM is to forgive what emulation makes of its rate.
boot() { # MACHINE: its second serial port is standard input and output
	timeout --foreground -k 5 "$limit_s" qemu-system-x86_64 -nodefaults -no-user-config -no-reboot \
		-M q35 -accel tcg,tb-size=512 -cpu EPYC -m 3072 \
		-display none -serial "file:$TCG_DIR/console-$1.log" -serial stdio \
		-device isa-debug-exit,iobase=0xf4,iosize=1 \
		-kernel "$TCG_DIR/vmlinuz" -initrd "$WORK/all.cpio" \
		-append "console=ttyS0 loglevel=3 panic=-1 mitigations=off tsc=reliable \
kvm.tsc_tolerance_ppm=100000 ${TCG_APPEND:-}" 2>"$WORK/qemu-$1.log"
	echo $? >"$WORK/status-$1"
}

# A test that no machine has taken yet, or END.
next_test() {
	for test in $TCG_TESTS; do
		mkdir "$WORK/taken/${test##*/}" 2>/dev/null && break
		test=END
	done
	echo "$test"
}

# What a machine says at its port: it wants a test (tests/tcg/worker.sh), or reports.
serve() { # MACHINE
	while read -r line; do
		case $line in
		NEXT) next_test ;;
		*) echo "$line" >&3 ;;
		esac
	done 3>"$TCG_DIR/results-$1.log"
}

run_machine() { # MACHINE
	mkfifo "$WORK/tests-$1"
	exec 4<>"$WORK/tests-$1"
	boot "$1" <&4 | serve "$1" >&4
}

# RESULT NAME ok|fail|skip REASON, or NOTE TEXT
report() {
	sed -n 's/^NOTE /# note: /p' "$WORK/results"
	while read -r word name verdict reason; do
		case $word-$verdict in
		RESULT-ok) ok "$name" ;;
		RESULT-skip) skip "$name" "$reason" ;;
		RESULT-fail) not_ok "$name" "$reason" ;;
		esac
	done <"$WORK/results"
}

inner_image() { # of tests/tcg/crossing.sh
	[ -d "$WORK/taken/crossing.sh" ] || return
	if ! grep -q '^IMAGE ' "$WORK/results"; then
		not_ok "the emulated host's image arrives outside"
		return
	fi
	sed -n 's/^IMAGE //p' "$WORK/results" | base64 -d | tar -C "$WORK" -xz
	if [ -d "$WORK/src/outer" ]; then
		expect_fitting "the emulated host's image outside" "$WORK/inner" "$WORK/src/outer"
	else
		skip "the emulated host's image outside" "no usable /dev/kvm outside"
	fi
}

pack_run
for n in $machines; do
	run_machine "$n" &
done
wait
cat "$TCG_DIR"/results-*.log >"$WORK/results"
report
inner_image
for n in $machines; do
	# isa-debug-exit: 1 is a status of 0 written to it; 0 is an end without a report.
	expect_equal "emulated machine $n ends with all its tests passed (QEMU's exit status)" \
		"$(cat "$WORK/status-$n")" 1
done
# shellcheck disable=SC2154 # of tests/e2e.sh
if [ "$e2e_failed" -ne 0 ]; then
	grep -hv "TCG doesn't support requested feature" "$WORK"/qemu-*.log >&2
	cat "$TCG_DIR"/console-*.log >&2
fi
finish
