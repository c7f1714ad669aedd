#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kindling from inside: the programs of tests/guest/ that test system calls, files, registers
# and crashes, against both C libraries and as position-independent executables.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh

need_kvm

ends_with() { # STATUS NAME PROGRAM [ARG]...
	program=$GUEST/tests/$3
	name="$3: $2" status=$1
	shift 3
	if [ -x "$program" ]; then
		expect_status "$status" "$name" "$THAW" boot --env KEY=value --files "$WORK/files" \
			"$program" "$@"
	else
		skip "$name" "not built here"
	fi
}

# ---- what the programs ask for ----

root=$WORK/files
mkdir -p "$root/etc" "$root/a/b"
echo 'hello motd' >"$root/etc/motd"
ln -s motd "$root/etc/link"
ln -s loop "$root/etc/loop"
ln -s ../etc/motd "$root/etc/up"
echo hard >"$root/hard1"
ln "$root/hard1" "$root/hard2"
echo x >"$root/a/b/f"
: >"$root/a/empty"
echo x >"$root/a/run"
chmod 755 "$root/a/run"

# QEMU's emulated CPUs raise no SSE exceptions: asked on this host itself, without a machine.
without=
if ! "$GUEST/tests/signals" sse 2>/dev/null; then
	without=no-sse
	skip "signals: SSE exceptions" "this host's CPU raises none"
fi

for variant in '' _pie _musl; do
	ends_with 42 "system calls" "calls$variant" one 'two three' && [ -z "$variant" ] &&
		expect_equal "a missing system call is named once" \
			"$(grep -c 'system call 41 (socket) is not supported' "$E2E_ERR")" 1
	ends_with 0 "files" "files$variant"
	ends_with 0 "signals" "signals$variant" $without
	ends_with 0 "waits" "waits$variant"
	ends_with 0 "files that are written" "writes$variant"
done
ends_with 0 "registers across system calls" vectors
ends_with 0 "no secrets are kept" secrets
expect_status 0 "600 MiB of zeros" "$THAW" boot --mem 1G "$GUEST/tests/big"

# What these tests ask for is what Linux does.
expect_status 0 "signals: the same on Linux" "$GUEST/tests/signals" $without
expect_status 0 "waits: the same on Linux" "$GUEST/tests/waits"
if [ "$(id -u)" -eq 0 ]; then
	expect_status 0 "writes: the same on Linux" "$GUEST/tests/writes"
else
	skip "writes: the same on Linux" "needs root"
fi

# ---- an interpreter ----

cat >"$root/script.lua" <<'END'
local t = {}
for i = 1, 5000 do t[i] = (i * 7919) % 5003 end
table.sort(t)
print(t[1], t[2500], t[5000], #string.rep("abc", 1000000, ","))
local numbers = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(numbers(), numbers(), numbers())
print(("%5.3f|%q|%x"):format(math.pi, "a\nb", 255), ("hello"):gsub("l", "L"))
print(pcall(error, { code = 1 }) == false, select("#", table.unpack({}, 1, 200)))
local name = os.tmpname()
local f = assert(io.open(name, "w+"))
for i = 1, 1000 do f:write(i, "\n") end
f:seek("set", 0)
local sum = 0
for line in f:lines() do sum = sum + tonumber(line) end
f:close()
print(sum, os.rename(name, name .. "x"), os.remove(name .. "x"), io.open(name) == nil)
local big = {}
for i = 1, 200000 do big[i] = { i } end
big = nil
collectgarbage()
print(os.time({ year = 2024, month = 2, day = 29, hour = 12 }), os.date("!%c", 0))
print(pcall(string.rep, "x", -1), 2^53 | 0, 7 // 2, -7 % 3, "10" + 5)
END
"$GUEST/tests/script" "$root/script.lua" >"$WORK/want" 2>&1
expect_status 0 "a Lua script" "$THAW" boot --files "$root" "$GUEST/tests/script" /script.lua
expect_same_file "a Lua script prints what it prints here" "$E2E_OUT" "$WORK/want"

# ---- waits that nobody could end ----

for kind in futex poll select read write pause suspend; do
	ends_with 5 "$kind for ever" waits "$kind" &&
		expect_match "$kind for ever: says so" "$(cat "$E2E_ERR")" \
			"^kernel: .*$kind: waits without a time-out"
done

# ---- crashes ----

while IFS='|' read -r kind signal detail; do
	ends_with 5 "$kind" crash "$kind" &&
		expect_match "crash: $kind: signal" "$(cat "$E2E_ERR")" "$signal.*$detail"
done <<'END'
null|SIGSEGV|address 0x10,
jump|SIGSEGV|address 0x1234,
rodata|SIGSEGV|address 0x[0-9a-f]+,
nx|SIGSEGV|address 0x[0-9a-f]+,
stack|SIGSEGV|address 0x7f0000[0-9a-f]+,
high|SIGSEGV|address 0xffffffff81000000,
gp|SIGSEGV|
hlt|SIGSEGV|
div|SIGFPE|
ud|SIGILL|
int3|SIGTRAP|
step|SIGTRAP|
x87|SIGFPE|
abort|SIGABRT|
term|SIGTERM|
END

# ---- programs that cannot be started ----

expect_status 127 "a dynamic program" "$THAW" boot "$(command -v ls)"
expect_match "a dynamic program: says what to do" "$(cat "$E2E_ERR")" 'link it with -static'
echo '#!/bin/sh' >"$WORK/script"
expect_status 127 "a script" "$THAW" boot "$WORK/script"
expect_match "a script: says why" "$(cat "$E2E_ERR")" 'is not an ELF file'
head -c 5000 "$GUEST/echo" >"$WORK/cut"
expect_status 127 "half a program" "$THAW" boot "$WORK/cut"
expect_match "half a program: says why" "$(cat "$E2E_ERR")" 'ends after the file'

finish
