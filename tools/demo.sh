#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh - build images of the sample functions, answer real events with machines restored
# from them, and say how long that took on this host. Run by `make demo`; needs /dev/kvm.
#
# RUNS=200: restores per function that the percentiles are taken of.
set -eu
thaw=bin/thaw
guest=build/guest
images=build/images
runs=${RUNS:-200}
query='select count(*), sum(amount) from orders where region=7'

[ -x $thaw ] || {
	echo "demo: no $thaw here: run 'make demo'" >&2
	exit 1
}
if ! { [ -c /dev/kvm ] && (exec 3<>/dev/kvm) 2>/dev/null; }; then
	echo "demo: cannot open /dev/kvm: this needs a host with KVM, and the right to use it" >&2
	exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

build() { # FUNCTION
	rm -rf "${images:?}/$1"
	$thaw build --json -o "$images/$1" "$guest/$1" >"$scratch/build.json" 2>"$scratch/log" || {
		cat "$scratch/log" >&2
		exit 1
	}
	jq -r 'def mib: . / 1048576 * 10 | round / 10 | tostring + " MiB";
		"  boot + init    \(.ready_ms | round) ms, once",
		"  image          \(.image_size_bytes | mib) for " +
		"\(.nonzero_size_bytes | mib) of memory that is not zero"' "$scratch/build.json"
}

# The same event, RUNS times, each in a machine of its own restored from the image.
measure() { # FUNCTION TIER EVENT
	$thaw run --json -n "$runs" --tier "$2" --payload "$3" "$images/$1" \
		>/dev/null 2>"$scratch/run.json" || {
		cat "$scratch/run.json" >&2
		exit 1
	}
	echo "  $runs restores, tier $2, microseconds since the request was accepted:"
	printf '    %-20s %10s %10s %10s\n' stamp p50 p90 p99
	jq -r '.stamps | to_entries[] | [.key, (.value | .p50_us, .p90_us, .p99_us)] | @tsv' \
		"$scratch/run.json" | awk -F '\t' '{
			printf "    %-20s %10.0f %10.0f %10.0f\n", $1, $2, $3, $4 }'
}

answer() { # FUNCTION EVENT
	echo "  event          $2"
	echo "  reply          $($thaw run --payload "$2" "$images/$1" 2>/dev/null)"
}

mkdir -p $images
echo "echo: replies with the event"
build echo
answer echo 'hello from a thawed machine'
measure echo map hello

echo
echo "sql: SQLite with a table of 200,000 orders, filled at init"
build sql
answer sql "$query"
sqlite3 "$scratch/orders.db" <build/orders.sql
sqlite3 -json "$scratch/orders.db" "$query" >"$scratch/wanted"
$thaw run --payload "$query" $images/sql 2>/dev/null | cmp - "$scratch/wanted"
echo "  the sqlite3 program answers the same for the same table"
measure sql map 'select * from orders where id=123456'

cat <<EOF

Your own program: any static Linux program that reads events from descriptor 3 and writes
replies to descriptor 4 (README.md, "First five minutes"):
  gcc -static -O2 -o hello hello.c
  $thaw build -o hello.image hello
  $thaw run --payload world hello.image
EOF
