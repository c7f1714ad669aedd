#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The lua function: JSON through a script and back, require, errors of a handler and of loading,
# random numbers of clones, and how long a changed script takes to an answer.
# shellcheck source=tests/e2e.sh
. tests/e2e.sh
need_kvm

files=$WORK/files
mkdir -p "$files/deep/module"
cat >"$files/deep/module/init.lua" <<'END'
return { name = "deep.module" }
END
cat >"$files/flat.lua" <<'END'
return { name = "flat " .. require("deep.module").name }
END
# The reply to {"code": LUA} is what it returns; to a list of texts in "json" or "lua" it is a list
# of the JSON of each. Any other event is its own reply.
cat >"$files/handler.lua" <<'END'
print("top level", ...)
local flat = require("flat")
count = 0
function handler(event)
	count = count + 1
	if type(event) ~= "table" then
		return event
	elseif event.code then
		local reply = assert(load(event.code, "=code"))(flat)
		return reply
	end
	for i, text in ipairs(event.json or {}) do
		event[i] = json.encode(json.decode(text))
	end
	for i, text in ipairs(event.lua or {}) do
		event[i] = json.encode((load(text)(flat)))
	end
	event.json, event.lua = nil, nil
	return event
end
END

build() { # IMAGE SCRIPT [ARG]...
	image=$1
	shift
	"$THAW" build --no-sync -o "$WORK/$image" --files "$files" "$GUEST/lua" "$@"
}

ask() { # EVENT
	"$THAW" run --payload "$1" "$WORK/image" 2>"$WORK/log"
}

run_lua() { # CODE
	ask "$(jq -n --arg code "$1" '{code: $code}')"
}

name_of() { # TEXT: without what `echo` may take for escapes
	printf '%s' "$1" | tr '\134' /
}

expect_error() { # NAME CODE PATTERN
	run_lua "$2" >"$WORK/reply"
	expect_match "$1" "$(jq -r 'if (.traceback | type) == "string" then .error else empty end' \
		"$WORK/reply")" "$3"
}

expect_status 0 "a script becomes an image" build image /handler.lua one two
expect_match "what its top level prints is shown" "$(cat "$E2E_ERR")" '^top level.one.two$'

# Lines TEXT => RESULT, or TEXT where both are the same; all TEXT goes into one event.
expect_results() { # KIND <LINES
	cat >"$WORK/lines"
	sed 's/ => .*//' "$WORK/lines" | jq -R . | jq -sc --arg kind "$1" '{($kind): .}' >"$WORK/event"
	"$THAW" run --payload-file "$WORK/event" "$WORK/image" 2>/dev/null | jq -r '.[]' >"$WORK/results"
	while IFS= read -r line <&3 && IFS= read -r result <&4; do
		expect_equal "$1: $(name_of "$line")" "$result" "${line##* => }"
	done 3<"$WORK/lines" 4<"$WORK/results"
	expect_equal "$1: all of them" "$(wc -l <"$WORK/results")" "$(wc -l <"$WORK/lines")"
}
expect_results json <<'END'
null
true
false
0
-1
9223372036854775807
-9223372036854775808
1.0
-0.0
0.1
19.99
5e-324 => 4.94065645841247e-324
1.7976931348623157e+308
1E3 => 1000.0
123456789012345678 => 123456789012345678
0.30000000000000004
""
"plain"
"Grüße, 世界, 😀"
"\u00e9\ud83d\ude00" => "é😀"
"a\"b\\c\/d\b\f\n\r\t\u001f" => "a\"b\\c/d\b\f\n\r\t\u001F"
"zero \u0000 inside"
[]
{}
[[],{},[[]],{"a":[]}]
[null,null]
[1,[2,[3,[4,{"five":[6]}]]]]
{"a":null,"b":{"c":[true,false,null]}}
{"b":1,"a":2,"aa":3,"A":4,"ä":5,"":6} => {"":6,"A":4,"a":2,"aa":3,"b":1,"ä":5}
{"1":"one","2":"two"}
{"a":1,"a":2} => {"a":2}
 [ 1 , 2 ]  => [1,2]
END
for event in null true 42 0.5 '"text"' '[1,{}]' '{"b":[],"c":{"d":1.0}}'; do
	expect_equal "an event as a reply: $event" "$(ask "$event")" "$event"
