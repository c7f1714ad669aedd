# make [all] | linux-guest | demo | demo-thawd | demo-linux | check | check-linux | test | kvm-test | e2e | test-tcg | asan | tsan | fuzz | soak | soak-linux
#      | bench | bench-quick | bench-thawd | density | soak-thawd | check-style | format | install | uninstall | deps
#      | clean
#
# V=1 shows commands, WERROR=1 stops at warnings, CC=clang, MODE=debug, PREFIX= and DESTDIR=
# for install, REQUIRE_KVM=1 makes a missing /dev/kvm a failure, SECONDS_EACH= for fuzz.
MODE    ?= release
PREFIX  ?= /usr/local
B       := build
O       := $B/$(MODE)

std     := -std=c17 -D_GNU_SOURCE -I.
warn    := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
           -Wmissing-prototypes -Wold-style-definition -Wundef -Wpointer-arith -Wcast-align \
           -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla -Wswitch-enum -Wimplicit-fallthrough \
           -Wnull-dereference -Wdouble-promotion -Wframe-larger-than=8192
hard    := -fstack-protector-strong -fno-common -fno-strict-aliasing -fPIC -fvisibility=hidden
release := -O2 -g -D_FORTIFY_SOURCE=2
debug   := -O0 -g3
asan    := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
           -Wno-frame-larger-than -fsanitize=address,undefined
# It does not know of fences, which gcc says of each; those here order accesses of the guest's.
tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)
fuzz    := $(asan) -fsanitize=fuzzer-no-link
ifeq ($(filter release debug asan tsan fuzz,$(MODE)),)
$(error MODE is '$(MODE)', expected release, debug, asan, tsan or fuzz)
endif
ifeq ($(MODE)$(findstring clang,$(CC)),fuzz)
override CC := clang
endif

# Ours in lower case, the user's CFLAGS/LDFLAGS last: `make CFLAGS=-march=native` adds, never
# replaces.
cflags   = $(std) $(warn) $(hard) $($(MODE)) $(if $(WERROR),-Werror) $(loose) $(CFLAGS)
ldflags  = -pie -Wl,-z,relro,-z,now,--as-needed $(filter -fsanitize=%,$($(MODE))) $(LDFLAGS)
needs   := -llz4 -ljansson -lcrypto -lisal -luring -lseccomp
libs    := $(needs) -larchive -lsqlite3 -lmicrohttpd -lgnutls -lm

