# linux.mk - Linux guests: `make linux-guest` builds two kernels from Debian's source, a first
# process, and root file systems. Included by the root Makefile, which defines B, Q, say, need, std,
# warn and FORCE. Cached in $L: a second time it does nothing.
L := $B/linux
linux_kernels := $L/vmlinux-minimal $L/vmlinux-full
linux_roots   := $L/initramfs.cpio $L/tiny.erofs $L/debian.erofs
linux_driver  := $(wildcard guest/linux/driver/*) guest/abi.h
linux_samples := $(wildcard guest/linux/functions/*)

# Of all that is built here: the same bytes from the same sources.
linux_date := SOURCE_DATE_EPOCH=1760000000

linux-guest:
	$Qsh tools/deps.sh linux
	+$Q$(sub) linux-guest-run
linux-guest-run: $(linux_kernels) $(linux_roots) $L/thaw-device

# What is in the kernel's tree keeps its time unless it changes; the stamp says that we looked.
$L/source: guest/linux/source.sh $(wildcard guest/linux/patches/*) $(linux_driver)
	$(call say,SOURCE)
	@mkdir -p $(@D)
	$Qsh guest/linux/source.sh $L/src
	@touch $@

$(linux_kernels): $L/vmlinux-%: guest/linux/%.config guest/linux/kernel.sh $L/source
	$(call say,KERNEL)
	$Q$(linux_date) sh guest/linux/kernel.sh $L/src $< $L/$* $@

$L/init: guest/linux/init.c
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(call need,musl-gcc)
	$Qmusl-gcc $(std) $(warn) $(if $(WERROR),-Werror) -Os -static -s -o $@ $<

# With the kernel's own headers, which musl has not.
$L/thaw-device: guest/linux/thaw_device.c guest/abi.h
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(CC) $(std) $(warn) $(if $(WERROR),-Werror) -O2 -static -s -o $@ $<

$L/initramfs.cpio: $L/init
	$(call say,CPIO)
	$Q$(call need,cpio)
	$Qrm -rf $@.root; mkdir $@.root; cp $< $@.root/init
	$Qcd $@.root && touch -d @1760000000 . init && \
		printf '.\ninit\n' | cpio -o -H newc -R 0:0 --reproducible --quiet >../$(@F).part
	$Qmv $@.part $@; rm -r $@.root

$L/debian.made: guest/linux/debian.sh
	$(call say,DEBIAN)
	$Q$(call need,debootstrap)
	$Qsh guest/linux/debian.sh $L/debian
	@touch $@

$L/tiny.erofs: folder := tiny
$L/debian.erofs: folder := $L/debian
$L/debian.erofs: $L/debian.made
$L/tiny.erofs $L/debian.erofs: $L/init $(linux_samples) guest/linux/rootfs.sh
	$(call say,EROFS)
	$Q$(call need,mkfs.erofs)
	$Q$(linux_date) sh guest/linux/rootfs.sh $(folder) $L/init $@

.PHONY: linux-guest linux-guest-run
