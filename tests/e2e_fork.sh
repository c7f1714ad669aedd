#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A machine that stays, its live forks, layers on layers, and what is left when a fork is killed.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

"$THAW" build --no-sync --record-runs 0 -o "$WORK/base" "$GUEST/tests/counter" 2>/dev/null
"$THAW" build --no-sync --record-runs 0 -o "$WORK/moody" "$GUEST/tests/moody" 2>/dev/null

# Start a server of image $1 at socket $2; its process id is in $server.
serve() { # IMAGE SOCKET [OPTION]...
	image=$1 socket=$2
	shift 2
	"$THAW" run --listen "$socket" "$@" "$image" 2>"$WORK/server.err" &
	server=$!
	for _ in $(seq $((100 * SLOW))); do
		[ -S "$socket" ] && "$THAW" run --connect "$socket" --payload '?' >/dev/null 2>&1 && return
		kill -0 "$server" 2>/dev/null || return
		sleep 0.05
	done
}

# The counter's answer without the part that is new every time.
ask() { # SOCKET EVENT
	"$THAW" run --connect "$1" --payload "$2" | sed 's/ events.*//'
}

start() { # IMAGE EVENT
	"$THAW" run --payload "$2" "$1" | sed 's/ events.*//'
}

serve "$WORK/base" "$WORK/sock"
expect_equal "a machine that stays answers" "$(ask "$WORK/sock" 'add 5')" "sum 5"
expect_equal "and goes on" "$(ask "$WORK/sock" 'add 5')" "sum 10"
expect_equal "the socket is its user's alone" "$(stat -c %a "$WORK/sock")" 600

expect_status 0 "it is forked" "$THAW" snapshot --json -o "$WORK/one" "$WORK/sock"
expect_equal "with what came of it" \
	"$(jq -c '[.pages_stored > 0, .pages_stored < 100, .size_bytes < 100000, .pause_us > 0]' "$E2E_OUT")" \
	"[true,true,true,true]"
expect_equal "the original goes on" "$(ask "$WORK/sock" 'add 1')" "sum 11"
expect_equal "a child has the past" "$(start "$WORK/one" '?')" "sum 10"
expect_equal "a child of tier eager, too" "$("$THAW" run --tier eager --payload 'add 2' "$WORK/one" | sed 's/ events.*//')" "sum 12"
expect_status 0 "rewinds of a child are verified" "$THAW" run --tier warm --verify --payload 'add 3' "$WORK/one"
expect_equal "the original does not know of them" "$(ask "$WORK/sock" '?')" "sum 11"
cd "$WORK" || exit 1
case $THAW in /*) ;; *) THAW=$OLDPWD/$THAW ;; esac
expect_status 0 "a relative name is the caller's" "$THAW" snapshot --no-sync -o relative "$WORK/sock"
expect_equal "its layer is there" "$(start relative '?')" "sum 11"
cd "$OLDPWD" || exit 1

expect_status 0 "a layer is verified with its parent" "$THAW" verify "$WORK/one"
expect_match "which it says" "$(cat "$E2E_OUT")" 'and so is what it lies on \(1\)'
expect_status 0 "and inspected" "$THAW" inspect "$WORK/one"
expect_match "with its parent" "$(cat "$E2E_OUT")" '^layer on +[0-9a-f]{32} \(.*base\), [0-9]+ pages$'

# ---- what is refused ----

expect_status 1 "a fork does not replace its parent" "$THAW" snapshot -o "$WORK/base" "$WORK/sock"
expect_match "and says so" "$(cat "$E2E_ERR")" 'is the image that the layer is to lie on'
mkdir "$WORK/full" && touch "$WORK/full/file"
expect_status 1 "nor something else" "$THAW" snapshot -o "$WORK/full" "$WORK/sock"
expect_status 1 "the socket has one machine" "$THAW" run --listen "$WORK/sock" "$WORK/base"
expect_match "and says so" "$(cat "$E2E_ERR")" 'somebody listens at'
expect_status 1 "what is no socket is left alone" "$THAW" run --listen "$WORK/full/file" "$WORK/base"
expect_status 2 "--listen with a payload" "$THAW" run --listen "$WORK/sock2" --payload x "$WORK/base"
expect_status 2 "--connect with an image" "$THAW" run --connect "$WORK/sock" "$WORK/base"
expect_status 2 "a snapshot without a name" "$THAW" snapshot "$WORK/sock"
expect_status 1 "nobody listens" "$THAW" snapshot -o "$WORK/no" "$WORK/nobody"
expect_equal "after all that it answers" "$(ask "$WORK/sock" '?')" "sum 11"
kill "$server"
wait "$server"
expect_equal "it ends when asked to, well" "$?" 0
expect_equal "and takes its socket away" "$([ -e "$WORK/sock" ] && echo there)" ""

mkdir "$WORK/far"
mv "$WORK/base" "$WORK/far/base"
expect_status 1 "a layer without its parent" "$THAW" run "$WORK/one"
expect_match "names it" "$(cat "$E2E_ERR")" 'is a layer on image [0-9a-f]{32}, which is not beside it'
expect_equal "a parent may be named" "$("$THAW" run --parent "$WORK/far/base" --payload '?' "$WORK/one" | sed 's/ events.*//')" "sum 10"
expect_status 1 "but not any" "$THAW" verify --parent "$WORK/moody" "$WORK/one"
mv "$WORK/far/base" "$WORK/base"

