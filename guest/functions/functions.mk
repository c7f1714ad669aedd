# The sample functions: static Linux programs, built once, whatever MODE the rest is built in.
G ?= build/guest
functions := $(addprefix $G/,echo lua sql tiny)
functions_cflags := -std=c17 -D_GNU_SOURCE -I. -O2 $(warn) $(if $(WERROR),-Werror)

functions: $(functions)

$G/functions/%.o: guest/functions/%.c
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(CC) $(functions_cflags) -MMD -MP -c -o $@ $<

# No C library and no start files: nothing may call memset or read a stack canary behind its back.
$G/functions/tiny.o: functions_cflags += -ffreestanding -fno-builtin -fno-stack-protector \
	-fno-pic -fno-asynchronous-unwind-tables -fcf-protection=none
$G/tiny: functions_ldflags := -nostdlib -Wl,--build-id=none -Wl,-z,noseparate-code -s
# SQLite can load extensions, and Lua modules in C, for which a static program would need shared
# libraries; the linker warns of that. Neither does it here.
$G/lua $G/sql: functions_ldflags := -Wl,--no-warnings
$G/lua: LDLIBS += -llua5.4 -ljansson -lm
$G/sql: LDLIBS += -lsqlite3 -lm

$G/echo: $G/functions/echo.o
$G/lua: $(patsubst %,$G/functions/%.o,lua lua_json event reply)
$G/sql: $(patsubst %,$G/functions/%.o,sql sql_json event reply orders)
$G/tiny: $G/functions/tiny.o
$(functions):
	$(call say,LINK)
	$Q$(CC) -static $(functions_ldflags) -o $@ $^ $(LDLIBS)

# The table of the sql function as SQL text, for comparing answers with the sqlite3 program.
build/orders.sql: $G/sql
	$(call say,GEN)
	$Q$< --dump >$@

.PHONY: functions
-include $(wildcard $G/functions/*.d)
