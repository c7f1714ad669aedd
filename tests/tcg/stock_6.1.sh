#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Debian's cloud kernel 6.1 as a guest. It has no driver for VMGenID.
# shellcheck source=tests/tcg/stock.sh
. tests/tcg/stock.sh
stock build/tcg/6.1 0 'power-button ACPI: button: Power Button \[PWRB\]'
