# kindling.mk - build the guest kernel, $G/kindling.elf. Included by the root Makefile, which
# defines CC, Q, say, std, warn, G and FORCE. Freestanding: no C library, no vector registers
# (they are the program's), and position-independent code because it is linked above 2 GiB.

kindling_c := $(wildcard guest/kindling/*.c)
kindling_s := $(wildcard guest/kindling/*.S)
kindling_o := $(patsubst guest/kindling/%,$G/kindling/%.o,$(kindling_c) $(kindling_s))

kindling_cflags := $(std) $(warn) $(if $(WERROR),-Werror) -I$G/kindling -Os -ffreestanding \
           -fPIE -fvisibility=hidden -mgeneral-regs-only -mno-red-zone -fno-stack-protector \
           -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing \
           -fno-common -fno-ident -U_FORTIFY_SOURCE
# No relaxing: the linker would shorten addresses to 32 bits, which do not reach so high.
kindling_ldflags := -nostdlib -static -Wl,-T,guest/kindling/kindling.ld,--no-relax \
           -Wl,--build-id=none,-z,max-page-size=4096,-z,noexecstack

$G/kindling.elf: $(kindling_o) guest/kindling/kindling.ld
	$(call say,LINK)
	$Q$(CC) $(kindling_ldflags) -o $@ $(kindling_o)
	$Qstrip $@

$G/kindling/%.c.o: guest/kindling/%.c $G/kindling/flags | $G/kindling/call_names.h
	$(call say,CC)
	$Q$(CC) $(kindling_cflags) -MMD -MP -c -o $@ $<

$G/kindling/%.S.o: guest/kindling/%.S $G/kindling/flags
	$(call say,AS)
	$Q$(CC) -I. -MMD -MP -c -o $@ $<

# The names of the system calls, as one string with a NUL behind each number's.
$G/kindling/call_names.h: $G/kindling/flags
	$(call say,GEN)
	$Qecho '#include <asm/unistd_64.h>' | $(CC) -E -dM -x c - | awk ' \
		/^#define __NR_[a-z]/ { name[$$3] = substr($$2, 6); if ($$3 > last) last = $$3 } \
		END { for (n = 0; n <= last; n++) printf "\"%s\\0\"\n", name[n] }' >$@

$G/kindling/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(kindling_cflags) $(kindling_ldflags)' | cmp -s - $@ || \
		echo '$(CC) $(kindling_cflags) $(kindling_ldflags)' >$@

-include $(kindling_o:.o=.d)
