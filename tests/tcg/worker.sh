#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# worker.sh PORT - in the emulated machine: ask at the serial PORT for a test, run it, and so on
# until there is none. PORT takes what tests/run.sh reports too. Exit status 1 if any failed. Run
# by tests/tcg/init; tests/tcg/tcg.sh answers.
set -u
exec 3<>"$1" # kept open: a port that nobody has open forgets what is on its way
status=0
while echo NEXT >&3 && read -r test <&3 && [ "$test" != END ]; do
	RESULTS=$1 SHOW_SKIPS=1 REQUIRE_KVM=1 sh tests/run.sh "$test" || status=1
done
exit $status
