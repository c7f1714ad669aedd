#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh PROGRAM... - run test programs one after the other and add up what they report.
#
# test_*	a Criterion program
# kvm_*		the same, one test at a time; without a usable /dev/kvm all its tests are skipped
# fuzz_*	a libFuzzer program: one test, SECONDS_EACH long
# *.sh		a script that writes TAP to standard output
#
# A program that died, ended early, ran nothing, or failed without naming a test is one more
# failure. Last line: `N passed, N failed, N skipped`; exit status 1 if any failed.
#
# REQUIRE_KVM=1: no usable /dev/kvm is a failure.  TEST_LIMIT_S: seconds per program.
# SHOW_SKIPS=1: name skipped tests and the reasons.  RESULTS=FILE: one line per test there,
# `RESULT PROGRAM/NAME ok|fail|skip REASON`, with _ for blanks in names, and `NOTE TEXT`.
set -u
limit_s=${TEST_LIMIT_S:-600}
seconds_each=${SECONDS_EACH:-10}

# A leak that LeakSanitizer finds when a test's process ends does not fail a Criterion test;
# an abort there does.
export ASAN_OPTIONS="${ASAN_OPTIONS:-abort_on_error=1:detect_leaks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export LC_ALL=C

# Tests leave nothing outside: temporary files and caches go here.
scratch=$(mktemp -d) || exit 1
export TMPDIR="$scratch/tmp" XDG_CACHE_HOME="$scratch/cache"
mkdir "$TMPDIR" "$XDG_CACHE_HOME"
tap=$scratch/tap log=$scratch/log
child=
trap 'rm -rf "$scratch"' EXIT
trap '[ -z "$child" ] || kill "$child"; exit 130' INT TERM HUP

# Where there is no such device, opening for writing would make a file of that name.
have_kvm() {
	[ -c /dev/kvm ] && (exec 3<>/dev/kvm) 2>/dev/null
}

# Run "$@" with the time limit. In the background, so that an interrupt of this script is
# handled at once; the shell makes such a job ignore SIGINT and SIGQUIT, which no test expects.
limited() {
	env --default-signal=INT,QUIT timeout -k 10 "$limit_s" "$@" >"$out" 2>"$log" </dev/null &
	child=$!
	wait "$child"
	status=$?
	child=
	return $status
}

# Criterion writes TAP to its own file. One test at a time: KVM tests would disturb each other's
# times, and with more Criterion 2.4.1 leaks 48 bytes of its own now and then, which
# LeakSanitizer cannot tell from a leak of ours.
run_criterion() { # PROGRAM
	out=$scratch/out
	limited "$1" -j1 --tap="$tap" --color=never
	status=$?
	cat "$out" >>"$log"
	return $status
}

