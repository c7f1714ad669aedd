# thawd.mk - the program that asks thawd and checks what it answers, `make bench-thawd` and
# `make soak-thawd`. Included by the root Makefile.
load_parts := $(call objects,bench/thawd/*.c)

$(load): $(load_parts) $O/daemon.a $O/parts.a $O/core.a
	$(call say,LINK)
	$(link)

bench-thawd:
	$Qsh tools/deps.sh build thawd
	+$Q$(sub) $@-run
bench-thawd-run: all $(load) $(samples) $G/tests/keeper
	$QTHAW=$(thaw) THAWD=$(thawd) LOAD=$(load) sh bench/thawd/bars.sh

# What takes half an hour: the drills of tests/e2e_thawd_drills.sh at length.
soak-thawd:
	$Qsh tools/deps.sh build check thawd
	+$Q$(sub) $@-run
soak-thawd-run: all $(load) $(samples) $(guest_tests)
	$QDRILL_SECONDS=600 DRILL_RUNS=100000 DRILL_FILLS=1000 DRILL_STOPS=50 DRILL_KILLS=50 \
		TEST_LIMIT_S=7200 THAW=$(thaw) THAWD=$(thawd) LOAD=$(load) sh tests/run.sh tests/e2e_thawd_drills.sh

.PHONY: bench-thawd bench-thawd-run soak-thawd soak-thawd-run
-include $(load_parts:.o=.d)
