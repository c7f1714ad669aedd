#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# disk.sh - writes each event to the disk on /data, flushes it, and replies with what the disk holds
# then. dd is what a shell has for one read(2) of a descriptor: each event has to be one.
set -eu
while dd of=/tmp/event bs=6291456 count=1 <&3 2>/dev/null; do
	dd if=/tmp/event of=/data/event conv=fsync 2>/dev/null
	echo 1 >/proc/sys/vm/drop_caches
	dd if=/data/event bs=6291456 2>/dev/null >&4
done
