#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# thawd tried hard: machines die under load, functions look for each other's events, one function
# floods another, it is told to stop under load, and it is killed while it accepts events. Every reply
# is held against its request.
# `make soak-thawd` runs it at length:
#
# DRILL_SECONDS=10	load while a machine is killed every second
# DRILL_RUNS=4000	invocations of functions that look for events of others
# DRILL_FILLS=8		more that put theirs into every free page
# DRILL_STOPS=3		times that it is stopped under load, and that it begins anew
# DRILL_KILLS=5		times that it is killed
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
# shellcheck source=tests/thawd/daemon.sh
. tests/thawd/daemon.sh
need_kvm
need_program curl
seconds=${DRILL_SECONDS:-10} runs=${DRILL_RUNS:-4000} fills=${DRILL_FILLS:-8} stops=${DRILL_STOPS:-3}
kills=${DRILL_KILLS:-5}
all='--function f0 --function f1 --function f2 --function f3 --function f4 --function f5 --function f6
	--function f7'

image keeper "$GUEST/tests/keeper"
if ! thawd_start --slots 100; then
	not_ok "it starts" "$(cat "$WORK/thawd.log")"
	finish
fi
for i in 0 1 2 3 4 5 6 7; do
	put f$i keeper || not_ok "f$i is put"
done

expect_all_right() { # NAME COUNT: of the load in $E2E_OUT
	expect_equal "$1" "$(jq -c '[.sent, .right, .errors, .wrong, .lost, .stray]' "$E2E_OUT")" "[$2,$2,0,0,0,0]"
}

ended() { # how many invocations, as thawd counts them
	echo $(($(metric invocations_answered_total) + $(metric invocations_failed_total) +
		$(metric invocations_timed_out_total) + $(metric invocations_refused_total)))
}

# ---- functions look for events of others ----

# shellcheck disable=SC2086 # a list of options
expect_status 0 "nobody finds an event of another one" \
	load $all --connections 8 --size 4000 --requests "$runs" --verb keep
expect_all_right "in $runs invocations of 8 functions" "$runs"
# shellcheck disable=SC2086
expect_status 0 "nor in free pages" load $all --connections 2 --verb fill --requests "$fills" --patience 60
expect_all_right "in $fills invocations that fill all memory" "$fills"
# shellcheck disable=SC2086
expect_status 0 "nor does one that comes after them" \
	load $all --connections 8 --requests "$((runs / 4))"
expect_all_right "in $((runs / 4)) invocations" $((runs / 4))

# ---- machines die ----

kill_some() { # until $WORK/quiet is there: a random machine's process each second
	while [ ! -e "$WORK/quiet" ]; do
		victim=$(shells | shuf -n 1)
		[ -z "$victim" ] || { kill -9 "$victim" && echo "$victim" >>"$WORK/killed"; }
		sleep 1
	done 2>/dev/null
}

before=$(ended)
: >"$WORK/killed"
kill_some &
killer=$!
# shellcheck disable=SC2086
load $all --connections 64 --seconds $((seconds / 3 + 1)) >"$WORK/load.1"
rss_early=$(rss_kib $thawd_pid)
# shellcheck disable=SC2086
load $all --connections 64 --seconds $((seconds - seconds / 3)) >"$WORK/load.2"
rss_late=$(rss_kib $thawd_pid)
touch "$WORK/quiet"
wait $killer
jq -s '{sent: (map(.sent) | add), right: (map(.right) | add), errors: (map(.errors) | add),
	names: (map(.error_names | keys) | add | unique),
	bad: (map(.wrong + .lost + .stray) | add)}' "$WORK/load.1" "$WORK/load.2" >"$WORK/sum"
echo "# $(wc -l <"$WORK/killed") machines killed; $(jq -c . "$WORK/sum"); RSS $rss_early, $rss_late KiB"
expect_equal "under kills: no reply is wrong, lost or not asked for" "$(jq .bad "$WORK/sum")" 0
expect_equal "each has its reply or an error" "$(jq '.sent == .right + .errors' "$WORK/sum")" true
expect_equal "errors are of machines that died, no more than died" \
	"$(jq --argjson killed "$(wc -l <"$WORK/killed")" '.names - ["Runtime.ExitError"] == [] and
		.errors <= $killed' "$WORK/sum")" true
