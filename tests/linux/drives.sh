#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Disks of Linux machines: read-only ones, what clones write to theirs, and which files they take.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/linux.sh
. tests/linux.sh
PATH=$PATH:/usr/sbin:/sbin
need_linux initramfs.cpio tiny.erofs
need_program mkfs.ext4

mib=1048576
size=$((8 * mib))
truncate -s $size "$WORK/a.disk" "$WORK/b.disk"
printf 'read only' | dd of="$WORK/a.disk" conv=notrunc status=none
printf 'from the file' | dd of="$WORK/b.disk" bs=4096 seek=1 conv=notrunc status=none
truncate -s $((4 * mib)) "$WORK/c.disk"
truncate -s $((16 * mib)) "$WORK/data.disk"
mkfs.ext4 -q "$WORK/data.disk"
cp "$WORK/data.disk" "$WORK/kept.disk"
cksum "$WORK"/*.disk >"$WORK/cksums"

linux_build drives --drive "a=$WORK/a.disk,ro" --drive "b=$WORK/b.disk" \
	--drive "c=$WORK/c.disk,ro,serial=number c,bytes=512K" "$GUEST/tests/drives"
linux_build files --record-runs 0 --rootfs "$LINUX/tiny.erofs" --drive "data=$WORK/data.disk" /functions/disk.sh
linux_build kept --record-runs 0 --rootfs "$LINUX/tiny.erofs" --drive "data=$WORK/kept.disk,rw" /functions/disk.sh

# ---- what can be wrong, meanwhile ----

one_line() { # NAME PATTERN: what went to stderr is one line, and says that
	expect_equal "$1: one line" "$(grep -c . "$E2E_ERR")" 1
	expect_match "$1: says why" "$(cat "$E2E_ERR")" "$2"
}

truncate -s 1000 "$WORK/odd"
while IFS='|' read -r status name pattern arguments; do
	# shellcheck disable=SC2086 # words are meant to be split
	expect_status "$status" "$name" "$THAW" build --linux -o "$WORK/no" $arguments "$GUEST/echo"
	one_line "$name" "$pattern"
done <<END
1|a file that is not there|No such file|--drive a=$WORK/none
1|a file that is a directory|neither a file nor a block device|--drive a=$WORK
1|half a sector|1000 bytes, not whole sectors|--drive a=$WORK/odd
1|a disk that others write to|use|--drive data=$WORK/kept.disk
2|a drive without a name|expected ID=FILE|--drive $WORK/a.disk
2|a drive without a file|expected ID=FILE|--drive a=
2|a name with a slash|expected ID=FILE|--drive a/b=$WORK/a.disk
2|a limit that is no number|ops is|--drive a=$WORK/a.disk,ops=some
2|a burst without a limit|burst above no limit|--drive a=$WORK/a.disk,bytes=0+1M
2|a serial number that is too long|21 bytes, expected 1 to 20|--drive a=$WORK/a.disk,serial=123456789012345678901
1|an option that there is not|a.disk,speed=9: No such file|--drive a=$WORK/a.disk,speed=9
2|two of one name|two drives are named a|--drive a=$WORK/a.disk --drive a=$WORK/b.disk
2|nine drives|more than 8|$(for i in 1 2 3 4 5 6 7 8 9; do printf -- '--drive d%s=%s/a.disk,ro ' $i "$WORK"; done)
END
linux_built drives files kept

# ---- reading and writing ----

while IFS='|' read -r name event want; do
	expect_equal "$name" "$(run drives "$event")" "$want"
done <<END
the size of a disk|/dev/vda size|$size ro
of one to write to|/dev/vdb size|$size rw
what is on it|/dev/vda read 0|read only
on the other one|/dev/vdb read 4096|from the file
a read-only one is not written to|/dev/vda write 0 no|Operation not permitted
the other one is|/dev/vdb write 4096 new|written
there is no fourth|/dev/vdd size|No such file or directory
a full disk|/dev/vdb fill x|$size No space left on device
END
linux_serve drives "$WORK/sock1"
one=$linux_server
linux_serve drives "$WORK/sock2"
two=$linux_server
ask "$WORK/sock1" '/dev/vdb write 4096 of one' >/dev/null
ask "$WORK/sock2" '/dev/vdb write 8192 of two' >/dev/null
expect_equal "what a clone writes it reads" "$(ask "$WORK/sock1" '/dev/vdb read 4096')" "of one"
expect_equal "the other one does not" "$(ask "$WORK/sock2" '/dev/vdb read 4096')" "from the file"
expect_equal "what the other one writes" "$(ask "$WORK/sock2" '/dev/vdb read 8192')" "of two"
expect_equal "it has alone" "$(ask "$WORK/sock1" '/dev/vdb read 8192')" ""
expect_status 0 "a machine that wrote is forked" "$THAW" snapshot --no-sync -o "$WORK/one" "$WORK/sock1"
ask "$WORK/sock1" '/dev/vdb write 4096 later' >/dev/null
expect_equal "its layer has what was written" "$(run one '/dev/vdb read 4096')" "of one"
expect_equal "and writes on" "$(run one '/dev/vdb write 0 more')" written
expect_status 0 "is verified" "$THAW" verify "$WORK/one"
expect_status 0 "is rewound" "$THAW" run --tier warm -n 5 --verify --payload '/dev/vdb write 4096 z' "$WORK/one"
expect_status 0 "is made flat" "$THAW" flatten --no-sync -o "$WORK/flat" "$WORK/one"
expect_equal "with what was written" "$(run flat '/dev/vdb read 4096')" "of one"
expect_equal "a full disk is read back" "$(ask "$WORK/sock1" '/dev/vdb fill y' >/dev/null
	ask "$WORK/sock1" '/dev/vdb read 8384512' | cut -c 1-5)" yyyyy
cp -r "$WORK/flat" "$WORK/damaged"
printf x | dd of="$WORK/damaged/disk1.bin" bs=1 seek=3000 conv=notrunc status=none
expect_status 4 "a byte of it that is another" "$THAW" run --payload '/dev/vdb read 4096' "$WORK/damaged"
one_line "a byte of it that is another" 'damaged/disk1.bin: blocks of a drive: sha256'
expect_status 4 "is found by verify" "$THAW" verify "$WORK/damaged"
one_line "is found by verify" 'damaged/disk1.bin: sha256'
cp -r "$WORK/one" "$WORK/torn"
printf x | dd of="$WORK/torn/disk1.bin" bs=1 seek=3000 conv=notrunc status=none
expect_status 4 "a damaged layer is not made flat" "$THAW" flatten --no-sync -o "$WORK/no" "$WORK/torn"
one_line "a damaged layer is not made flat" 'torn/disk1.bin: sha256'
kill "$one" "$two"
wait "$one" "$two"
expect_status 0 "rewinds take back what was written" \
	"$THAW" run --tier warm -n 10 --verify --payload '/dev/vdb write 4096 z' "$WORK/drives"
expect_status 0 "a whole disk of it" \
	"$THAW" run --tier warm -n 3 --verify --payload '/dev/vdb fill x' "$WORK/drives"
expect_equal "the next clone finds the file" "$(run drives '/dev/vdb read 4096')" "from the file"
expect_status 0 "shells have disks" "$THAW" run -n 4 --shells 2 --payload '/dev/vdb read 4096' "$WORK/drives"
expect_equal "with what is on them" "$(cat "$E2E_OUT")" "from the file"

# ---- what is counted ----

"$THAW" run --json --payload '/dev/vdb write 4096 new' "$WORK/drives" 2>"$WORK/json" >/dev/null
expect_equal "a write is counted" "$(jq -c '.devices["virtio-blk"][1] | [.writes > 0, .written_bytes > 0, .errors]' \
	"$WORK/json")" '[true,true,0]'
expect_equal "not on the other disk" "$(jq -c '.devices["virtio-blk"][0] | [.writes, .written_bytes]' "$WORK/json")" '[0,0]'
expect_equal "no device was violated" "$(jq '[.devices[][].violations] | add' "$WORK/json")" 0

# ---- serial numbers ----

"$THAW" inspect "$WORK/drives" >"$WORK/inspected"
expect_match "a drive's name is its serial number" "$(cat "$WORK/inspected")" 'drive +b, .*, serial b;'
expect_match "but for one that has another" "$(cat "$WORK/inspected")" \
	'drive +c, .*, serial number c, 524288 bytes each 1000 ms;'
serial=$(run drives '/sys/block/vdc/serial text')
if [ "$serial" = "No such file or directory" ]; then
	skip "the guest sees it" "its kernel has no sysfs"
else
	expect_equal "the guest sees it" "$serial" "number c"
fi

# ---- limits ----
# A request may take more than there is, and is paid for by the next one. One is 1 MiB at most: of 4 MiB at 512
# KiB a second, 512 KiB are there, 1 MiB is the last one, and what lies between takes 5 seconds.

sum=/dev/vdc\ sum
takes() { # SECONDS NAME COMMAND...: that many at least
	takes_s=$1 takes_name=$2 takes_from=$(date +%s%3N)
	shift 2
	expect_status 0 "$takes_name" "$@"
	expect_time "$takes_name takes its time" $((takes_s * 1000)) \
		$(($(date +%s%3N) - takes_from))
}

takes 5 "a limit in a clone" "$THAW" run --payload "$sum" "$WORK/drives"
takes 5 "in one from a shell" "$THAW" run --shells 1 --payload "$sum" "$WORK/drives"
takes 10 "in one that is rewound" "$THAW" run --tier warm -n 2 --verify --payload "$sum" "$WORK/drives"
takes 3 "another limit at a start" "$THAW" run --payload "$sum" --drive c=,bytes=0,ops=1 "$WORK/drives"
linux_serve drives "$WORK/sock3"
takes 5 "a limit in a machine that stays" ask "$WORK/sock3" "$sum"
expect_status 0 "which is forked" "$THAW" snapshot --no-sync -o "$WORK/slow" "$WORK/sock3"
linux_stop
takes 5 "a limit in its fork" "$THAW" run --payload "$sum" "$WORK/slow"
linux_serve drives "$WORK/sock4" --drive "c=$WORK/c.disk,bytes=1K+2K,ops=9"
expect_status 0 "one with limits of its start is forked" "$THAW" snapshot --no-sync -o "$WORK/slower" "$WORK/sock4"
linux_stop
expect_match "they are in the layer" "$("$THAW" inspect "$WORK/slower")" \
	'drive +c, .*, 1024 bytes \(and 2048 once\) each 1000 ms, 9 requests each 1000 ms;'
expect_status 6 "its clones have them" "$THAW" run --timeout 3000 --payload "$sum" "$WORK/slower"
expect_status 0 "unless a start takes them away" \
	"$THAW" run --timeout $((100000 * SLOW)) --payload "$sum" --drive c=,bytes=0,ops=0 "$WORK/slower"
# shellcheck disable=SC2016 # for the guest
expect_status 0 "a machine that boots reads a disk" boot --rootfs "$LINUX/tiny.erofs" \
	--drive "c=$WORK/c.disk,ro,bytes=512K" /bin/sh -c 'read from rest </proc/uptime
		cat /dev/vdb >/dev/null
		read to rest </proc/uptime
		echo "from ${from%.*} to ${to%.*}"'
expect_time "and takes its time" 5000 "$(tr -d '\r' <"$E2E_OUT" | awk '/^from/ { print ($4 - $2) * 1000 }')"

# ---- a file system ----

for text in 'of one clone' 'of another'; do
	expect_equal "a file $text" "$(run files "$text")" "$text"
done
expect_equal "on a disk that was written to at the boot" "$(run kept kept)" kept
expect_status 0 "which has a sound file system" e2fsck -fn "$WORK/kept.disk"
grep -v kept.disk "$WORK/cksums" >"$WORK/wanted"
cksum "$WORK"/[abcd]*.disk >"$WORK/found"
expect_same_file "files of clones' disks are never written to" "$WORK/found" "$WORK/wanted"

# ---- which file ----

with() { # STATUS NAME OPTION...: a start with these drives
	with_status=$1 with_name=$2
	shift 2
	expect_status "$with_status" "$with_name" "$THAW" run --payload '/dev/vdb read 4096' "$@" "$WORK/drives"
}

cp "$WORK/a.disk" "$WORK/moved"
cp "$WORK/b.disk" "$WORK/changed"
printf x | dd of="$WORK/changed" bs=1 seek=100 conv=notrunc status=none
truncate -s 4M "$WORK/short"
with 0 "the same bytes in another place" --drive "a=$WORK/moved"
with 1 "another disk of that size" --drive "a=$WORK/b.disk"
one_line "another disk of that size" 'drive a'
with 1 "one byte is another" --drive "b=$WORK/changed"
one_line "one byte is another" 'drive b'
with 1 "a shorter one" --drive "b=$WORK/short"
one_line "a shorter one" 'drive b'
with 1 "a drive that there is not" --drive "e=$WORK/moved"
one_line "a drive that there is not" "has no drive 'e'"
with 2 "no file" --drive a=
with 1 "a mode at a start is part of a name" --drive "a=$WORK/moved,ro"
one_line "a mode at a start is part of a name" 'moved,ro: No such file'
with 2 "a limit at a start that is none" --drive a=,ops=some
mv "$WORK/b.disk" "$WORK/elsewhere"
with 1 "a file that went away"
one_line "a file that went away" 'b.disk'
with 0 "is found where it is said to be" --drive "b=$WORK/elsewhere"
expect_equal "is that file" "$(cat "$E2E_OUT")" "from the file"
cp "$WORK/changed" "$WORK/b.disk"
with 1 "a file that was changed since"
one_line "a file that was changed since" 'b.disk'
finish
