#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One function in a Linux guest and in kindling, in turn, on a host that runs ring 0 as it is: the
# benchmark's own part of it, with our kernel for such hosts. Its figures are shown; no bar hangs on them.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

if [ ! -e build/tcg/full/vmlinuz ]; then
	skip "Linux beside kindling" "there is no vmlinux-full: make linux-guest"
	finish
fi

figures() { # SERIES
	jq -r --arg name "$1" 'def ms: . / 10 | round / 100;
		.series[$name] | "\(.p50 | ms) / \(.p90 | ms) / \(.p99 | ms) ms of \(.n)"' "$WORK/out/results.json"
}

mkdir "$WORK/linux"
ln -s "$PWD/build/tcg/full/vmlinuz" "$WORK/linux/vmlinux-full"
ln -s "$PWD/build/linux/initramfs.cpio" "$WORK/linux"
export THAW_LINUX="$WORK/linux"
expect_status 0 "Linux and kindling answer in turn" build/release/bench/main --quick --only linux \
	--thaw "$THAW" --guest "$GUEST" --out "$WORK/out" || cat "$E2E_ERR" >&2
for how in fresh warm; do
	linux=$(figures linux_${how}_us) kindling=$(figures kindling_${how}_us)
	expect_match "$how: figures of both" "$linux, $kindling" '^[0-9.]+ / .* ms of [0-9]+, [0-9.]+ / .* of [0-9]+$'
	note "$how, to response, p50 / p90 / p99: Linux $linux, kindling $kindling"
done
finish
