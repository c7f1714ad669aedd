# thawd.mk - the program that asks thawd and checks what it answers. Included by the root Makefile.
load_parts := $(call objects,bench/thawd/*.c)

$(load): $(load_parts) $O/daemon.a $O/parts.a $O/core.a
	$(call say,LINK)
	$(link)

-include $(load_parts:.o=.d)
