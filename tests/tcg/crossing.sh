#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# crossing.sh - images that cross hosts: inside the emulated machine, the image that was made
# outside; and the image made here goes out (its files, as base64, to $RESULTS) for
# tests/tcg/tcg.sh to try there.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/tcg/refusal.sh
. tests/tcg/refusal.sh
need_kvm

expect_status 0 "an image is made under SVM" "$THAW" build -o "$WORK/inner" "$GUEST/tiny"
expect_answer "it answers there" "$WORK/inner"
expect_equal "its KVM kind" "$(kvm_kind "$WORK/inner")" svm
if [ -d outer ]; then
	expect_fitting "the outer host's image inside" outer "$WORK/inner"
else
	skip "the outer host's image inside" "no usable /dev/kvm outside"
fi
[ -z "${RESULTS:-}" ] || tar -C "$WORK" -cz inner | base64 | sed 's/^/IMAGE /' >"$RESULTS"
finish
