#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# echo.sh - replies with the event, and with nothing but a shell: one read(2) is one event.
set -eu
while dd bs=6291456 count=1 <&3 >&4 2>/dev/null; do
	:
done
