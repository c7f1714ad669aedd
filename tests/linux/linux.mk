# linux.mk - what tests of Linux guests run inside them. Included by the root Makefile, after
# guest/linux/linux.mk.
linux_tests := $L/keeper

$(linux_tests): $L/%: tests/linux/%.c
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(call need,musl-gcc)
	$Qmusl-gcc $(std) $(warn) $(if $(WERROR),-Werror) -Os -static -s -o $@ $<

# There is something for them to run in.
check-linux-run: $(if $(wildcard $L/initramfs.cpio),$(linux_tests))
