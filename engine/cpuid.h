/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid.h - CPUID leaves as KVM wants them, and questions about them.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/state.h"

#define CPUID_MAX_ENTRIES 256u /* KVM_MAX_CPUID_ENTRIES */

/* Laid out as KVM's struct kvm_cpuid2, so that it goes to KVM as it is. */
struct cpuid {
	uint32_t n;
	uint32_t reserved;
	struct kvm_cpuid_entry2 entries[CPUID_MAX_ENTRIES];
};
_Static_assert(offsetof(struct cpuid, entries) == offsetof(struct kvm_cpuid2, entries),
	       "struct cpuid is a struct kvm_cpuid2 with room");

extern const struct state_desc cpuid_entry_desc; /* one leaf; an array section */

/* The leaf, or NULL. @index is ignored for leaves without subleaves. */
const struct kvm_cpuid_entry2 *cpuid_find(const struct cpuid *c, uint32_t leaf, uint32_t index);

/* "GenuineIntel", "AuthenticAMD", ... 12 characters and NUL. */
void cpuid_vendor(const struct cpuid *c, char vendor[13]);

/* The XSAVE components that @c offers (leaf 0xd, subleaf 0). */
uint64_t cpuid_xcr0(const struct cpuid *c);

/* One register of one leaf whose bits are features that a program may rely on. */
struct cpuid_word {
	const char *name; /* "1.ecx": the key in a manifest */
	uint32_t leaf, index;
	uint32_t reg; /* 0 eax, 1 ebx, 2 ecx, 3 edx */
};
extern const struct cpuid_word cpuid_words[];
extern const uint32_t cpuid_nwords;

/* The word's value in @c; 0 where the leaf is missing. */
uint32_t cpuid_word_value(const struct cpuid *c, const struct cpuid_word *w);

/* The same of this very CPU, by the CPUID instruction: what guest ring 3 sees where KVM cannot
 * filter it. */
uint32_t cpuid_word_host(const struct cpuid_word *w);

/* KVM offers the APIC id of whatever CPU it was asked on; make it vCPU @id's. */
void cpuid_set_apic_id(struct cpuid *c, uint32_t id);

/* Offer the TSC-deadline mode of the LAPIC's timer. */
void cpuid_set_tsc_deadline(struct cpuid *c);

/* Say that there is a hypervisor: without, Linux does not look for KVM's clock. */
void cpuid_set_hypervisor(struct cpuid *c);

/* The usual name of one feature bit ("avx2"), or NULL where we know none. */
const char *cpuid_bit_name(const struct cpuid_word *w, unsigned int bit);
extern const uint32_t cpuid_nbit_names; /* bits that we know a name for */
