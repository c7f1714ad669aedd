# guest.mk - programs that run inside machines to test them, static, in $G/tests. Included by
# the root Makefile, which defines CC, Q, say, std, warn, G and FORCE. Sets guest_tests.
#
# Each program is one C file of this folder. Those that test system calls are also built as a
# position-independent executable and, where musl-gcc is installed, against another C library.

guest_names := $(basename $(notdir $(wildcard tests/guest/*.c)))
guest_twice := calls files signals waits writes
guest_musl  := $(if $(shell command -v musl-gcc 2>/dev/null),$(addsuffix _musl,$(guest_twice)))
guest_tests := $(addprefix $G/tests/,$(guest_names) $(addsuffix _pie,$(guest_twice)) $(guest_musl))

guest_cflags := $(std) $(warn) $(if $(WERROR),-Werror) -O2 -fno-strict-aliasing

guest_compile = $Q$1 $(guest_cflags) $2 -MMD -MP -MF $@.d -o $@ $(filter %.c %.S,$^) $(guest_libs)

$G/tests/vectors: tests/guest/vectors_call.S
# Lua's library offers to load C modules, which would need shared libraries. The script does not.
$G/tests/script: private guest_cflags += -Wl,--no-warnings
$G/tests/script: private guest_libs := -llua5.4 -lm
$G/tests/big: private guest_cflags += -Wl,-z,max-page-size=65536
$G/tests/%: tests/guest/%.c $G/tests/flags
	$(call say,CC)
	$(call guest_compile,$(CC),-static)
$G/tests/%_pie: tests/guest/%.c $G/tests/flags
	$(call say,CC)
	$(call guest_compile,$(CC),-static-pie -fPIE)
$G/tests/%_musl: tests/guest/%.c $G/tests/flags
	$(call say,CC)
	$(call guest_compile,musl-gcc,-Wno-sign-conversion -static) # FD_SET of musl does not pass

$G/tests/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(guest_cflags)' | cmp -s - $@ || echo '$(CC) $(guest_cflags)' >$@

-include $(addsuffix .d,$(guest_tests))

# Kernels of their own, booted in place of kindling: one C file each, linked where the VMM puts
# a kernel (ABI_KERNEL_GPA). bytes.c has what a compiler calls of its own accord.
guest_kernels := $(patsubst tests/guest/kernels/%.c,$G/tests/%.elf,$(wildcard tests/guest/kernels/*.c))
guest_tests   += $(guest_kernels)
kernel_cflags := -ffreestanding -fno-builtin -fno-pic -mcmodel=small -mgeneral-regs-only \
           -mno-red-zone -fno-stack-protector -fcf-protection=none \
           -fno-asynchronous-unwind-tables -nostdlib -static \
           -Wl,-Ttext=0x100000,--build-id=none,-z,max-page-size=4096,-z,noexecstack

$G/tests/%.elf: tests/guest/kernels/%.c guest/kindling/bytes.c $G/tests/flags
	$(call say,CC)
	$(call guest_compile,$(CC),$(kernel_cflags))
