# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# refusal.sh - sourced by tests/tcg/{crossing,tcg}.sh after tests/e2e.sh: what may become of an
# image of `tiny` on another host than its own.

kvm_kind() { # IMAGE
	jq -r .host.kvm "$1/manifest.json"
}

expect_answer() { # NAME IMAGE
	expect_match "$1" "$("$THAW" run --payload thaw "$2" 2>&1)" '^tiny 1 [0-9a-f]{8}: waht$'
}

# Of another kind of KVM, it is refused with both kinds' names. Of the same kind, CPU and TSC
# decide: refused with a reason, or the right answer.
expect_fitting() { # NAME IMAGE IMAGE_OF_THIS_HOST
	theirs=$(kvm_kind "$2") ours=$(kvm_kind "$3")
	if [ "$theirs" = "$ours" ] && "$THAW" run "$2" >/dev/null 2>&1; then
		expect_answer "$1: answers" "$2"
		return
	fi
	reason=
	[ "$theirs" = "$ours" ] || reason="KVM kind is $theirs, here $ours"
	expect_status 1 "$1: is refused" "$THAW" run --payload thaw "$2"
	expect_match "$1: and why" "$(cat "$E2E_ERR")" "does not fit this host: .*$reason"
	expect_equal "$1: in one line" "$(wc -l <"$E2E_ERR" | tr -d ' ')" 1
}
