#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Working sets as a user meets them: what build records, with which events, what inspect shows,
# and that an image without one is as good as any other.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh

expect_status 2 "usage: too many record runs" "$THAW" build -o x --record-runs 101 prog
expect_status 2 "usage: record runs that are no number" "$THAW" build -o x --record-runs some prog
expect_status 2 "usage: inspect --png without a file" "$THAW" inspect --png
need_kvm

# shellcheck disable=SC2317 # expect_status calls it
build() { # IMAGE [ARG]...
	image=$1
	shift
	"$THAW" build --no-sync --json -o "$WORK/$image" "$@"
}

counts() { # of the last build
	jq -c '.working_set | del(.touched_pages, .always_pages, .dirtied_pages)' "$E2E_OUT"
}

pages() { # IMAGE KEY
	"$THAW" inspect --json "$WORK/$1" | jq ".working_set.$2"
}

# ---- by default ----

expect_status 0 "build records" build touch "$GUEST/tests/touch"
expect_equal "three starts" "$(counts)" '{"record_runs":3}'
expect_equal "nothing is said of it on stderr" "$(cat "$E2E_ERR")" ""
expect_equal "a member of the image" "$(cd "$WORK/touch" && echo *)" \
	"manifest.json memory.lz4 state.bin wset.bin"
expect_equal "inspect shows the same" "$(pages touch record_runs)" 3
expect_equal "the runs have all pages" "$("$THAW" inspect --json "$WORK/touch" |
	jq '.working_set | (.runs | map(.pages) | add) == .touched_pages')" true
expect_equal "every start touches some, writes to some of them" "$("$THAW" inspect --json \
	"$WORK/touch" | jq '.working_set | .always_pages <= .touched_pages and
	.dirtied_pages < .touched_pages and .dirtied_pages > 0')" true
expect_status 0 "inspect as text" "$THAW" inspect "$WORK/touch"
expect_match "inspect as text: the line" "$(cat "$E2E_OUT")" \
	'^starts +3 recorded: [0-9]+ pages touched, [0-9]+ of them by every start, [0-9]+ written to'
expect_status 0 "verify" "$THAW" verify "$WORK/touch"
expect_equal "it answers" "$("$THAW" run --payload "r3 w5" "$WORK/touch" 2>/dev/null)" "touched 2"
expect_status 0 "text of build" "$THAW" build --no-sync -o "$WORK/text" "$GUEST/tests/touch"
expect_match "text of build: the line" "$(cat "$E2E_OUT")" \
	'a start touches [0-9]+ pages and writes to [0-9]+ of them; 3 starts recorded in '

# ---- with events ----

base=$(pages touch touched_pages)
printf 'r10 r11 w12 r13' >"$WORK/first"
printf 'r10 w13' >"$WORK/second"
expect_status 0 "two samples, two runs of each" build sampled --record-runs 2 \
	--sample "$WORK/first" --sample "$WORK/second" "$GUEST/tests/touch"
expect_equal "four starts" "$(counts)" '{"record_runs":4}'
more=$(pages sampled touched_pages)
expect_equal "at least four more pages than with an empty event" $((more >= base + 4)) 1
expect_equal "some only in two of four" "$(pages sampled 'runs | map(select(.seen == 2)) != []')" true
expect_equal "it answers" "$("$THAW" run --payload "w63" "$WORK/sampled" 2>/dev/null)" "touched 1"

# ---- without ----

expect_status 0 "no record runs" build none --record-runs 0 "$GUEST/tests/touch"
expect_equal "no working set" "$(jq .working_set "$E2E_OUT")" null
expect_equal "no member" "$(cd "$WORK/none" && echo *)" "manifest.json memory.lz4 state.bin"
expect_equal "inspect --json: null" "$("$THAW" inspect --json "$WORK/none" | jq .working_set)" null
expect_match "inspect as text" "$("$THAW" inspect "$WORK/none")" '^starts +not recorded'
expect_status 0 "an image replaces one with a working set" build touch --record-runs 0 \
	"$GUEST/tests/touch"
expect_equal "its wset.bin is gone" "$(cd "$WORK/touch" && echo *)" \
	"manifest.json memory.lz4 state.bin"

printf 'crash' >"$WORK/crash"
expect_status 0 "a guest that crashes on the sample is built all the same" build moody \
	--sample "$WORK/crash" "$GUEST/tests/moody"
expect_match "which is said" "$(cat "$E2E_ERR")" \
	"^thaw: $WORK/moody has no working set: record run 1 of 3: the program died of SIGSEGV"
expect_match "also in JSON" "$(jq -r .working_set.missing "$E2E_OUT")" '^record run 1 of 3: '
expect_equal "and works" "$("$THAW" run --payload hi "$WORK/moody" 2>/dev/null)" "moody: hi"
expect_status 1 "a sample that is not there" build x --sample "$WORK/missing" "$GUEST/echo"
expect_equal "a sample that is not there: one line" "$(cat "$E2E_ERR")" \
	"thaw: --sample: $WORK/missing: No such file or directory"

# As somebody who may use KVM, but not userfaultfd.
without_uffd() {
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount sh -c '[ ! -e /dev/userfaultfd ] || mount --bind /dev/null /dev/userfaultfd
		exec setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace "$@"' sh "$@"
}
name="without the right to userfaultfd"
if [ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null)" != 0 ]; then
	skip "$name" "vm.unprivileged_userfaultfd is set, or not there"
elif ! without_uffd true 2>/dev/null; then
	skip "$name" "it takes root, unshare and setpriv to give rights up"
else
	expect_status 0 "$name" without_uffd "$THAW" build --no-sync -o "$WORK/echo" "$GUEST/echo"
	expect_match "$name: which is said" "$(cat "$E2E_ERR")" \
		'has no working set: .*userfaultfd: not permitted: needs CAP_SYS_PTRACE'
	expect_equal "$name: it works" "$("$THAW" run --payload hi "$WORK/echo")" hi
fi

# ---- the picture ----

expect_status 0 "inspect --png" "$THAW" inspect --png "$WORK/map.png" "$WORK/sampled"
expect_equal "a PNG" "$(head -c 8 "$WORK/map.png" | od -An -tx1 | tr -d ' ')" 89504e470d0a1a0a
expect_match "and the text as always" "$(cat "$E2E_OUT")" '^image '
expect_status 1 "a picture that cannot be written" "$THAW" inspect --png "$WORK/no/map.png" \
	"$WORK/sampled"
expect_status 1 "a full disk" "$THAW" inspect --png /dev/full "$WORK/sampled"

# ---- damage ----

cp -r "$WORK/sampled" "$WORK/bad"
printf 'X' | dd of="$WORK/bad/wset.bin" bs=1 seek=70 conv=notrunc 2>/dev/null
expect_status 4 "a flipped byte" "$THAW" run --payload "r1" "$WORK/bad"
expect_match "a flipped byte: the file" "$(cat "$E2E_ERR")" '^thaw: .*/bad/wset.bin: sha256 is '
rm "$WORK/bad/wset.bin"
expect_status 4 "a missing file" "$THAW" verify "$WORK/bad"
finish
