#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bars.sh - thawd's times against what is promised of them: a table. `make bench-thawd`.
#
# What is compared is measured in one run, in turn, ROUNDS=3 times (at a fixed rate three times as
# often); the median of each counts.
# The host should have nothing else to do: the loads, thawd and the machines share its processors.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/thawd/daemon.sh
. tests/thawd/daemon.sh
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-3}
port=$((20000 + $$ % 20000))

median() { # NAME: of the values in $WORK/series/NAME
	sort -n "$WORK/series/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

note() { # NAME VALUE
	echo "$2" >>"$WORK/series/$1"
}

of() { # KEY: of the last load
	jq ".$1" "$WORK/last"
}

http() { # [OPTION]...: a load over TCP; it must be all right
	"$LOAD" --to "127.0.0.1:$port" "$@" >"$WORK/last" || {
		cat "$WORK/last" >&2
		exit 1
	}
	[ "$(of errors)" = 0 ] || cat "$WORK/last" >&2
}

calculate() { # EXPRESSION
	awk "BEGIN { print $1 }"
}

row() { # WHAT FOUND BAR UNIT [<= or >=]
	kept=$(calculate "($2 ${5:-<=} $3) ? \"yes\" : \"NO\"")
	printf '| %-66s | %10.1f | %10.1f | %-3s | %-3s |\n' "$1" "$2" "$3" "$4" "$kept"
}

if ! have_kvm; then
	echo "bench-thawd: no usable /dev/kvm" >&2
	exit 1
fi
mkdir "$WORK/series"
image echo "$GUEST/echo"
image keeper "$GUEST/tests/keeper"
thawd_start --slots 1000 --memory 1024G --listen "127.0.0.1:$port" || {
	cat "$WORK/thawd.log" >&2
	exit 1
}
for name in light busy calm flood; do
	put $name echo
done
for i in $(seq 24); do
	put "cold$i" echo
done
put wide keeper '"timeout_ms": 30000'
put brief echo '"idle_timeout_ms": 1'

# ---- one request after the other, and as many as it takes ----

http --function light --function busy --requests 200 # they have machines, and those their pages
for _ in $(seq "$rounds"); do
	http --function light --connections 1 --rate 100 --seconds "$seconds"
	note light "$(of p50_us)"
	http --path /thaw/constant --expect '{}' --connections 8 --seconds "$seconds"
	note constant "$(of per_second)"
	"$THAW" run --tier warm -n 1000 --payload '"keep"' --json "$WORK/echo" >/dev/null 2>"$WORK/warm"
	note warm_us "$(jq .stamps.released.p50_us "$WORK/warm")" # the rewind is part of it
	http --function busy --connections 8 --seconds "$seconds"
	note busy "$(of per_second)"
done
bound=$(calculate "1e6 / (1e6 / $(median constant) + $(median warm_us))")
# Of the rate that is promised, not of what was found: else, whoever is faster is asked for more.
half=$(calculate "int(0.6 * $bound / 2)")
# Whatever else a host does for some milliseconds a second is most of what a p99 sees.
for _ in $(seq $((3 * rounds))); do
	http --path /thaw/constant --expect '{}' --connections 8 --rate "$half" --seconds "$seconds"
	note constant_p99 "$(of p99_us)"
	http --function busy --connections 8 --rate "$half" --seconds "$seconds"
	note busy_p99 "$(of p99_us)"
done

# ---- machines that are not there yet ----

# One request each.
cold=$(seq 24 | sed 's/^/--function cold/')
# shellcheck disable=SC2086 # a list of options
http $cold --requests 24
note cold "$(of p50_us)"
http --function brief --rate 10 --requests 30
note brief "$(of p50_us)"
http --function wide --verb 'nap 1000' --connections 200 --requests 200
note wide "$(calculate "$(of max_us) / 1000 - 1000")"

# ---- beside a flood ----

http --function calm --connections 4 --rate 100 --requests 300
for _ in $(seq "$rounds"); do
	http --function calm --connections 4 --rate 100 --seconds "$seconds"
	note calm "$(of p99_us)"
	"$LOAD" --to "unix:$SOCKET" --function flood --connections 64 --seconds $((seconds + 1)) >"$WORK/flood" &
	flooder=$!
	sleep 0.5
	http --function calm --connections 4 --rate 100 --seconds "$seconds"
	note flooded "$(of p99_us)"
	wait $flooder
done

# ---- the table ----

printf '| %-66s | %10s | %10s | %-3s | %-3s |\n' what found bar "" kept
printf '|%s|%s|%s|%s|%s|\n' "$(printf -- '-%.0s' $(seq 68))" ------------ ------------ ----- -----
row "echo, rewound, kept alive, 100/s: p50" "$(median light)" 500 us
row "echo, 8 connections (0.6 / (t_http + t_warm + t_rewind) is the bar)" "$(median busy)" \
	"$(calculate "0.6 * $bound")" 1/s '>='
row "echo at $half/s: p99 (3 times that of a constant, and 1 ms)" "$(median busy_p99)" \
	"$(calculate "3 * $(median constant_p99) + 1000")" us
row "a function that was never asked, first reply: p50 of 24" "$(median cold)" 8000 us
row "a function whose machines have gone: p50 of 30" "$(median brief)" 8000 us
row "from 0 to 200 at once: the last one's wait" "$(median wide)" 1000 ms
row "100/s beside a flood of 64: p99 (2 times that without, and 2 ms)" "$(median flooded)" \
	"$(calculate "2 * $(median calm) + 2000")" us
echo
printf 'constant: %.0f/s, 8 connections; warm start and rewind in one process: %.1f us\n' \
	"$(median constant)" "$(median warm_us)"

# ---- another one's opinion ----

if command -v wrk >/dev/null; then
	echo 'wrk.method = "POST"; wrk.body = "\"keep\""' >"$WORK/post.lua"
	for path in /thaw/constant /2015-03-31/functions/busy/invocations; do
		wrk -t 1 -c 8 -d "${seconds}s" -s "$WORK/post.lua" --latency "http://127.0.0.1:$port$path" |
			awk -v path=$path '/ 50%| 99%/ { at[$1] = $2 } /^Requests/ { n = $2 } /Non-2xx/ { bad = ", " $0 }
				END { printf "wrk %s: %s/s, p50 %s, p99 %s%s\n", path, n, at["50%"], at["99%"], bad }'
	done
fi
