/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/functions/lua_json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <lua5.4/lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/functions/reply.h"

#define ARRAY_MARK    "json.array" /* the metatable's name */
#define STACK_A_LEVEL 8 /* slots of Lua's stack that a level of nesting uses, and some */

/* ---- reading ---- */

static void value_push(lua_State *L, const json_t *v, int depth);

static void array_mark(lua_State *L)
{
	luaL_setmetatable(L, ARRAY_MARK);
}

static void array_push(lua_State *L, const json_t *array, int depth)
{
	size_t n = json_array_size(array);

	lua_createtable(L, (int)n, 0);
	array_mark(L);
	for (size_t i = 0; i < n; i++) {
		value_push(L, json_array_get(array, i), depth + 1);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void object_push(lua_State *L, json_t *object, int depth)
{
	lua_createtable(L, 0, (int)json_object_size(object));
	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
		lua_pushlstring(L, json_object_iter_key(at), json_object_iter_key_len(at));
		value_push(L, json_object_iter_value(at), depth + 1);
		lua_rawset(L, -3);
	}
}

static void value_push(lua_State *L, const json_t *v, int depth)
{
	if (depth == LUA_JSON_DEPTH_MAX && (json_is_array(v) || json_is_object(v)))
		luaL_error(L, "nested deeper than %d levels", LUA_JSON_DEPTH_MAX);
	luaL_checkstack(L, STACK_A_LEVEL, NULL);
	switch (json_typeof(v)) {
	case JSON_NULL:
		lua_pushlightuserdata(L, NULL);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(L, json_is_true(v));
		break;
	case JSON_INTEGER:
		lua_pushinteger(L, json_integer_value(v));
		break;
	case JSON_REAL:
		lua_pushnumber(L, json_real_value(v));
		break;
	case JSON_STRING:
		lua_pushlstring(L, json_string_value(v), json_string_length(v));
		break;
	case JSON_ARRAY:
		array_push(L, v, depth);
		break;
	case JSON_OBJECT:
		object_push(L, (json_t *)(uintptr_t)v, depth); /* iterators are not const */
		break;
	}
}

static int tree_push(lua_State *L)
{
	value_push(L, lua_touserdata(L, 1), 0);
	return 1;
}

void lua_json_decode(lua_State *L, const char *text, size_t size)
{
	json_error_t error = { 0 };
	json_t *tree;
	int rc;

	lua_pushcfunction(L, tree_push); /* first: this may raise an error */
	tree = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!tree && !*error.text) {
		lua_gc(L, LUA_GCCOLLECT); /* at least for the next one */
		luaL_error(L, "out of memory for JSON of %d bytes", (int)size);
	}
	if (!tree)
		luaL_error(L, "not JSON: line %d, column %d: %s", error.line, error.column,
			   error.text);
	lua_pushlightuserdata(L, tree);
	rc = lua_pcall(L, 1, 1, 0);
	json_decref(tree);
	if (rc != LUA_OK)
		luaL_error(L, "%s", lua_tostring(L, -1)); /* with the place of our caller */
}

/* ---- writing ---- */

struct step {
	const void *table; /* identity, to find a table inside itself */
	const char *key;   /* where the writer is in it: a key, or an index if this is NULL */
	lua_Integer index;
};

struct writer {
	lua_State *L;
	struct reply *out;
	int depth; /* steps on the path */
	struct step path[LUA_JSON_DEPTH_MAX];
};

struct key {
	const char *text;
	size_t size;
};

static void value_write(struct writer *w, int index);

/* Raises "PATH: WHAT", as in `value.orders[3].price: a function is not JSON`. */
static void writer_fail(struct writer *w, const char *what)
{
	luaL_Buffer path;

	lua_pushstring(w->L, what);
	luaL_buffinit(w->L, &path);
	luaL_addstring(&path, "value");
	for (int i = 0; i < w->depth; i++) {
		char step[80];

		if (w->path[i].key)
			snprintf(step, sizeof(step), ".%.60s", w->path[i].key);
		else
			snprintf(step, sizeof(step), "[%lld]", w->path[i].index);
		luaL_addstring(&path, step);
	}
	luaL_pushresult(&path);
	luaL_error(w->L, "%s: %s", lua_tostring(w->L, -1), lua_tostring(w->L, -2));
}

