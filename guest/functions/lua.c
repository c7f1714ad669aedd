/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lua.c - a function whose code is a Lua 5.4 script among the image's files:
 *
 *	thaw build -o IMAGE --files DIR lua /handler.lua [ARG]...
 *
 * The script runs once, while the image is built, with ARG... as its `...`. It returns a
 * function, or defines a global function `handler`. Whatever it has required and computed by
 * then is part of the image. What is wrong until then ends the program with status 1.
 *
 * An event is JSON, which the function gets as a Lua value (nil for an empty event); the reply
 * is the JSON of what it returns (lua_json.h). An error in it is the reply
 * {"error":"what and where","traceback":"..."}, and the next event is answered as ever.
 *
 * `require` finds files below the root: /NAME.lua and /NAME/init.lua. There are no modules in
 * C. What is printed goes to the log, line by line.
 */
#include <lua5.4/lauxlib.h>
#include <lua5.4/lualib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "guest/functions/event.h"
#include "guest/functions/lua_json.h"
#include "guest/functions/reply.h"
#include "guest/thaw.h"

#define ERROR_SIZE ((size_t)16 * 1024) /* ours: bytes of an error's text that are replied */
#define RANDOMSEED "randomseed"	       /* math.randomseed in the registry */

/* What every script finds: files of the image, and no shared libraries. */
static const char prelude[] = "package.path = '/?.lua;/?/init.lua'\n"
			      "package.cpath, package.loadlib = '', nil\n"
			      "table.move(package.searchers, 5, 6, 3)\n";

struct script {
	int argc;
	char **argv; /* the script's name, then its arguments */
};

/* ---- errors: a table {error=TEXT, traceback=TEXT}, or a string where memory was short ---- */

/* The message handler of lua_pcall. */
static int error_describe(lua_State *L)
{
	if (!lua_tostring(L, 1) && !(luaL_callmeta(L, 1, "__tostring") && lua_tostring(L, -1)))
		lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
	lua_createtable(L, 0, 2);
	lua_insert(L, -2);
	lua_setfield(L, -2, "error");
	luaL_traceback(L, L, NULL, 1);
	lua_setfield(L, -2, "traceback");
	return 1;
}

static void error_print(lua_State *L)
{
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "error");
		lua_getfield(L, -2, "traceback");
		fprintf(stderr, "lua: %s\n%s\n", lua_tostring(L, -2), lua_tostring(L, -1));
	} else {
		fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
	}
}

/* Make the text on top fit for a reply: not too long, and if @plain of ASCII only. */
static void text_trim(lua_State *L, int plain)
{
	luaL_Buffer out;
	size_t size;
	const char *text = luaL_tolstring(L, -1, &size);

	if (size > ERROR_SIZE)
		size = ERROR_SIZE;
	luaL_buffinitsize(L, &out, size);
	for (size_t i = 0; i < size; i++)
		luaL_addchar(&out, plain && (text[i] & 0x80) ? '?' : text[i]);
	luaL_pushresult(&out);
}

/* (ERROR, REPLY, PLAIN): write the error into the reply. */
static int error_reply(lua_State *L)
{
	static const char *const fields[] = { "error", "traceback" };
	struct reply *reply = lua_touserdata(L, 2);

	lua_createtable(L, 0, 2);
	for (int i = 0; i < 2; i++) {
		if (lua_istable(L, 1))
			lua_getfield(L, 1, fields[i]);
		else
			lua_pushstring(L, i == 0 ? lua_tostring(L, 1) : "");
		text_trim(L, lua_toboolean(L, 3));
		lua_setfield(L, 4, fields[i]);
		lua_settop(L, 4);
	}
	reply_begin(reply);
	reply->closing = true;
	lua_json_encode(L, 4, reply);
	return 0;
}

/* Reply the error on top. Its text may be no UTF-8, and memory may be short. */
static void error_answer(lua_State *L, struct reply *reply)
{
	static const char last_words[] = "{\"error\":\"out of memory\",\"traceback\":\"\"}";

	for (int plain = 0; plain <= 1; plain++) {
		lua_pushcfunction(L, error_reply);
		lua_pushvalue(L, -2);
		lua_pushlightuserdata(L, reply);
		lua_pushboolean(L, plain);
		if (lua_pcall(L, 3, 0, 0) == LUA_OK)
			return;
		lua_pop(L, 1);
		lua_gc(L, LUA_GCCOLLECT);
	}
	reply_begin(reply);
	reply_add(reply, last_words, sizeof(last_words) - 1);
}

