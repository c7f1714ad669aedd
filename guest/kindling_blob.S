/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kindling_blob.S - the guest kernel as bytes of the host program, so that thaw is one file.
 * The build says where kindling.elf is (-Wa,-I).
 *
 *	extern const unsigned char kindling_elf_start[], kindling_elf_end[];
 */
	.section .rodata.kindling, "a", @progbits
	.balign 4096
	.globl kindling_elf_start, kindling_elf_end
	.hidden kindling_elf_start, kindling_elf_end
kindling_elf_start:
	.incbin "kindling.elf"
kindling_elf_end:
	.section .note.GNU-stack, "", @progbits
