/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpuid.h"

#include <cpuid.h>
#include <string.h>

#include "engine/util.h"

static const struct state_field cpuid_entry_fields[] = {
	STATE_FIELD(struct kvm_cpuid_entry2, function),
	STATE_FIELD(struct kvm_cpuid_entry2, index),
	STATE_FIELD(struct kvm_cpuid_entry2, flags),
	STATE_FIELD(struct kvm_cpuid_entry2, eax),
	STATE_FIELD(struct kvm_cpuid_entry2, ebx),
	STATE_FIELD(struct kvm_cpuid_entry2, ecx),
	STATE_FIELD(struct kvm_cpuid_entry2, edx),
	STATE_ARRAY(struct kvm_cpuid_entry2, padding),
};

const struct state_desc cpuid_entry_desc = STATE_DESC_ARRAY(
	"vcpu.cpuid", 1, struct kvm_cpuid_entry2, cpuid_entry_fields, CPUID_MAX_ENTRIES);

/* clang-format off */
/* Registers of feature bits: Intel SDM vol. 2A CPUID, AMD APM vol. 3 appendix E. Leaf 1 EBX and
 * the like (APIC ids, cache sizes) describe a CPU without promising anything to programs. */
const struct cpuid_word cpuid_words[] = {
	{ "1.ecx", 1, 0, 2 },		      { "1.edx", 1, 0, 3 },
	{ "7.ebx", 7, 0, 1 },		      { "7.ecx", 7, 0, 2 },
	{ "7.edx", 7, 0, 3 },		      { "7.1.eax", 7, 1, 0 },
	{ "d.1.eax", 0xd, 1, 0 },
	{ "80000001.ecx", 0x80000001u, 0, 2 }, { "80000001.edx", 0x80000001u, 0, 3 },
	{ "80000008.ebx", 0x80000008u, 0, 1 },
};

struct bit_name {
	uint32_t leaf, index, reg, bit;
	const char *name; /* as in /proc/cpuinfo */
};

static const struct bit_name bit_names[] = {
	{ 1, 0, 2, 0, "sse3" },	     { 1, 0, 2, 1, "pclmulqdq" }, { 1, 0, 2, 9, "ssse3" },
	{ 1, 0, 2, 12, "fma" },	     { 1, 0, 2, 13, "cx16" },	  { 1, 0, 2, 17, "pcid" },
	{ 1, 0, 2, 19, "sse4_1" },   { 1, 0, 2, 20, "sse4_2" },	  { 1, 0, 2, 21, "x2apic" },
	{ 1, 0, 2, 22, "movbe" },    { 1, 0, 2, 23, "popcnt" },
	{ 1, 0, 2, 24, "tsc_deadline_timer" },
	{ 1, 0, 2, 25, "aes" },	     { 1, 0, 2, 26, "xsave" },	  { 1, 0, 2, 27, "osxsave" },
	{ 1, 0, 2, 28, "avx" },	     { 1, 0, 2, 29, "f16c" },	  { 1, 0, 2, 30, "rdrand" },
	{ 7, 0, 1, 0, "fsgsbase" },  { 7, 0, 1, 3, "bmi1" },	  { 7, 0, 1, 5, "avx2" },
	{ 7, 0, 1, 8, "bmi2" },	     { 7, 0, 1, 9, "erms" },	  { 7, 0, 1, 10, "invpcid" },
	{ 7, 0, 1, 16, "avx512f" },  { 7, 0, 1, 17, "avx512dq" }, { 7, 0, 1, 18, "rdseed" },
	{ 7, 0, 1, 19, "adx" },	     { 7, 0, 1, 21, "avx512ifma" },
	{ 7, 0, 1, 28, "avx512cd" }, { 7, 0, 1, 29, "sha_ni" },	  { 7, 0, 1, 30, "avx512bw" },
	{ 7, 0, 1, 31, "avx512vl" }, { 7, 0, 2, 1, "avx512vbmi" }, { 7, 0, 2, 3, "pku" },
	{ 7, 0, 2, 6, "avx512_vbmi2" }, { 7, 0, 2, 8, "gfni" },	  { 7, 0, 2, 9, "vaes" },
	{ 7, 0, 2, 10, "vpclmulqdq" }, { 7, 0, 2, 11, "avx512_vnni" },
	{ 7, 0, 2, 22, "rdpid" },    { 7, 0, 3, 4, "fsrm" },	  { 7, 0, 3, 22, "amx_bf16" },
	{ 7, 0, 3, 24, "amx_tile" }, { 7, 1, 0, 4, "avx_vnni" },  { 7, 1, 0, 5, "avx512_bf16" },
	{ 0xd, 1, 0, 0, "xsaveopt" }, { 0xd, 1, 0, 1, "xsavec" }, { 0xd, 1, 0, 3, "xsaves" },
	{ 0x80000001u, 0, 2, 5, "lzcnt" }, { 0x80000001u, 0, 2, 6, "sse4a" },
	{ 0x80000001u, 0, 2, 11, "xop" }, { 0x80000001u, 0, 2, 16, "fma4" },
	{ 0x80000001u, 0, 2, 21, "tbm" }, { 0x80000001u, 0, 3, 11, "syscall" },
	{ 0x80000001u, 0, 3, 20, "nx" }, { 0x80000001u, 0, 3, 26, "1gb_pages" },
	{ 0x80000001u, 0, 3, 27, "rdtscp" }, { 0x80000001u, 0, 3, 29, "lm" },
};
/* clang-format on */