# ---- layers on layers ----

previous=$WORK/one
for n in 2 3 4 5; do
	serve "$previous" "$WORK/sock$n"
	ask "$WORK/sock$n" "add 10" >/dev/null
	"$THAW" snapshot --no-sync -o "$WORK/layer$n" "$WORK/sock$n" >/dev/null
	ask "$WORK/sock$n" "add 1000" >/dev/null
	kill "$server"
	wait "$server"
	previous=$WORK/layer$n
done
expect_equal "five generations" "$(start "$WORK/layer5" '?')" "sum 50"
expect_status 0 "are verified" "$THAW" verify "$WORK/layer5"
expect_status 0 "are flattened" "$THAW" flatten --no-sync -o "$WORK/flat" "$WORK/layer5"
mkdir "$WORK/alone"
mv "$WORK/flat" "$WORK/alone/flat"
expect_equal "and need nobody then" "$(start "$WORK/alone/flat" 'add 1')" "sum 51"
expect_status 1 "a whole image is not flattened" "$THAW" flatten -o "$WORK/no" "$WORK/base"

# ---- machines that end ----

serve "$WORK/moody" "$WORK/sock"
expect_status 5 "who asked is told of a crash" "$THAW" run --connect "$WORK/sock" --payload crash
wait "$server"
expect_equal "and the machine's process ends so" "$?" 5
serve "$WORK/moody" "$WORK/sock" --timeout 200
expect_status 6 "and of a deadline" "$THAW" run --connect "$WORK/sock" --payload hang
wait "$server"
expect_equal "likewise" "$?" 6
serve "$WORK/moody" "$WORK/sock"
"$THAW" run --connect "$WORK/sock" --payload hang >/dev/null 2>&1 &
client=$!
sleep 0.3
kill "$server"
wait "$server"
expect_equal "one that never answers can be ended" "$?" 143
wait "$client"
expect_equal "and who waits for it is told" "$?" 1

# ---- kill -9 at any moment ----

serve "$WORK/base" "$WORK/sock"
ask "$WORK/sock" "dirty 2000" >/dev/null
half=0 whole=0 wrong=0
for n in $(seq $((30 / SLOW + 1))); do
	ask "$WORK/sock" "add $n" >/dev/null
	"$THAW" snapshot --no-sync -o "$WORK/killed" "$WORK/sock" >/dev/null 2>&1 &
	client=$!
	sleep "0.0$(printf %02d $((n * 37 % 40)))"
	kill -9 "$server"
	wait "$server" 2>/dev/null
	wait "$client"
	if [ -e "$WORK/killed" ]; then
		whole=$((whole + 1))
		"$THAW" verify "$WORK/killed" >/dev/null 2>&1 || wrong=$((wrong + 1))
		[ "$(start "$WORK/killed" '?')" = "sum $n" ] || wrong=$((wrong + 1))
		rm -r "$WORK/killed"
	else
		half=$((half + 1))
	fi
	serve "$WORK/base" "$WORK/sock"
	ask "$WORK/sock" "dirty 2000" >/dev/null
done
kill "$server"
wait "$server"
echo "# killed while writing: $half without a layer, $whole with one"
expect_equal "no half image is left by kill -9" "$wrong" 0
finish
