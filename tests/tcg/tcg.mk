# tcg.mk - the KVM and end-to-end tests on hosts with SVM that QEMU emulates: `make test-tcg`.
# Included by the root Makefile. L1=6.1 takes that series of Debian's kernels as the host's;
# L1_APPEND= adds to its command line, as kvm_amd.npt=0 (shadow paging).
L1 ?= 6.12
T  := $B/tcg

# Scripts that do not ask for KVM have nothing to gain there, and those of thawd ask it with curl,
# which is not there. The long ones first: the machines are to end together.
tcg_stock := $(wildcard tests/tcg/stock_*.sh)
tcg_all   := $(tcg_stock) tests/tcg/generations.sh tests/tcg/beside.sh $(filter-out tests/e2e_thawd%,$(shell grep -l ^need_kvm $(e2e))) $(kvm) tests/tcg/crossing.sh
tcg_tests := $(tcg_all)
# What stock kernels boot from as guests, and our own kernel if it is there.
stock     := $(foreach k,6.1 6.12,$T/$k/vmlinuz $T/$k/stock.cpio) $T/disk.ext4 $(if $(wildcard $L/vmlinux-full),\
	$T/full/vmlinuz $T/full/stock.cpio $L/initramfs.cpio $(linux_tests) $T/data.ext4)
# All of them, whichever are to run: the archive is not made anew for others.
tcg_files := $(tcg_all) $(functions) $(guest_tests) $T/orders.db bin/thaw tests/run.sh \
	tests/e2e.sh tests/tcg/worker.sh tests/tcg/refusal.sh tests/tcg/stock.sh \
	$O/bench/main tests/linux.sh tests/keeper.sh tests/linux/generations.sh $(stock) docs/tutorial.md docs/embed.md \
	$(wildcard tests/e2e/* guest/functions/lua/*) $(shell find tests/golden -type f)

$T/leave: tests/tcg/leave.c $O/flags
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(CC) $(std) $(warn) $(if $(WERROR),-Werror) -O2 -static -o $@ $<

$T/orders.db: $B/orders.sql
	$(call say,SQL)
	@mkdir -p $(@D)
	$Qrm -f $@; sqlite3 $@ '.read $<'

$(patsubst %,$T/%/package,$(sort 6.1 6.12 $(L1))): $T/%/package: tests/tcg/kernel.sh
	$(call say,GET)
	$Qsh tests/tcg/kernel.sh $* $(@D)
$T/%/vmlinuz: $T/%/package ;

$T/full/package: $L/vmlinux-full
	@mkdir -p $(@D)/guest
	$Qcp $< $(@D)/vmlinuz; echo vmlinux-full >$@

$T/%/stock.cpio: $T/%/package tests/tcg/initrd.sh tests/tcg/stock_init $L/thaw-device
	$(call say,CPIO)
	$Q$(call need,busybox); $(call need,cpio)
	$Qsh tests/tcg/initrd.sh $@ $(@D)/guest $L/thaw-device

# With a journal, and small enough to be one reply.
$T/disk.ext4:
	$(call say,EXT4)
	@mkdir -p $(@D)
	$Qrm -f $@; truncate -s 4M $@; mkfs.ext4 -q -b 1024 -J size=1 $@

# For tests/linux/keeper.c.
$T/data.ext4:
	$(call say,EXT4)
	@mkdir -p $(@D)
	$Qrm -f $@; truncate -s 12M $@; mkfs.ext4 -q -b 4096 -E lazy_itable_init=0 $@

$T/$(L1)/base.cpio: $T/$(L1)/package $T/leave tests/tcg/initramfs.sh tests/tcg/init $(tcg_files)
	$(call say,CPIO)
	$Q$(call need,busybox); $(call need,cpio)
	$Qsh tests/tcg/initramfs.sh $@ $(@D) $T/leave $(tcg_files)

test-tcg:
	$Qsh tools/deps.sh build check tcg
	+$Q$(sub) test-tcg-run
test-tcg-run: $T/$(L1)/base.cpio
	$Q$(call need,qemu-system-x86_64)
	@echo "  L1 is $$(cat $T/$(L1)/package); its consoles: $T/$(L1)/console-*.log"
	$QTCG_DIR=$T/$(L1) TCG_APPEND='$(L1_APPEND)' TCG_TESTS='$(tcg_tests)' SHOW_SKIPS=1 THAW=$(thaw) \
		sh tests/run.sh tests/tcg/tcg.sh

.PHONY: test-tcg test-tcg-run