# Sources are found, not listed: a new file in a folder is part of the build.
objects  = $(patsubst %.c,$O/%.o,$(wildcard $1))
programs = $(patsubst %.c,$O/%,$(wildcard $1))
lib     := $(call objects,engine/*.c devices/*.c snapshot/*.c)
main    := $O/tools/thaw/main.o
parts   := $(filter-out $(main),$(call objects,tools/thaw/*.c tools/measure/*.c))
dmain   := $O/tools/thawd/main.o
daemon  := $(filter-out $(dmain),$(call objects,tools/thawd/*.c))
parsers := $(call objects,$(addprefix guest/kindling/,elf.c cpio.c text.c))
helpers := $(call objects,tests/helpers*.c)
unit    := $(call programs,tests/test_*.c)
kvm     := $(call programs,tests/kvm_*.c)
threads := $(call programs,tests/thread_*.c)
fuzzers := $(call programs,tests/fuzz/fuzz_*.c)
e2e     := $(wildcard tests/e2e_*.sh)
servers := $(call programs,tests/e2e/*.c)
load    := $O/bench/thawd/thawd_load
folders := engine devices snapshot tools tools/* guest guest/* guest/*/* tests tests/* bench bench/*
ours    := $(wildcard $(addsuffix /*.[ch],$(folders)))
scripts := $(wildcard guest/linux/*.sh guest/linux/functions/*.sh tools/*.sh tools/*.bash tests/*.sh tests/*/*.sh bench/*/*.sh .ci/run)

Q    := $(if $(V),,@)
say   = $(if $(V),@:,@printf '  %-6s %s\n' $1 $@)
sub  := $(MAKE) --no-print-directory
need  = command -v $1 >/dev/null || { echo "$1 is not installed: run 'make deps'"; exit 1; }

# Programs are left in bin/; other modes than release keep theirs to themselves.
left  = $(if $(filter release,$(MODE)),bin/$1,$O/$1)
thaw  := $(call left,thaw)
thawd := $(call left,thawd)
version := $(shell sed -n 's/.*THAW_VERSION "\(.*\)"/\1/p' snapshot/version.h)
soname  := libthaw.so.0
all: $(thaw) $(thawd) $(if $(filter release,$(MODE)),$O/libthaw.a $O/$(soname))

bin/thaw bin/thawd: bin/%: $O/%
	$Qinstall -D -m 755 $< $@

# What runs inside machines is built once, in $G, whatever MODE is. The fragments list what
# they build: functions (the samples) and guest_tests.
G := $B/guest
-include guest/kindling/kindling.mk guest/functions/functions.mk tests/guest/guest.mk
samples  := $(functions) $(if $(functions),$B/orders.sql)
# Fuzzers need no guest kernel; without it, their compiler does not rebuild the guest's.
blob     := $(if $(filter-out fuzz,$(MODE)),$G/kindling_blob.o)

$G/kindling_blob.o: guest/kindling_blob.S $G/kindling.elf
	$(call say,AS)
	$Q$(CC) -Wa,-I$G -c -o $@ $<

# Archives, so that a program takes only what it uses. Tests may also use the parts of the
# programs, and those of kindling's parsers that are plain C.
$O/core.a: $(lib) $(blob)
$O/parts.a: $(parts)
$O/daemon.a: $(daemon)
$O/parsers.a: $(parsers)
$O/helpers.a: $(helpers)
$O/%.a:
	$(call say,AR)
	@mkdir -p $(@D)
	$Qrm -f $@
	$Q$(AR) rcs $@ $^

# libthaw has the names of snapshot/thaw.h and no other: one object whose hidden names became
# local, and a shared library with a version script.
$O/libthaw.o: $(lib)
	$(call say,LINK)
	$Q$(CC) -r -nostdlib -o $@ $^
	$Qobjcopy --localize-hidden $@
$O/libthaw.a: $O/libthaw.o
$O/$(soname): $(lib) snapshot/thaw.map
	$(call say,LINK)
	$Q$(CC) $(filter-out -pie,$(ldflags)) -shared -Wl,-soname,$(soname),-z,defs \
		-Wl,--version-script=snapshot/thaw.map -o $@ $(lib) $(needs)

link = $Q$(CC) $(ldflags) -o $@ $^ $(libs)
$(fuzzers): private ldflags += -fsanitize=fuzzer
$(unit) $(kvm): private libs += -lcriterion
$O/thaw: $(main) $O/parts.a $O/core.a
	$(call say,LINK)
	$(link)
$O/thawd: $(dmain) $O/daemon.a $O/parts.a $O/core.a
	$(call say,LINK)
	$(link)
$(unit) $(kvm) $(threads) $(fuzzers) $(servers): %: %.o $O/helpers.a $O/parsers.a $O/bench.a $O/daemon.a $O/parts.a $O/core.a
	$(call say,LINK)
	$(link)

$O/%.o: %.c $O/flags | $O/lib.headers
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(CC) $(cflags) -MMD -MP -c -o $@ $<

# Criterion's macros do not pass some of the warnings, so tests drop those. An unknown -Wno-
# does no harm: each compiler has its own name for one of them. Private: else $O/flags would
# depend on who asks for it first.
$O/tests/%.o: private loose := -Wno-conversion -Wno-sign-conversion -Wno-missing-prototypes \
           -Wno-shadow -Wno-write-strings -Wno-cast-qual -Wno-discarded-qualifiers \
           -Wno-unknown-warning-option -Wno-incompatible-pointer-types-discards-qualifiers
$(unit:=.o) $(kvm:=.o) $(helpers): | $O/test.headers

# The flags themselves are a dependency: changing them rebuilds.
flags := $(subst ','\'',$(CC) $(cflags) $(ldflags))
$O/flags: FORCE
	@mkdir -p $O; echo '$(flags)' | cmp -s - $@ || echo '$(flags)' > $@

# One sentence in place of a screen of errors when a library is not installed.
$O/lib.headers: headers := lz4.h jansson.h liburing.h openssl/evp.h isa-l/crc.h seccomp.h archive.h \
           sqlite3.h microhttpd.h gnutls/gnutls.h curl/curl.h
$O/test.headers: headers := criterion/criterion.h
$O/%.headers: $O/flags
	@printf '#include <%s>\n' $(headers) | $(CC) $(cflags) -E -x c -o /dev/null - 2>$@.log \
		|| { cat $@.log; echo "a library's headers are missing: run 'make deps'"; exit 1; }
	@touch $@

# ---- tests ----

run := $QTHAW=$(thaw) THAWD=$(thawd) LOAD=$(load) sh tests/run.sh
test: $(unit)
	$(run) $(unit)
kvm-test: $(thaw) $(kvm) $(samples) $(guest_tests)
	$(run) $(kvm)
e2e: all $(servers) $(load) $(samples) $(guest_tests)
	$(run) $(e2e)
check:
	$Qsh tools/deps.sh build check thawd
	+$Q$(sub) check-run
check-run: all $(unit) $(kvm) $(servers) $(load) $(samples) $(guest_tests)
	$(run) $(unit) $(kvm) $(e2e)
# Of Linux guests, which take seconds to boot: skipped where `make linux-guest` was not made, and
# failures there with REQUIRE_LINUX=1.
check-linux:
	$Qsh tools/deps.sh build check thawd
	+$Q$(sub) check-linux-run
check-linux-run: export TEST_LIMIT_S ?= 1200
check-linux-run: all $(load) $(samples) $(guest_tests)
	$(run) $(wildcard tests/linux/*.sh)
asan:
	+$Q$(sub) MODE=asan asan-run
asan-run: $(thaw) $(unit) $(kvm) $(samples) $(guest_tests)
	$(run) $(unit) $(kvm)
# Criterion does not start under TSan, so these are plain programs: exit status 0 is a pass.
tsan:
	+$Q$(sub) MODE=tsan tsan-run
tsan-run: $(threads) $(thaw) $(samples)
	$(run) $(threads)
fuzz:
	$Q$(call need,clang)
	+$Q$(sub) MODE=fuzz fuzz-run
fuzz-run: $(fuzzers)
	$(run) $(fuzzers)
# What takes minutes: ten thousand rewinds of machines that do their worst, each verified; five
# hundred kills of zygotes, shells and callers, and of a store and a queue; a thousand machines alive
# at once; a million random calls of 2,000 machines, under ASan, and a guest that scribbles over all devices, for
# SCRIBBLE_SECONDS=60.
SCRIBBLE_SECONDS ?= 60
soak:
	$Qsh tools/deps.sh build check
	+$Q$(sub) soak-run
	+$Q$(sub) MODE=asan soak-asan-run
soak_tests := $(addprefix $O/tests/,kvm_rewind kvm_fork kvm_slot_fork kvm_kills kvm_shells \
             test_store_images test_queue_deaths)
soak-run: $(soak_tests) $(thaw) $(samples) $(guest_tests)
	$QREWINDS=10000 PAUSE_PERCENT=20 KILLS=500 SLOTS=1000 sh tests/run.sh $(soak_tests)
soak-asan-run: $O/tests/kvm_random_calls $O/tests/kvm_scribble $(thaw) $(guest_tests)
	$QRANDOM_CALLS=1000000 SCRIBBLE_SECONDS=$(SCRIBBLE_SECONDS) \
		TEST_LIMIT_S=$$(($(SCRIBBLE_SECONDS) + 600)) sh tests/run.sh $(filter %kvm_random_calls %kvm_scribble,$^)
# A Linux guest with a disk under load, frozen and thawed for SOAK_SECONDS (180).
soak-linux: all
	$Qsh tools/deps.sh build linux
	+$Q$(sub) linux-guest-run $(linux_tests)
	$QTEST_LIMIT_S=$$(($${SOAK_SECONDS:-180} + 900)) REQUIRE_LINUX=1 THAW=$(thaw) sh tests/run.sh tests/soak_linux.sh
-include guest/linux/linux.mk tests/linux/linux.mk tests/tcg/tcg.mk
-include bench/bench.mk bench/thawd/thawd.mk

demo:
	$Qsh tools/deps.sh build
	+$Q$(sub) demo-run
demo-run: all $(samples)
	$Qsh tools/demo.sh
demo-thawd:
	$Qsh tools/deps.sh build thawd
	+$Q$(sub) demo-thawd-run
demo-thawd-run: all $(samples)
	$Qsh tools/demo_thawd.sh
demo-linux:
	$Qsh tools/deps.sh build linux
	+$Q$(sub) demo-linux-run
demo-linux-run: all linux-guest-run
	$Qsh tools/demo_linux.sh

# ---- style ----

check-style: check-format check-layers check-headers check-tidy check-layout check-scripts
check-format:
	$Q$(call need,clang-format)
	$Qclang-format --dry-run -Werror $(ours)
check-layers:
	$Qsh tests/check_layers.sh
# Every header compiles alone.
check-headers: $(addsuffix .alone,$(wildcard engine/*.h devices/*.h snapshot/*.h tools/*/*.h bench/*.h bench/*/*.h guest/*.h))
%.h.alone: %.h | $O/lib.headers
	$Qecho '#include "$<"' | $(CC) $(cflags) -Werror -fsyntax-only -x c -
tidy := $(filter engine/%.c devices/%.c snapshot/%.c tools/%.c,$(ours))
check-tidy:
	$Q$(call need,clang-tidy)
	$Qprintf '%s\n' $(tidy) | xargs -P "$$(nproc)" -n 1 sh -c \
		'out=$$(clang-tidy --quiet "$$1" -- $(std) 2>&1) || { echo "$$out"; exit 1; }' tidy
# The layout of every state table, as the program prints it, must be what was reviewed.
check-layout: all
	$Q$(thaw) layout | diff -u tests/golden/layout.txt -
check-scripts:
	$Q$(call need,shellcheck)
	$Qshellcheck $(scripts)
	$Q! mandoc -T lint -W warning docs/*.[18] | grep .
format:
	$Q$(call need,clang-format)
	$Qclang-format -i $(ours)

# ---- the host ----

deps:
	$Qsh tools/deps.sh build check thawd style tcg linux

bindir     = $(DESTDIR)$(PREFIX)/bin
mandir     = $(DESTDIR)$(PREFIX)/share/man
unitdir    = $(DESTDIR)$(PREFIX)/lib/systemd/system
bashdir    = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
libdir     = $(DESTDIR)$(PREFIX)/lib
incdir     = $(DESTDIR)$(PREFIX)/include
installed  = $(bindir)/thaw $(bindir)/thawd $(mandir)/man1/thaw.1 $(mandir)/man8/thawd.8 \
	$(unitdir)/thawd.service $(bashdir)/thaw $(incdir)/thaw.h \
	$(libdir)/libthaw.a $(libdir)/$(soname) $(libdir)/libthaw.so $(libdir)/pkgconfig/thaw.pc
# Of Linux guests, what `make linux-guest` made: all of it or nothing, and nothing is made for them here.
linuxdir   = $(libdir)/thaw/linux
linux_data = vmlinux-minimal vmlinux-full initramfs.cpio
linux_less = $(filter-out $(notdir $(wildcard $L/*)),$(linux_data) thaw-device)
install: all
	install -D -m 755 $(thaw) $(bindir)/thaw
	install -D -m 755 $(thawd) $(bindir)/thawd
	install -D -m 644 snapshot/thaw.h $(incdir)/thaw.h
	install -D -m 644 $O/libthaw.a $(libdir)/libthaw.a
	install -D -m 755 $O/$(soname) $(libdir)/$(soname)
	ln -sf $(soname) $(libdir)/libthaw.so
	install -d $(libdir)/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(version)|; s|@NEEDS@|$(needs)|' snapshot/thaw.pc.in \
		>$(libdir)/pkgconfig/thaw.pc
	install -D -m 644 docs/thaw.1 $(mandir)/man1/thaw.1
	install -D -m 644 docs/thawd.8 $(mandir)/man8/thawd.8
	install -d $(unitdir)
	sed 's|@PREFIX@|$(PREFIX)|' tools/thawd.service.in >$(unitdir)/thawd.service
	install -D -m 644 tools/thaw.bash $(bashdir)/thaw
ifeq ($(linux_less),)
	install -d $(linuxdir)
	install -m 644 $(addprefix $L/,$(linux_data)) $(linuxdir)
	install -m 755 $L/thaw-device $(linuxdir)
else
	@echo "Linux guests are left out, for want of $(linux_less): run 'make linux-guest' before"
endif
uninstall:
	rm -f $(installed) $(addprefix $(linuxdir)/,$(linux_data) thaw-device)
	rmdir $(linuxdir) $(libdir)/thaw 2>/dev/null || true

clean:
	rm -rf $B bin

.PHONY: all demo demo-run demo-thawd demo-thawd-run demo-linux demo-linux-run check check-run check-linux \
	check-linux-run soak soak-linux soak-run soak-asan-run test kvm-test e2e asan asan-run tsan tsan-run fuzz fuzz-run \
	check-style check-format check-layers check-headers check-tidy check-layout \
	check-scripts format deps install uninstall clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:
-include $(patsubst %.o,%.d,$(lib) $(main) $(dmain) $(parts) $(daemon) $(parsers) $(helpers)) \
	$(addsuffix .d,$(unit) $(kvm) $(fuzzers) $(servers))
