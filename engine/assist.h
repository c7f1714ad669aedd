/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assist.h - what a guest's kernel needs and KVM cannot emulate. Where ring 0 is emulated, KVM hands
 * us the bytes of an instruction that it does not know: two of them are carried out here, for the
 * others we know what keeps a kernel from using them. docs/design-notes.md, "Software KVM".
 */
#pragma once

#include <stdint.h>

struct err;
struct vcpu;

/* The bytes at RIP; an instruction and what follows it. */
struct insn {
	const uint8_t *bytes;
	uint32_t n; /* 0: KVM did not tell */
};

/*
 * assist_emulate - carry out @insn, at which @v stopped in ring 0.
 * Returns 1, or 0 when it is none of ours, or not on this host. Errors: what KVM says.
 */
int assist_emulate(struct vcpu *v, const struct insn *insn, struct err *err);

/* What keeps a Linux kernel from using this instruction; NULL: we do not know. */
const char *assist_hint(const struct insn *insn);