done
expect_equal "an empty event is nil" "$(ask '')" null
printf '\n' >"$WORK/newline"
expect_equal "so is a newline" "$("$THAW" run --payload-file "$WORK/newline" "$WORK/image" 2>&1)" null
nested=$(printf '%200s' '' | tr ' ' '[')$(printf '%200s' '' | tr ' ' ']')
expect_equal "200 levels" "$(ask "$nested")" "$nested"
expect_match "and no more" "$(ask "[$nested]")" '"nested deeper than 200 levels"'
# A string that fills an event, and with it a reply.
{ printf '"' && head -c 6291454 /dev/zero | tr '\0' x && printf '"'; } >"$WORK/long"
"$THAW" run --payload-file "$WORK/long" "$WORK/image" >"$WORK/reply" 2>/dev/null
expect_same_file "6 MiB there and back" "$WORK/reply" "$WORK/long"

for event in '{' '[1,]' 'nul' '[1] 2' "{'a':1}" '"\ud800"' '12345678901234567890' '01' '{"a"}' \
	'{"a\u0000":1}' '1e999' "$(printf '"\377"')"; do
	expect_match "no JSON: $(name_of "$event")" "$(ask "$event" | jq -r .error)" '^not JSON: line 1, column [0-9]+: .'
done

expect_results lua <<'END'
return => null
return 1, 2 => 1
return {} => {}
return json.array() => []
return json.array({1, 2}) => [1,2]
return {1, 2, 3} => [1,2,3]
return {[1] = "a", [2] = "b"} => ["a","b"]
return {1, json.null, 3} => [1,null,3]
return {a = 1, b = {c = nil}} => {"a":1,"b":{}}
return 2^53 => 9007199254740992.0
return 7 // 2, 0 => 3
return math.maxinteger => 9223372036854775807
return json.decode('{"a": [1, 2.5, null]}').a[3] == json.null => true
return json.encode({1, {}, "x"}) => "[1,{},\"x\"]"
return #json.decode("[]"), 0 => 0
return json.decode("[]") => []
return (...).name => "flat deep.module"
return require("flat") == ... => true
local t = {1} return {t, t} => [[1],[1]]
return package.path => "/?.lua;/?/init.lua"
return count => 1
END

expect_error "an error names its place" 'local x = nil + 1' "^code:1: attempt to perform arithmetic"
expect_match "and its traceback" "$(jq -r .traceback "$WORK/reply")" '/handler.lua:9: in function'
expect_error "an error that is a table" 'error({})' '^\(error object is a table value\)$'
expect_error "an error that is a number" 'error(7)' '^7$'
expect_error "an error with __tostring" \
	'error(setmetatable({}, {__tostring = function() return "mine" end}))' '^mine$'
expect_error "an error that is no UTF-8" 'error("a\xff", 0)' '^a\?$'
expect_error "an error of a megabyte" 'error(("x"):rep(1048576))' '^code:1: xxx'
expect_error "a module that is not there" 'require("gone")' "^code:1: module 'gone' not found"
expect_error "no modules in C" 'require("socket.core")' 'not found'
expect_error "a table inside itself" 'local t = {} t.x = {t} return t' '^value\.x\[1\]: a table is inside itself$'
expect_error "too many levels" 'local t = {} for i = 1, 300 do t = {t} end return t' '200 levels'
expect_error "a function in a reply" 'return {a = {1, print}}' '^value\.a\[2\]: a function is not JSON$'
expect_error "holes" 'return {1, nil, 3}' '^value: an array has holes'
expect_error "both kinds of keys" 'return {1, 2, x = 3}' '^value: an array has holes or other keys'
expect_error "a marked array with other keys" 'return {a = json.array({x = 1})}' '^value\.a: an array has'
expect_error "a key that is a boolean" 'return {[true] = 1}' '^value: a key of an object is not a string$'
expect_error "NaN" 'return {0/0}' '^value\[1\]: NaN is not JSON$'
expect_error "infinity" 'return {-1/0}' '^value\[1\]: infinity is not JSON$'
expect_error "a string that is no UTF-8" 'return {s = "\xff"}' '^value\.s: a string is not UTF-8$'
expect_error "a reply of more than 6 MiB" 'return ("x"):rep(6 * 1024 * 1024)' 'longer than 6 MiB'
expect_error "the place of what is not JSON" 'json.encode({print})' '^code:1: value\[1\]: a function'
expect_error "wrong JSON in a script" 'json.decode("[")' '^code:1: not JSON'
expect_equal "a finalizer cannot change what is being written" \
	"$(run_lua 'local t = {}
	for i = 1, 1000 do t["k" .. i] = ("x"):rep(1000) .. i end
	for i = 1, 100 do setmetatable({}, {__gc = function() for k in pairs(t) do t[k .. "y"] = 1 break end end}) end
	return t' | jq -c '[length >= 1000, .k1000 != null]')" '[true,true]'