static void bytes_write(struct writer *w, const char *bytes, size_t size)
{
	reply_add(w->out, bytes, size);
	if (w->out->fault)
		writer_fail(w, w->out->fault);
}

static void text_write(struct writer *w, const char *text)
{
	bytes_write(w, text, strlen(text));
}

static int bytes_take(const char *bytes, size_t size, void *out)
{
	reply_add(out, bytes, size); /* which remembers a fault */
	return 0;
}

static void string_write(struct writer *w, const char *text, size_t size)
{
	json_t *string;
	int ret;

	errno = 0;
	string = json_stringn(text, size);
	if (!string)
		writer_fail(w, errno == ENOMEM ? "out of memory" : "a string is not UTF-8");
	ret = json_dump_callback(string, bytes_take, w->out, JSON_ENCODE_ANY);
	json_decref(string);
	if (ret < 0 || w->out->fault)
		writer_fail(w, w->out->fault ? w->out->fault : "out of memory");
}

static void integer_write(struct writer *w, lua_Integer value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", value);
	text_write(w, text);
}

static void real_write(struct writer *w, double value)
{
	char text[40];

	if (!isfinite(value))
		writer_fail(w, isnan(value) ? "NaN is not JSON" : "infinity is not JSON");
	for (int digits = 15; digits <= 17; digits++) { /* 17 always give it back */
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	text_write(w, text);
	if (!strpbrk(text, ".e")) /* or it would come back as an integer */
		text_write(w, ".0");
}

/* Is the table at @index to be written as an array? */
static bool table_is_array(struct writer *w, int index)
{
	lua_Integer length = (lua_Integer)lua_rawlen(w->L, index), inside = 0, n = 0;
	bool marked = false;

	if (lua_getmetatable(w->L, index)) {
		luaL_getmetatable(w->L, ARRAY_MARK);
		marked = lua_rawequal(w->L, -1, -2);
		lua_pop(w->L, 2);
	}
	for (lua_pushnil(w->L); lua_next(w->L, index); lua_pop(w->L, 1)) {
		lua_Integer i = lua_isinteger(w->L, -2) ? lua_tointeger(w->L, -2) : 0;

		inside += i >= 1 && i <= length;
		n++;
	}
	if (n == length && inside == n)
		return marked || n > 0;
	if (marked || inside > 0)
		writer_fail(w, "an array has holes or other keys than 1..n");
	return false;
}

static struct step *step_push(struct writer *w, int index)
{
	struct step *step = &w->path[w->depth++];

	*step = (struct step){ .table = lua_topointer(w->L, index) };
	return step;
}

static void array_write(struct writer *w, int index)
{
	lua_Integer n = (lua_Integer)lua_rawlen(w->L, index);
	struct step *step = step_push(w, index);

	text_write(w, "[");
	for (lua_Integer i = 1; i <= n; i++) {
		step->index = i;
		if (i > 1)
			text_write(w, ",");
		lua_rawgeti(w->L, index, i);
		value_write(w, lua_gettop(w->L));
		lua_pop(w->L, 1);
	}
	text_write(w, "]");
	w->depth--;
}

static int key_compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);

	return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Push an array of the keys of the table at @index, sorted; the table keeps their text. */
static struct key *keys_push(struct writer *w, int index, size_t *count)
{
	struct key *keys;
	size_t n = 0;

	for (lua_pushnil(w->L); lua_next(w->L, index); lua_pop(w->L, 1))
		n++;
	keys = lua_newuserdatauv(w->L, n * sizeof(*keys), 0);
	*count = n;
	n = 0;
	for (lua_pushnil(w->L); lua_next(w->L, index); lua_pop(w->L, 1)) {
		if (lua_type(w->L, -2) != LUA_TSTRING)
			writer_fail(w, "a key of an object is not a string");
		keys[n].text = lua_tolstring(w->L, -2, &keys[n].size);
		n++;
	}
	qsort(keys, n, sizeof(*keys), key_compare);
	return keys;
}