skip_all() { # PROGRAM: one skipped test for each that it holds
	"$1" --list --ascii 2>"$log" | awk '
		/^[^|` ].*: [0-9]+ tests?$/ { n += $(NF - 1) }
		END { for (i = 0; i < n; i++) print "ok - # SKIP no usable /dev/kvm"; print "1.." n }
	' >"$tap"
}

run_plain() { # PROGRAM: its exit status is its result
	out=$scratch/out
	limited "$1"
	status=$?
	cat "$out" >>"$log"
	{
		echo 1..1
		[ $status -eq 0 ] || printf 'not '
		echo "ok - $(basename "$1")"
	} >"$tap"
	return $status
}

run_fuzzer() { # PROGRAM: new inputs go to the build folder, never to the committed corpus
	fuzzer=$(basename "$1")
	name=${fuzzer#fuzz_}
	dir=${1%/tests/fuzz/*}
	mkdir -p "$dir/corpus/$name" "$dir/found"
	set -- "$1" -max_total_time="$seconds_each" -timeout=10 -rss_limit_mb=1024 -verbosity=1 \
		-print_final_stats=1 -artifact_prefix="$dir/found/$name-" "$dir/corpus/$name"
	[ ! -d "tests/fuzz/corpus/$name" ] || set -- "$@" "tests/fuzz/corpus/$name"
	out=$scratch/out
	limited "$@"
	status=$?
	{
		echo 1..1
		[ $status -eq 0 ] || printf 'not '
		echo "ok - $fuzzer"
	} >"$tap"
	return $status
}

run_program() { # PROGRAM: fills $tap and $log
	: >"$tap"
	: >"$log"
	case $(basename "$1") in
	*.sh)
		out=$tap
		limited sh "$1"
		;;
	kvm_*)
		if have_kvm; then
			run_criterion "$1"
		else
			skip_all "$1"
		fi
		;;
	thread_*)
		if have_kvm; then
			run_plain "$1"
		else
			printf '1..1\nok - %s # SKIP no usable /dev/kvm\n' "$(basename "$1")" >"$tap"
		fi
		;;
	fuzz_*) run_fuzzer "$1" ;;
	*) run_criterion "$1" ;;
	esac
}

count_tap() { # prints: planned passed failed skipped
	awk '
		/^1\.\.[0-9]+/ { planned = substr($0, 4) + 0 }
		/^not ok/ { failed++; next }
		/^ok.*# SKIP/ { skipped++; next }
		/^ok/ { passed++ }
		END { print planned + 0, passed + 0, failed + 0, skipped + 0 }
	' "$tap"
}

# What is wrong with a program as a whole, or nothing.
program_fault() { # STATUS PLANNED PASSED FAILED SKIPPED
	total=$(($3 + $4 + $5))
	if [ "$1" -eq 124 ]; then
		echo "stopped after $limit_s s"
	elif [ "$1" -eq 137 ]; then
		echo "killed, by itself or for not ending in $limit_s s"
	elif [ "$1" -gt 128 ]; then
		echo "died of signal $(($1 - 128))"
	elif [ $total -eq 0 ]; then
		echo "ran nothing (exit status $1)"
	elif [ "$2" -ne $total ]; then
		echo "ended early, after $total tests (exit status $1)"
	elif [ "$1" -ne 0 ] && [ "$4" -eq 0 ]; then
		echo "exit status $1 though no test failed"
	fi
}

show_failures() {
	grep -E '^(not ok|# [^CR])' "$tap" | grep -v '^# note: ' | sed 's/^/    /'
	tail -n 100 "$log" | sed 's/^/    /'
}

show_notes() {
	sed -n 's/^# note: /    /p' "$tap"
}

show_skips() {
	sed -n 's/^ok - \(.*\)# SKIP *\(.*\)/    skipped: \1(\2)/p' "$tap"
}

write_results() { # PROGRAM FAULT
	awk -v program="$1" -v fault="$2" '
		function name() {
			sub(/^(not )?ok -? */, "")
			sub(/ *# SKIP.*/, "")
			sub(/ *\([0-9.]+s\)$/, "")
			gsub(/[ \t]/, "_")
			return program "/" $0
		}
		/^ok.*# SKIP/ { why = $0; sub(/.*# SKIP */, "", why); print "RESULT", name(), "skip", why; next }
		/^ok/ { print "RESULT", name(), "ok" }
		/^not ok/ { print "RESULT", name(), "fail" }
		sub(/^# note: /, "") { print "NOTE", $0 }
		END { if (fault) print "RESULT", program, "fail", fault }
	' "$tap" >>"$RESULTS"
}

passed=0 failed=0 skipped=0
if [ "${REQUIRE_KVM:-0}" != 0 ] && ! have_kvm; then
	echo "  REQUIRE_KVM is set, but /dev/kvm cannot be opened"
	failed=1
fi
if [ $# -eq 0 ]; then
	echo "  no test programs"
	failed=$((failed + 1))
fi
for program; do
	began=$(date +%s)
	run_program "$program"
	status=$?
	# shellcheck disable=SC2046 # four numbers
	set -- $(count_tap)
	fault=$(program_fault $status "$@")
	[ -z "$fault" ] || set -- "$1" "$2" "$(($3 + 1))" "$4"
	printf '  %-26s %4d s %4d passed%s%s\n' "$(basename "$program")" $(($(date +%s) - began)) \
		"$2" "$([ "$3" -eq 0 ] || echo ", $3 failed")" \
		"$([ "$4" -eq 0 ] || echo ", $4 skipped")"
	[ -z "$fault" ] || echo "    $program: $fault"
	[ "$3" -eq 0 ] || show_failures
	show_notes
	[ "${SHOW_SKIPS:-0}" = 0 ] || show_skips
	[ -z "${RESULTS:-}" ] || write_results "$(basename "$program")" "$fault"
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
