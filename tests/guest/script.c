/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c FILE - Debian's Lua in a static program: run the script in FILE. The exit status is
 * 1 when it fails.
 */
#include <lua5.4/lauxlib.h>
#include <lua5.4/lualib.h>

#include "tests/guest/check.h"

int main(int argc, char **argv)
{
	lua_State *lua = luaL_newstate();

	CHECK(argc == 2 && lua);
	luaL_openlibs(lua);
	if (luaL_dofile(lua, argv[1])) {
		fprintf(stderr, "%s\n", lua_tostring(lua, -1));
		return 1;
	}
	lua_close(lua);
	return 0;
}