expect_error "no end of a string" 'local s = "x" while true do s = s .. s end' 'memory'
expect_error "no end of a table" 'local t = {} while true do t[#t + 1] = {} end' 'memory'
expect_error "no end of calls" 'local function f() return 1 + f() end f()' 'memory|overflow'

run_lua 'print("from a handler") io.write("unfinished") return 1' >"$WORK/reply"
expect_equal "what a handler prints is not in the reply" "$(cat "$WORK/reply")" 1
expect_match "but in the log" "$(cat "$WORK/log")" '^from a handler$'
expect_match "with what has no newline" "$(cat "$WORK/log")" '^unfinished'

# Restores answer alike; clones draw numbers of their own, which a script may fix.
expect_status 0 "100 restores answer alike" "$THAW" run -n $((100 / SLOW)) \
	--payload '{"a":[1,2,{"b":"c"}],"d":{"e":0.1,"f":null}}' "$WORK/image"
for _ in 1 2 3 4; do
	run_lua 'return math.random(0)'
	echo
done >"$WORK/drawn"
expect_equal "clones draw different random numbers" "$(sort -u "$WORK/drawn" | wc -l)" 4
expect_equal "a seed of one's own holds" "$(run_lua 'math.randomseed(42) return math.random(0)')" \
	"$(run_lua 'math.randomseed(42) return math.random(0)')"

expect_load_error() { # NAME SCRIPT PATTERN
	printf '%s\n' "$2" >"$files/broken.lua"
	expect_status 5 "$1: no image" build broken /broken.lua
	expect_match "$1: the reason" "$(cat "$E2E_ERR")" "$3"
	expect_match "$1: status 1" "$(cat "$E2E_ERR")" 'exited with status 1'
}
expect_load_error "a syntax error" 'local x = = 1' "^lua: /broken.lua:1: unexpected symbol near '='"
expect_load_error "an error at the top level" 'error("not today")' '^lua: /broken.lua:1: not today'
expect_load_error "a module that fails" 'require("gone")' "^lua: /broken.lua:1: module 'gone' not found"
expect_load_error "no handler" 'x = 1' "returns no function, and defines no function 'handler'"
expect_load_error "a handler that is no function" 'return 5' 'returns no function'
expect_status 5 "a script that is not there: no image" build broken /absent.lua
expect_match "a script that is not there: the reason" "$(cat "$E2E_ERR")" '^lua: cannot open /absent.lua'
expect_status 5 "no script: no image" build broken
expect_match "no script: usage" "$(cat "$E2E_ERR")" '^usage: lua SCRIPT'

# One clone after many errors. The program of docs/embed.md keeps a clone from event to event.
if command -v cc >/dev/null; then
	embed_program >"$WORK/ask.c"
	expect_status 0 "a program that keeps a clone" cc -O2 -I snapshot -o "$WORK/ask" "$WORK/ask.c" \
		build/release/libthaw.so.0 -Wl,-rpath,"$PWD/build/release"
	code='if count == 20 then return count end local t = {} while true do t[#t + 1] = {} end'
	jq -cnj --arg code "$code" '{code: $code}' >"$WORK/event"
	expect_status 0 "19 times out of memory" "$WORK/ask" "$WORK/image" "$(cat "$WORK/event")" 1 20
	expect_equal "and the 20th answer" "$(cat "$E2E_OUT")" 20
else
	skip "one clone after many errors" "no C compiler"
fi

# Edit, build, ask.
began=$(date +%s%N)
echo 'return function() return "edited" end' >"$files/handler.lua"
build image /handler.lua 2>/dev/null
expect_equal "an edited script answers" "$(ask '')" '"edited"'
took_ms=$((($(date +%s%N) - began) / 1000000))
echo "# from the edit to the answer: $took_ms ms"
if [ "$SLOW" -gt 1 ]; then
	skip "within 5 s" "times of a host that is $SLOW times slower say little"
else
	expect_equal "within 5 s" "$((took_ms < 5000))" 1
fi

files=guest/functions/lua
expect_status 0 "the sample is built" build image /handler.lua
expect_equal "it answers" "$(ask '{"text":"A machine is thawed; the machine was frozen. Café!"}')" \
	'{"distinct":4,"top":[["machine",2],["café",1],["frozen",1],["thawed",1]],"words":9}'
expect_equal "a list of nothing is a list" "$(ask '{"text":""}')" '{"distinct":0,"top":[],"words":0}'
expect_match "and it says what it expects" "$(ask '{}' | jq -r .error)" 'expected an event like'
finish
