# bench.mk - `make bench`, `bench-quick` and `density`. Included by the root Makefile.
bench_lib      := $(filter-out $O/bench/main.o,$(call objects,bench/*.c))
bench          := $O/bench/main
bench_programs := $(addprefix $G/bench/,answer dirty touch)

$G/bench/%: bench/guest/%.c
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(CC) $(std) $(warn) $(if $(WERROR),-Werror) -O2 -static -o $@ $<

# Every ioctl of the program passes calls.c, which can time it.
$O/bench.a: $(bench_lib)
$(bench): private libs += -Wl,--wrap=ioctl -lpthread
$(bench): $O/bench/main.o $O/bench.a $O/parts.a $O/core.a
	$(call say,LINK)
	$(link)

bench bench-quick density:
	$Qsh tools/deps.sh build bench
	+$Q$(sub) $@-run
bench-run bench-quick-run density-run: all $(samples) $(bench_programs) $G/tests/blk.elf $(bench)
bench-run:
	$Q$(bench) $(if $(BENCH_QUICK),--quick) --thaw $(thaw) --guest $G --out $B/bench
bench-quick-run:
	$Q$(bench) --quick --thaw $(thaw) --guest $G --out $B/bench
density-run:
	$Q$(bench) --density --thaw $(thaw) --guest $G --out $B/density

.PHONY: bench bench-quick density bench-run bench-quick-run density-run
-include $(patsubst %.o,%.d,$(bench_lib) $(bench).o)
