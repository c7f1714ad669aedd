#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Our own kernel with ACPI, where `make linux-guest` has made it.
# shellcheck source=tests/tcg/stock.sh
. tests/tcg/stock.sh
if [ ! -e build/tcg/full/vmlinuz ]; then
	skip "vmlinux-full as a guest" "it is not there: make linux-guest"
	finish
fi
stock build/tcg/full 6 'VMGenID-driver drivers/vmgenid/THAW0001:00'