static void object_write(struct writer *w, int index)
{
	size_t n;
	struct key *keys = keys_push(w, index, &n);
	struct step *step = step_push(w, index);

	text_write(w, "{");
	for (size_t i = 0; i < n; i++) {
		step->key = keys[i].text;
		if (i > 0)
			text_write(w, ",");
		string_write(w, keys[i].text, keys[i].size);
		text_write(w, ":");
		lua_pushlstring(w->L, keys[i].text, keys[i].size);
		lua_rawget(w->L, index);
		value_write(w, lua_gettop(w->L));
		lua_pop(w->L, 1);
	}
	text_write(w, "}");
	lua_pop(w->L, 1);
	w->depth--;
}

static void table_write(struct writer *w, int index)
{
	const void *table = lua_topointer(w->L, index);

	for (int i = 0; i < w->depth; i++)
		if (w->path[i].table == table)
			writer_fail(w, "a table is inside itself");
	if (w->depth == LUA_JSON_DEPTH_MAX)
		luaL_error(w->L, "value is nested deeper than %d levels", LUA_JSON_DEPTH_MAX);
	luaL_checkstack(w->L, STACK_A_LEVEL, NULL);
	if (table_is_array(w, index))
		array_write(w, index);
	else
		object_write(w, index);
}

static void value_write(struct writer *w, int index)
{
	int type = lua_type(w->L, index);
	const char *text;
	size_t size;

	if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && !lua_touserdata(w->L, index))) {
		text_write(w, "null");
	} else if (type == LUA_TBOOLEAN) {
		text_write(w, lua_toboolean(w->L, index) ? "true" : "false");
	} else if (lua_isinteger(w->L, index)) {
		integer_write(w, lua_tointeger(w->L, index));
	} else if (type == LUA_TNUMBER) {
		real_write(w, lua_tonumber(w->L, index));
	} else if (type == LUA_TSTRING) {
		text = lua_tolstring(w->L, index, &size);
		string_write(w, text, size);
	} else if (type == LUA_TTABLE) {
		table_write(w, index);
	} else {
		text = lua_pushfstring(w->L, "a %s is not JSON", lua_typename(w->L, type));
		writer_fail(w, text);
	}
}

static int writer_run(lua_State *L)
{
	struct writer w = { .L = L, .out = lua_touserdata(L, 2) };

	value_write(&w, 1);
	return 0;
}

void lua_json_encode(lua_State *L, int index, struct reply *r)
{
	int running = lua_gc(L, LUA_GCISRUNNING);
	int rc;

	lua_pushvalue(L, index);
	lua_pushcfunction(L, writer_run);
	lua_insert(L, -2);
	lua_pushlightuserdata(L, r);
	lua_gc(L, LUA_GCSTOP); /* a finalizer might change a table that is being written */
	rc = lua_pcall(L, 2, 0, 0);
	if (running)
		lua_gc(L, LUA_GCRESTART);
	if (rc != LUA_OK)
		luaL_error(L, "%s", lua_tostring(L, -1)); /* with the place of our caller */
}

/* ---- the module ---- */

static int module_decode(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);

	lua_json_decode(L, text, size);
	return 1;
}

static int module_encode(lua_State *L)
{
	static struct reply text; /* kept: an error leaves by longjmp, and could not free it */

	luaL_checkany(L, 1);
	reply_begin(&text);
	lua_json_encode(L, 1, &text);
	lua_pushlstring(L, text.data, text.len);
	return 1;
}

static int module_array(lua_State *L)
{
	lua_settop(L, 1);
	if (lua_isnil(L, 1)) {
		lua_newtable(L);
		lua_replace(L, 1);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	array_mark(L);
	return 1;
}

int lua_json_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "decode", module_decode },
		{ "encode", module_encode },
		{ "array", module_array },
		{ NULL, NULL },
	};

	luaL_newmetatable(L, ARRAY_MARK);
	lua_pop(L, 1);
	luaL_newlib(L, functions);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	return 1;
}