const uint32_t cpuid_nwords = ARRAY_SIZE(cpuid_words);
const uint32_t cpuid_nbit_names = ARRAY_SIZE(bit_names);

const struct kvm_cpuid_entry2 *cpuid_find(const struct cpuid *c, uint32_t leaf, uint32_t index)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

void cpuid_vendor(const struct cpuid *c, char vendor[13])
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, 0, 0);
	uint32_t words[3] = { 0 };

	if (e) {
		words[0] = e->ebx;
		words[1] = e->edx;
		words[2] = e->ecx;
	}
	memcpy(vendor, words, 12);
	vendor[12] = '\0';
}

uint64_t cpuid_xcr0(const struct cpuid *c)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, 0xd, 0);

	return e ? e->eax | (uint64_t)e->edx << 32 : 0;
}

uint32_t cpuid_word_value(const struct cpuid *c, const struct cpuid_word *w)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, w->leaf, w->index);

	if (!e)
		return 0;
	return (const uint32_t[]){ e->eax, e->ebx, e->ecx, e->edx }[w->reg];
}

uint32_t cpuid_word_host(const struct cpuid_word *w)
{
	uint32_t r[4];

	if (!__get_cpuid_count(w->leaf, w->index, &r[0], &r[1], &r[2], &r[3]))
		return 0;
	return r[w->reg];
}

void cpuid_set_apic_id(struct cpuid *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 1) /* SDM vol. 2A, CPUID: EBX 31..24 */
			e->ebx = (e->ebx & 0x00ffffffu) | id << 24;
		else if (e->function == 0xb || e->function == 0x1f)
			e->edx = id;
		else if (e->function == 0x8000001eu) /* APM vol. 3, Fn8000_001E */
			e->eax = id;
	}
}

/* SDM vol. 2A, CPUID.1:ECX */
static void set_feature(struct cpuid *c, unsigned int bit)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->entries[i].function == 1)
			c->entries[i].ecx |= 1u << bit;
	}
}

void cpuid_set_tsc_deadline(struct cpuid *c)
{
	set_feature(c, 24);
}

void cpuid_set_hypervisor(struct cpuid *c)
{
	set_feature(c, 31);
}

const char *cpuid_bit_name(const struct cpuid_word *w, unsigned int bit)
{
	for (size_t i = 0; i < ARRAY_SIZE(bit_names); i++) {
		const struct bit_name *b = &bit_names[i];

		if (b->leaf == w->leaf && b->index == w->index && b->reg == w->reg &&
		    b->bit == bit)
			return b->name;
	}
	return NULL;
}
