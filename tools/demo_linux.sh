#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo_linux.sh - boot Linux machines with sample functions, freeze them, answer from thawed clones, and
# say how long that took on this host. Run by `make demo-linux`; needs /dev/kvm and what `make
# linux-guest` builds.
#
# RUNS=20: thaws per function that the percentiles are taken of.
# THAW_LINUX=build/linux: where the kernels and file systems are.
set -eu
thaw=bin/thaw
linux=${THAW_LINUX:-build/linux}
images=build/images
runs=${RUNS:-20}
PATH=$PATH:/usr/sbin:/sbin

fail() { # WHY
	echo "demo: $1" >&2
	exit 1
}
[ -x $thaw ] || fail "no $thaw here: run 'make demo-linux'"
[ -e "$linux/debian.erofs" ] || fail "no $linux/debian.erofs here: run 'make linux-guest', as root"
command -v mkfs.ext4 >/dev/null || fail "no mkfs.ext4 here: install e2fsprogs"
if ! { [ -c /dev/kvm ] && (exec 3<>/dev/kvm) 2>/dev/null; }; then
	fail "cannot open /dev/kvm: this needs a host with KVM, and the right to use it"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

quietly() { # COMMAND...: what it says on standard error is shown when it fails
	"$@" 2>"$scratch/log" || {
		cat "$scratch/log" >&2
		exit 1
	}
}

build() { # NAME FUNCTION [OPTION]...
	name=$1 function=$2
	shift 2
	quietly $thaw build --linux --rootfs "$linux/debian.erofs" --json -o "$images/$name" "$@" \
		"/functions/$function" >"$scratch/build.json"
	jq -r 'def mib: . / 1048576 * 10 | round / 10 | tostring + " MiB";
		"  boot + init    \(.ready_ms | round) ms, once",
		"  image          \(.image_size_bytes | mib) for " +
		"\(.nonzero_size_bytes | mib) of memory that is not zero"' "$scratch/build.json"
}

answer() { # NAME EVENT: from a clone of its own
	quietly $thaw run --payload "$2" "$images/$1" >"$scratch/reply"
	echo "  event          $2"
	echo "  reply          $(cat "$scratch/reply")"
}

# The same event, each time in a machine that was thawed for it, or in one that is rewound. That
# replies differ, as those with the time do, is said behind the figures and no failure here.
measure() { # NAME TIER EVENT
	$thaw run --json -n "$runs" --tier "$2" --payload "$3" "$images/$1" \
		>/dev/null 2>"$scratch/run.log" || true
	grep '^{' "$scratch/run.log" >"$scratch/run.json" || {
		cat "$scratch/run.log" >&2
		exit 1
	}
	jq -r 'def ms: .p50_us / 10 | round / 100 | tostring + " ms";
		.emulated.p50 as $emulated | .stamps | .first_response as $reply | if .released then
			"  warm           \($reply | ms) to the reply, \(.released | ms) until it was rewound"
		else
			"  thaw           \($reply | ms) to the reply, of these \(.state | ms) until the guest runs"
		end + ", p50 of '"$runs"'", if $emulated then
			"  of the kernel  \($emulated) instructions, emulated by KVM"
		else empty end' "$scratch/run.json"
}

mkdir -p $images
echo "hello: a handler in Perl, in Debian"
build hello hello.pl
answer hello '{"name":"Linux"}'
measure hello map '{"name":"Linux"}'
measure hello warm '{"name":"Linux"}'

echo
echo "disk: writes the event to a file on an ext4 disk, flushes, and replies with what the disk holds"
truncate -s 16M "$scratch/data.ext4"
mkfs.ext4 -q "$scratch/data.ext4"
cksum "$scratch/data.ext4" >"$scratch/before"
build disk disk.sh --record-runs 0 --drive data="$scratch/data.ext4"
answer disk 'written in one clone'
answer disk 'written in another'
cksum "$scratch/data.ext4" | cmp - "$scratch/before"
echo "  the disk       is as it was: what clones write stays with them"

echo
echo "entropy: replies with random bytes of the kernel"
build entropy entropy.pl
answer entropy one
mv "$scratch/reply" "$scratch/first"
answer entropy another
if cmp -s "$scratch/first" "$scratch/reply"; then
	fail "two clones have the same random numbers"
fi
echo "  two clones     differ"

cat <<END

Your own program: a static one, or one in a root file system of yours (docs/linux.md):
  $thaw build --linux -o hello.image ./hello
  $thaw run --payload world hello.image
END
