#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo_thawd.sh - start thawd in a temporary directory, add the sample functions, invoke them with
# `aws lambda invoke` and curl, say what came and how long it took, and stop it. Run by
# `make demo-thawd`; needs /dev/kvm.
#
# AWS=aws  PORT=9001: of 127.0.0.1
set -eu
thaw=bin/thaw
thawd=bin/thawd
guest=build/guest
aws=${AWS:-aws}
port=${PORT:-9001}
url=http://127.0.0.1:$port

[ -x $thawd ] || {
	echo "demo: no $thawd here: run 'make demo-thawd'" >&2
	exit 1
}
if ! { [ -c /dev/kvm ] && (exec 3<>/dev/kvm) 2>/dev/null; }; then
	echo "demo: cannot open /dev/kvm: this needs a host with KVM, and the right to use it" >&2
	exit 1
fi
scratch=$(mktemp -d)
pid=
stop() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || true
	[ -z "$pid" ] || wait "$pid" || true
	rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# Any will do: a loopback address asks for none, but the client wants to sign with something.
export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo AWS_DEFAULT_REGION=local

build() { # FUNCTION [ARGUMENT]...: of `thaw build`, its program last
	name=$1
	shift
	$thaw build --no-sync -o "$scratch/$name" "$@" >"$scratch/build.log" 2>&1 || {
		cat "$scratch/build.log" >&2
		exit 1
	}
}

add() { # FUNCTION
	curl -sS -f -o /dev/null -w "  $1 is added, %{time_total} s\n" -X PUT \
		-d "{\"image\": \"$scratch/$1\"}" "$url/thaw/functions/$1"
}

by_aws() { # FUNCTION EVENT
	printf '%s' "$2" >"$scratch/event"
	$aws lambda invoke --endpoint-url "$url" --function-name "$1" \
		--payload "fileb://$scratch/event" "$scratch/reply" >"$scratch/answer"
	echo "  \$ aws lambda invoke --endpoint-url $url --function-name $1 ..."
	echo "  event          $2"
	echo "  reply          $(cat "$scratch/reply")"
	echo "  answer         $(jq -c . "$scratch/answer")"
}

# Ten times over one connection: the first one finds no machine, or one that is cold.
by_curl() { # FUNCTION EVENT
	path=$url/2015-03-31/functions/$1/invocations
	set -- "$2"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		set -- "$@" -o "$scratch/reply" "$path"
	done
	event=$1
	shift
	curl -sS -d "$event" -w '%{time_starttransfer}\n' "$@" >"$scratch/times"
	sort -n "$scratch/times" | awk -v url="$path" '
		{ ms[NR] = $1 * 1000 }
		END { printf "  curl %s\n  10 times       best %.2f ms, median %.2f ms, worst %.2f ms\n", url, ms[1], ms[5], ms[10] }'
}

echo "thawd at $url, functions in a temporary directory"
$thawd --dir "$scratch/thawd" --listen "127.0.0.1:$port" --listen "unix:$scratch/socket" \
	>"$scratch/out" 2>"$scratch/log" &
pid=$!
until grep -q ready "$scratch/out"; do
	kill -0 $pid 2>/dev/null || {
		cat "$scratch/log" >&2
		exit 1
	}
	sleep 0.05
done

build echo $guest/echo
build sql $guest/sql
build lua --files guest/functions/lua $guest/lua /handler.lua
for name in echo sql lua; do
	add $name
done
while IFS='|' read -r name event; do
	echo
	echo "$name"
	by_aws "$name" "$event"
	by_curl "$name" "$event"
done <<'END'
echo|"hello from a thawed machine"
sql|select count(*), sum(amount) from orders where region=7
lua|{"text": "the ice thaws, and the machine that was frozen thaws with it", "top": 2}
END

echo
$aws lambda list-functions --endpoint-url "$url" |
	jq -r '"aws lambda list-functions: " + ([.Functions[].FunctionName] | join(", "))'
kill $pid
wait $pid
pid=
echo "thawd was told to stop, and ended well"
