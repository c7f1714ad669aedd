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
truncate -s $((16 * mib)) "$WORK/data.disk"
mkfs.ext4 -q "$WORK/data.disk"
cp "$WORK/data.disk" "$WORK/kept.disk"
cksum "$WORK"/*.disk >"$WORK/cksums"

linux_build drives --drive "a=$WORK/a.disk,ro" --drive "b=$WORK/b.disk" "$GUEST/tests/drives"
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
there is no third|/dev/vdc size|No such file or directory
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

# ---- a file system ----

for text in 'of one clone' 'of another'; do
	expect_equal "a file $text" "$(run files "$text")" "$text"
done
expect_equal "on a disk that was written to at the boot" "$(run kept kept)" kept
expect_status 0 "which has a sound file system" e2fsck -fn "$WORK/kept.disk"
grep -v kept.disk "$WORK/cksums" >"$WORK/wanted"
cksum "$WORK"/[abd]*.disk >"$WORK/found"
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
with 1 "a drive that there is not" --drive "c=$WORK/moved"
one_line "a drive that there is not" "has no drive 'c'"
with 2 "no file" --drive a=
mv "$WORK/b.disk" "$WORK/elsewhere"
with 1 "a file that went away"
one_line "a file that went away" 'b.disk'
with 0 "is found where it is said to be" --drive "b=$WORK/elsewhere"
expect_equal "is that file" "$(cat "$E2E_OUT")" "from the file"
cp "$WORK/changed" "$WORK/b.disk"
with 1 "a file that was changed since"
one_line "a file that was changed since" 'b.disk'
finish