expect_equal "each was run once" "$(($(ended) - before))" "$(jq .sent "$WORK/sum")"
expect_equal "memory is flat" "$((rss_late < rss_early + rss_early / 10 + 1024))" 1
expect_equal "the account is that of the machines there are" \
	"$(($(metric memory_bytes) % $(metric machines)))" 0
expect_equal "processes: no more than machines, and some that wait" \
	"$(($(shells | wc -l) <= $(metric machines) + 64))" 1

# ---- one floods ----

put calm keeper
put flood keeper
load --function flood --connections 64 --seconds 4 --verb flood >"$WORK/flood" &
flooder=$!
expect_status 0 "beside a flood" load --function calm --connections 4 --rate 50 --requests 150
expect_all_right "another function is answered" 150
wait $flooder
expect_equal "and so is the flood" "$(jq '.sent == .right' "$WORK/flood")" true

# ---- it is stopped ----

# A request that comes when its connection is being closed is not answered, but it has not been run
# either, so that its client may ask again.
started() {
	cat "$WORK/thawd/logs/"*.log | grep -c ^START
}

lost=0
for _ in $(seq "$stops"); do
	thawd_stop
	rm -f "$WORK"/thawd/logs/*.log
	thawd_start --slots 100 || not_ok "it starts again" "$(cat "$WORK/thawd.log")"
	# shellcheck disable=SC2086
	load $all --connections 32 --seconds 30 >"$WORK/load" 2>/dev/null &
	loader=$!
	sleep 1
	thawd_stop
	[ "$thawd_status" -eq 0 ] || not_ok "stopped under load, it ends well" "status $thawd_status"
	wait $loader
	lost=$((lost + $(jq .lost "$WORK/load")))
	[ "$(jq .right "$WORK/load")" -eq "$(started)" ] ||
		not_ok "what was begun is answered" "$(cat "$WORK/load")" "$(started) were begun"
	[ "$(jq '.right > 100 and .errors + .wrong + .stray == 0' "$WORK/load")" = true ] ||
		not_ok "right until the end" "$(cat "$WORK/load")"
done
ok "it was stopped under load $stops times"
echo "# $lost requests came when it closed"

# ---- it begins anew ----

rm -f "$WORK"/thawd/logs/*.log
thawd_start --slots 100 || not_ok "it starts again" "$(cat "$WORK/thawd.log")"
# No more than logs have room for: they are counted.
# shellcheck disable=SC2086
load $all --connections 32 --seconds $((stops + 2)) --rate $((200000 / (stops + 2))) >"$WORK/load" &
loader=$!
for _ in $(seq "$stops"); do
	sleep 1
	kill -USR2 "$thawd_pid"
done
wait $loader
expect_equal "begun anew $stops times under load, it loses nobody" \
	"$(jq -c '.sent == .right' "$WORK/load")" true
expect_equal "each was run once" "$(started)" "$(jq .sent "$WORK/load")"
expect_equal "it did begin anew" "$(grep -c ready "$WORK/ready")" $((stops + 1))

# ---- it is killed ----

# Each event has words of its own, which the function prints: its log says what has run.
write_events() { # ROUND: 200, for curl
	for i in $(seq 200); do
		[ "$i" -eq 1 ] || echo next
		cat <<-END
			url = "http://thawd/2015-03-31/functions/teller/invocations"
			unix-socket = "$SOCKET"
			header = "X-Amz-Invocation-Type: Event"
			data = "say $1.$i"
			write-out = "%{http_code} say $1.$i\\n"
			output = "/dev/null"
		END
	done >"$WORK/events"
	sed -n 's/^data = "\(.*\)"/\1/p' "$WORK/events" >>"$WORK/submitted"
}

submit() {
	timeout $((60 * SLOW)) curl --parallel --parallel-max 8 -K "$WORK/events" 2>/dev/null |
		sed -n 's/^202 //p' >>"$WORK/accepted"
}

# Images, versions and aliases come and go, until nobody answers.
change() {
	while put changing echo && ask POST /thaw/functions/changing/versions -f -o "$WORK/version" &&
		ask PUT /thaw/functions/changing/aliases/live -f -o "$WORK/version" \
			-d "{\"version\": $(jq -r .Version "$WORK/version")}" &&
		put changing keeper && ask DELETE /thaw/functions/changing -f -o "$WORK/version"; do
		:
	done 2>/dev/null
}

# Whether all of its processes are soon gone.
is_gone() {
	for _ in $(seq $((100 * SLOW))); do
		pgrep -f "^$THAWD --dir $WORK/thawd" >/dev/null || return 0
		sleep 0.02
	done
	return 1
}

kill_once() { # ROUND MS: at most so long after the first event
	write_events "$1"
	submit &
	submitter=$!
	change &
	changer=$!
	sleep "$(shuf -n 1 -i "0-$2" | awk '{ print $1 / 1000 }')"
	kill -9 "$thawd_pid"
	wait "$thawd_pid" $submitter $changer
	thawd_pid=
	is_gone || not_ok "nobody outlives it" "$(pgrep -fa "^$THAWD --dir $WORK/thawd")"
} 2>/dev/null

image echo "$GUEST/echo"
image moody "$GUEST/tests/moody"
put teller moody
: >"$WORK/submitted"
: >"$WORK/accepted"
write_events 0
began=$(date +%s%3N)
submit
took=$(($(date +%s%3N) - began))
expect_equal "200 events are accepted" "$(wc -l <"$WORK/accepted")" 200
for round in $(seq "$kills"); do
	kill_once "$round" "$took"
	thawd_start --slots 100 || not_ok "it starts again" "$(cat "$WORK/thawd.log")"
done
for _ in $(seq $((600 * SLOW))); do
	[ "$(metric events)" -eq 0 ] && break
	sleep 0.1
done
expect_equal "none is left after a minute" "$(metric events)" 0
cat "$WORK"/thawd/logs/teller.log* | grep '^say ' | sort >"$WORK/told"
sort -u "$WORK/told" >"$WORK/ran"
sort -o "$WORK/accepted" "$WORK/accepted"
sort -o "$WORK/submitted" "$WORK/submitted"
echo "# killed $kills times: $(wc -l <"$WORK/submitted") events submitted, $(wc -l <"$WORK/accepted") accepted," \
	"$(wc -l <"$WORK/ran") have run, $(uniq -d "$WORK/told" | wc -l) of them more than once"
expect_equal "every event that was accepted has run" "$(comm -23 "$WORK/accepted" "$WORK/ran")" ""
expect_equal "and none that was not submitted" "$(comm -13 "$WORK/submitted" "$WORK/ran")" ""
expect_equal "none is a dead letter" "$(cat "$WORK/thawd/dead-letters.jsonl")" ""
for name in $(ask GET /2015-03-31/functions | jq -r '.Functions[].FunctionName'); do
	expect_equal "$name answers" "$(ask_status POST "/2015-03-31/functions/$name/invocations" -d '"x"')" 200
done
thawd_stop
expect_equal "it ends well" "$thawd_status" 0
for db in thawd queue; do
	expect_equal "$db.db is whole" "$(sqlite3 "$WORK/thawd/$db.db" 'PRAGMA integrity_check')" ok
done
expect_equal "there are the images that are known" "$(ls "$WORK/thawd/images")" \
	"$(sqlite3 "$WORK/thawd/thawd.db" 'SELECT id FROM image ORDER BY id')"
expect_equal "and each is of use" "$(sqlite3 "$WORK/thawd/thawd.db" 'SELECT count(*) FROM image
	WHERE id NOT IN (SELECT image FROM version)')" 0
expect_equal "nothing is half-done" "$(ls "$WORK/thawd/tmp")" ""
finish
