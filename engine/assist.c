/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/assist.h"

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/vm.h"

/* Opcodes: SDM vol. 2 */
#define OPCODE_INT3  0xcc
#define OPCODE_FWAIT 0x9b

#define VECTOR_BP 3 /* SDM vol. 3A, 6.3.1 */

/* Both are one byte. */
static int skip(const struct vcpu *v, struct err *err)
{
	struct kvm_regs regs;

	if (ioctl(v->fd, KVM_GET_REGS, &regs) < 0)
		return err_sys(err, "KVM_GET_REGS");
	regs.rip++;
	return ioctl(v->fd, KVM_SET_REGS, &regs) < 0 ? err_sys(err, "KVM_SET_REGS") : 0;
}

/* A trap: RIP is behind the instruction when it is delivered. */
static int raise_breakpoint(const struct vcpu *v, struct err *err)
{
	struct kvm_vcpu_events events;

	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return err_sys(err, "KVM_GET_VCPU_EVENTS");
	events.exception.injected = 1;
	events.exception.nr = VECTOR_BP;
	events.exception.has_error_code = 0;
	return ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events) < 0
		       ? err_sys(err, "KVM_SET_VCPU_EVENTS")
		       : 0;
}

int assist_emulate(struct vcpu *v, const struct insn *insn, struct err *err)
{
	const uint8_t opcode = insn->n > 0 ? insn->bytes[0] : 0;
	int ret;

	if (!(v->vm->kvm->quirks & QUIRK_ASSIST))
		return 0;
	if (opcode != OPCODE_INT3 && opcode != OPCODE_FWAIT)
		return 0;
	v->stats.assists++;
	ret = skip(v, err);
	if (ret == 0 && opcode == OPCODE_INT3)
		ret = raise_breakpoint(v, err);
	return ret < 0 ? ret : 1;
}

#define ANY 0xff

/* An instruction: its opcode behind all prefixes, and what tells it from others. */
struct pattern {
	uint8_t prefix; /* that has to be there; 0: any or none */
	uint8_t nopcode, opcode[3];
	uint8_t modrm; /* the whole byte; ANY: whatever */
	uint8_t reg;   /* its bits 5..3; ANY: whatever */
	const char *hint;
};

#define NOXSAVE "noxsave on its command line"
#define NOSMAP	"CPUID without leaf 7, or nosmap on its command line"

/* clang-format off */
static const struct pattern patterns[] = {
	{ 0xf3, 2, { 0x0f, 0xb8 },	 ANY,  ANY, "clearcpuid=popcnt on its command line" },
	{ 0,	2, { 0x0f, 0x01 },	 0xd0, ANY, NOXSAVE }, /* xgetbv */
	{ 0,	2, { 0x0f, 0x01 },	 0xd1, ANY, NOXSAVE }, /* xsetbv */
	{ 0,	2, { 0x0f, 0xae },	 ANY,  4,   NOXSAVE }, /* xsave */
	{ 0,	2, { 0x0f, 0xae },	 ANY,  5,   NOXSAVE }, /* xrstor */
	{ 0,	2, { 0x0f, 0xae },	 ANY,  6,   NOXSAVE }, /* xsaveopt */
	{ 0,	2, { 0x0f, 0xc7 },	 ANY,  3,   NOXSAVE }, /* xrstors */
	{ 0,	2, { 0x0f, 0xc7 },	 ANY,  4,   NOXSAVE }, /* xsavec */
	{ 0,	2, { 0x0f, 0xc7 },	 ANY,  5,   NOXSAVE }, /* xsaves */
	{ 0,	1, { 0xc4 },		 ANY,  ANY, NOXSAVE }, /* AVX */
	{ 0,	1, { 0xc5 },		 ANY,  ANY, NOXSAVE },
	{ 0,	1, { 0x62 },		 ANY,  ANY, NOXSAVE }, /* AVX-512 */
	{ 0,	2, { 0x0f, 0x01 },	 0xca, ANY, NOSMAP }, /* clac */
	{ 0,	2, { 0x0f, 0x01 },	 0xcb, ANY, NOSMAP }, /* stac */
	{ 0,	2, { 0x0f, 0xc7 },	 ANY,  1,   "CPUID without cx16" },
	{ 0,	2, { 0x0f, 0x01 },	 0xf9, ANY, "CPUID without rdtscp" },
	{ 0x66, 3, { 0x0f, 0x38, 0x82 }, ANY,  ANY, "noinvpcid on its command line" },
	{ 0,	2, { 0x0f, 0x00 },	 ANY,  5,   "mitigations=off on its command line" }, /* verw */
	{ 0,	2, { 0x0f, 0x01 },	 0xc1, ANY, "CPUID without KVM's hypercalls" }, /* vmcall */
	{ 0,	2, { 0x0f, 0x01 },	 0xd9, ANY, "CPUID without KVM's hypercalls" },
};
/* clang-format on */

/* Legacy prefixes, then REX: SDM vol. 2A, 2.1.1 and 2.2.1 */
static uint32_t prefixes(const struct insn *insn)
{
	static const uint8_t legacy[] = { 0x66, 0xf2, 0xf3, 0x2e, 0x36,
					  0x3e, 0x26, 0x64, 0x65, 0xf0 };
	uint32_t n = 0;

	while (n < insn->n && memchr(legacy, insn->bytes[n], sizeof(legacy)))
		n++;
	return n < insn->n && (insn->bytes[n] & 0xf0) == 0x40 ? n + 1 : n;
}

static bool matches(const struct pattern *p, const struct insn *insn, uint32_t skipped)
{
	const uint8_t *at = insn->bytes + skipped;
	uint8_t modrm;

	if (insn->n - skipped <= p->nopcode || memcmp(at, p->opcode, p->nopcode) != 0)
		return false;
	if (p->prefix != 0 && !memchr(insn->bytes, p->prefix, skipped))
		return false;
	modrm = at[p->nopcode];
	return (p->modrm == ANY || p->modrm == modrm) &&
	       (p->reg == ANY || p->reg == (modrm >> 3 & 7));
}

const char *assist_hint(const struct insn *insn)
{
	const uint32_t skipped = prefixes(insn);

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		if (matches(&patterns[i], insn, skipped))
			return patterns[i].hint;
	}
	return NULL;
}
