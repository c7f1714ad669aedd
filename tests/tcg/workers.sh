#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# workers.sh RESULTS TEST... - run tests on both processors of the emulated machine: each takes
# the next test that nobody has taken. What one prints stays together; what tests/run.sh reports
# goes to the file RESULTS. Exit status 1 if any failed. Run by tests/tcg/init.
set -u
results=$1
shift
taken=$(mktemp -d) || exit 1

# QEMU 7.2 with two CPU threads loses a guest's guest now and then: a triple fault in any test, in
# one of some thousand machines. A program that fails is run once more, and both are shown.
try() { # TEST
	rm -f "$dir/results"
	RESULTS=$dir/results SHOW_SKIPS=1 REQUIRE_KVM=1 sh tests/run.sh "$1" >"$dir/log" 2>&1
}

work() { # TEST...
	for test; do
		dir=$taken/${test##*/}
		mkdir "$dir" 2>/dev/null || continue
		try "$test" || { cat "$dir/log" && echo "  once more:" && try "$test"; } ||
			touch "$taken/failed"
		cat "$dir/log"
		cat "$dir/results" >>"$results"
	done
}
work "$@" &
work "$@"
wait
[ ! -e "$taken/failed" ]
