# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# daemon.sh - sourced by tests/e2e_thawd*.sh and bench/thawd/bars.sh after tests/e2e.sh: a thawd to
# try, in $WORK/thawd, and what asks it. It ends with the script.

THAW=${THAW:-bin/thaw}
THAWD=${THAWD:-bin/thawd}
LOAD=${LOAD:-build/release/bench/thawd/thawd_load}
SOCKET=$WORK/socket
thawd_pid=
: >"$WORK/thawd.log"
trap 'thawd_stop; rm -rf "$WORK"' EXIT

thawd_start() { # [OPTION]...
	: >"$WORK/ready"
	"$THAWD" --dir "$WORK/thawd" --listen "unix:$SOCKET" "$@" >"$WORK/ready" 2>>"$WORK/thawd.log" &
	thawd_pid=$!
	for _ in $(seq $((1500 * SLOW))); do
		grep -q ready "$WORK/ready" && return
		kill -0 "$thawd_pid" 2>/dev/null || return
		sleep 0.02
	done
	echo "thawd: not ready for half a minute" >>"$WORK/thawd.log"
	return 1
}

# Returns its exit status.
thawd_stop() {
	[ -n "$thawd_pid" ] || return 0
	kill "$thawd_pid" 2>/dev/null
	wait "$thawd_pid"
	thawd_status=$?
	thawd_pid=
	return $thawd_status
}

image() { # NAME PROGRAM: $WORK/NAME
	"$THAW" build --no-sync -o "$WORK/$1" "$2" >/dev/null 2>&1
}

ask() { # METHOD PATH [CURL_OPTION]...: the body of the answer
	ask_method=$1 ask_path=$2
	shift 2
	curl -sS --max-time $((120 * SLOW)) --unix-socket "$SOCKET" -X "$ask_method" "$@" "http://thawd$ask_path"
}

ask_status() { # METHOD PATH [CURL_OPTION]...: status and error; the body is in $WORK/body
	ask "$@" -o "$WORK/body" -D "$WORK/head" -w '%{http_code}'
	sed -n 's/\r$//; s/^x-amzn-ErrorType: / /p' "$WORK/head"
}

put() { # NAME IMAGE [MEMBERS]: a function, with more members of the JSON object
	ask PUT "/thaw/functions/$1" -f -o "$WORK/body" -d "{\"image\": \"$WORK/$2\"${3:+, $3}}"
}

invoke() { # NAME EVENT [CURL_OPTION]...
	invoke_name=$1 invoke_event=$2
	shift 2
	ask POST "/2015-03-31/functions/$invoke_name/invocations" -d "$invoke_event" "$@"
}

metric() { # NAME [LABEL]...: the sum of all that have all these labels
	metric_name=$1
	shift
	ask GET /metrics | awk -v name="thawd_$metric_name" -v labels="$*" '
		BEGIN { n = split(labels, want, " ") }
		{
			split($1, id, "{")
			for (i = 1; i <= n && index(id[2], want[i]); i++)
				;
			if (id[1] == name && i > n)
				sum += $2
		}
		END { printf "%.0f\n", sum }'
}

load() { # [OPTION]...: one line of JSON
	"$LOAD" --to "unix:$SOCKET" "$@"
}

# The processes of machines, and of those that wait for one: children of its only child.
shells() {
	read -r zygote <"/proc/$thawd_pid/task/$thawd_pid/children"
	tr ' ' '\n' <"/proc/$zygote/task/$zygote/children" | grep .
}

rss_kib() { # PID
	awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}
