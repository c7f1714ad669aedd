/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lua_json.h - JSON text to Lua values and back. Reading, and strings, are jansson's.
 *
 *	JSON		Lua
 *	null		json.null, a light userdata (true in a condition!); nil is written as null
 *	true, false	boolean
 *	1		integer; beyond 64 bits it is an error
 *	1.0, 1e3	float; written with 15 to 17 digits, those that give it back; NaN and infinity
 *			are errors
 *	string		string; written only where it is UTF-8
 *	array		table marked as an array, with the keys 1..n
 *	object		table with string keys; written in the order of their bytes
 *
 * A table is written as an array where it is marked as one, or where it has keys, and they are
 * 1..n. All others are objects, the empty table too: json.array({}) marks it. What is neither
 * (holes, keys of both kinds) is an error, and so are a table inside itself, and more than
 * LUA_JSON_DEPTH_MAX levels. Metatables are not asked.
 */
#pragma once

#include <lua5.4/lua.h>
#include <stddef.h>

#define LUA_JSON_DEPTH_MAX 200 /* ours: bounds the C stack */

struct reply;

/*
 * lua_json_open - a lua_CFunction for luaL_requiref: the module `json`, with
 * decode(text), encode(value), array([table]) and null.
 */
int lua_json_open(lua_State *L);

/* Push the value of @size bytes of JSON. Raises a Lua error that says what is wrong, where. */
void lua_json_decode(lua_State *L, const char *text, size_t size);

/*
 * lua_json_encode - add the JSON of the value at @index to @r.
 *
 * Raises a Lua error that names the place in the value and the reason: it is no JSON, or @r
 * is full. What was added until then stays there.
 */
void lua_json_encode(lua_State *L, int index, struct reply *r);
