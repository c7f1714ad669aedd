#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Debian's cloud kernel 6.12 as a guest.
# shellcheck source=tests/tcg/stock.sh
. tests/tcg/stock.sh
stock build/tcg/6.12 6 'power-button ACPI: button: Power Button \[PWRB\]
VMGenID-driver drivers/vmgenid/THAW0001:00'