/* ---- events ---- */

/* (): seed math.random with what no other clone has. */
static int random_seed(lua_State *L)
{
	lua_Integer seed[2];

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		luaL_error(L, "no random numbers to seed math.random with");
	lua_getfield(L, LUA_REGISTRYINDEX, RANDOMSEED);
	lua_pushinteger(L, seed[0]);
	lua_pushinteger(L, seed[1]);
	lua_call(L, 2, 0);
	return 0;
}

/* A hook: clones must not draw the same numbers, whatever the script did while it was loaded. */
static void random_renew(void *arg)
{
	lua_State *L = arg;

	lua_pushcfunction(L, random_seed);
	if (lua_pcall(L, 0, 0, 0) == LUA_OK)
		return;
	error_print(L);
	exit(1);
}

/* (EVENT, REPLY), with the handler as upvalue. */
static int event_answer(lua_State *L)
{
	const struct event *event = lua_touserdata(L, 1);
	struct reply *reply = lua_touserdata(L, 2);

	lua_pushvalue(L, lua_upvalueindex(1));
	if (event->size)
		lua_json_decode(L, event->text, event->size);
	else
		lua_pushnil(L);
	lua_call(L, 1, 1);
	reply->closing = true; /* the whole reply is one JSON value: nothing will follow */
	lua_json_encode(L, -1, reply);
	return 0;
}

/*
 * The message handler is at 1 of the stack, the closure of event_answer at 2. Comes back only
 * when something broke.
 */
static void events_answer(lua_State *L)
{
	struct event event = { 0 };
	struct reply reply = { 0 };
	int ret = event_init(&event);

	if (ret == 0)
		ret = reply_init(&reply);
	while (ret == 0 && (ret = event_read(&event)) == 0) {
		reply_begin(&reply);
		lua_settop(L, 2);
		lua_pushvalue(L, 2);
		lua_pushlightuserdata(L, &event);
		lua_pushlightuserdata(L, &reply);
		if (lua_pcall(L, 2, 0, 1) != LUA_OK)
			error_answer(L, &reply);
		fflush(stdout);
		ret = reply_flush(&reply);
	}
	fprintf(stderr, "lua: event: %s\n", strerror(-ret));
	event_fini(&event);
	reply_fini(&reply);
}

/* ---- the script ---- */

/* (SCRIPT): run it; returns the closure of event_answer. */
static int script_load(lua_State *L)
{
	const struct script *script = lua_touserdata(L, 1);
	const char *name = script->argv[0];

	luaL_openlibs(L);
	luaL_requiref(L, "json", lua_json_open, 1);
	if (luaL_dostring(L, prelude) != LUA_OK || luaL_loadfile(L, name) != LUA_OK)
		lua_error(L);
	lua_getglobal(L, "math");
	lua_getfield(L, -1, "randomseed"); /* now: the script may replace it */
	lua_setfield(L, LUA_REGISTRYINDEX, RANDOMSEED);
	lua_pop(L, 1);

	luaL_checkstack(L, script->argc, "too many arguments");
	for (int i = 1; i < script->argc; i++)
		lua_pushstring(L, script->argv[i]);
	lua_call(L, script->argc - 1, 1);
	if (lua_isnil(L, -1))
		lua_getglobal(L, "handler");
	if (!lua_isfunction(L, -1))
		luaL_error(L, "%s returns no function, and defines no function 'handler'",
			   name);
	lua_pushcclosure(L, event_answer, 1);
	return 1;
}

int main(int argc, char **argv)
{
	struct script script = { .argc = argc - 1, .argv = argv + 1 };
	lua_State *L;

	if (argc < 2) {
		fprintf(stderr, "usage: lua SCRIPT [ARG]...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF,
		BUFSIZ); /* so that the log has a line when it is written */
	L = luaL_newstate();
	if (!L) {
		fprintf(stderr, "lua: out of memory\n");
		return 1;
	}
	lua_pushcfunction(L, error_describe);
	lua_pushcfunction(L, script_load);
	lua_pushlightuserdata(L, &script);
	if (lua_pcall(L, 1, 1, 1) != LUA_OK) {
		error_print(L);
		lua_close(L);
		return 1;
	}
	lua_gc(L, LUA_GCCOLLECT);
	malloc_trim(0); /* what loading left behind would be frozen too */
	if (thaw_after_thaw(random_renew, L) == 0)
		events_answer(L);
	lua_close(L);
	return 1;
}
