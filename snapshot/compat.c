/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/compat.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "engine/err.h"
#include "snapshot/digest.h"
#include "snapshot/kind.h"
#include "snapshot/machine.h"
#include "snapshot/manifest.h"

/* Differences, one after the other, for one sentence. */
struct verdict {
	char text[200];
	size_t used;
	bool unfit;
};

static void differ(struct verdict *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void differ(struct verdict *v, const char *fmt, ...)
{
	va_list ap;
	int n;

	v->used += (size_t)snprintf(v->text + v->used, sizeof(v->text) - v->used, "%s",
				    v->unfit ? "; " : "");
	v->unfit = true;
	v->used = MIN(v->used, sizeof(v->text) - 1);
	va_start(ap, fmt);
	n = vsnprintf(v->text + v->used, sizeof(v->text) - v->used, fmt, ap);
	va_end(ap);
	v->used = MIN(v->used + (size_t)MAX(n, 0), sizeof(v->text) - 1);
}

static const struct cpuid_word *find_word(const char *name)
{
	for (uint32_t i = 0; i < cpuid_nwords; i++) {
		if (strcmp(cpuid_words[i].name, name) == 0)
			return &cpuid_words[i];
	}
	return NULL;
}

/* Name the feature bits of @missing, as many as matter to a reader. */
static void missing_bits(struct verdict *v, const struct cpuid_word *w, uint32_t missing)
{
	char names[96] = "";
	size_t used = 0;

	for (unsigned int bit = 0; bit < 32 && used < sizeof(names) - 24; bit++) {
		const char *name = cpuid_bit_name(w, bit);

		if (!(missing >> bit & 1))
			continue;
		if (name)
			used += (size_t)snprintf(names + used, sizeof(names) - used, " %s",
						 name);
		else
			used += (size_t)snprintf(names + used, sizeof(names) - used, " %s[%u]",
						 w->name, bit);
	}
	differ(v, "CPU features missing here:%s", names);
}

static void check_features(struct verdict *v, const struct manifest *m, const struct kvm *kvm)
{
	for (uint32_t i = 0; i < m->nfeatures; i++) {
		const struct manifest_feature *f = &m->features[i];
		const struct cpuid_word *w = find_word(f->name);
		uint32_t missing;

		if (!w) {
			differ(v, "CPU feature word %s is unknown to this version", f->name);
			continue;
		}
		missing = f->value & ~kvm_features(kvm, w);
		if (missing)
			missing_bits(v, w, missing);
	}
}

/* Another layout would let an image take the place of a device, or make KVM allocate for terabytes
 * that are not there. */
static void check_memory(struct verdict *v, const struct manifest *m, const struct kind *k)
{
	struct mem mem;

	manifest_get_mem(m, &mem);
	if (!kind_has_layout(k, &mem))
		differ(v,
		       "%u regions of memory, %" PRIu64 " MiB at 0x%" PRIx64
		       ", this version runs %s with %" PRIu64 " to %" PRIu64 " MiB from 0 on",
		       m->nregions, m->regions[0].size >> 20, m->regions[0].gpa, k->name,
		       k->ram_min >> 20, k->ram_max >> 20);
}

/* Those of its kind, and no others. */
static void check_devices(struct verdict *v, const struct manifest *m, const struct kind *k)
{
	struct device_list list;

	if (kind_devices(k, m->ndrives, &list, NULL) < 0 || list.n != m->ndevices)
		differ(v, "%u devices, %s with %u drives has %u here", m->ndevices, k->name,
		       m->ndrives, list.n);
	for (uint32_t i = 0; i < MIN(list.n, m->ndevices); i++) {
		if (strcmp(m->devices[i], list.types[i]->name) != 0)
			differ(v, "device %u is %s, here %s", i, m->devices[i],
			       list.types[i]->name);
	}
}

static void check_guest(struct verdict *v, const struct manifest *m)
{
	const struct kind *k = kind_find(m->guest_kind);

	if (!k) {
		differ(v, "guest kind is %s, this version runs kindling and linux",
		       m->guest_kind);
		return;
	}
	check_memory(v, m, k);
	check_devices(v, m, k);
}

static void check_tsc(struct verdict *v, const struct manifest *m, const struct kvm *kvm)
{
	uint64_t khz = m->tsc_khz, here = kvm->tsc_khz;
	uint64_t apart = khz > here ? khz - here : here - khz;

	if (!kvm->tsc_scaling && apart * 1000000 > here * COMPAT_TSC_PPM)
		differ(v, "TSC runs at %" PRIu64 " kHz, here %" PRIu64, khz, here);
}

int compat_check(const struct manifest *m, const struct kvm *kvm, struct err *err)
{
	struct verdict v = { 0 };
	char vendor[13];

	cpuid_vendor(&kvm->cpuid, vendor);
	check_guest(&v, m);
	if (strcmp(m->host_kvm, kvm_kind_name(kvm->kind)) != 0)
		differ(&v, "KVM kind is %s, here %s", m->host_kvm, kvm_kind_name(kvm->kind));
	if (strcmp(m->cpu_vendor, vendor) != 0)
		differ(&v, "CPU vendor is %s, here %s", m->cpu_vendor, vendor);
	if (m->vcpus != 1)
		differ(&v, "%u vCPUs, this version runs 1", m->vcpus);
	if (m->xcr0 & ~kvm->xcr0)
		differ(&v, "XSAVE components are 0x%" PRIx64 ", here 0x%" PRIx64, m->xcr0,
		       kvm->xcr0);
	check_tsc(&v, m, kvm);
	check_features(&v, m, kvm);
	return v.unfit ? err_set(err, ERR_UNFIT, "does not fit this host: %s", v.text) : 0;
}

static void describe_cpu(struct manifest *m, const struct kvm *kvm)
{
	char vendor[13];

	cpuid_vendor(&kvm->cpuid, vendor);
	memcpy(m->cpu_vendor, vendor, sizeof(vendor));
	m->nfeatures = 0;
	for (uint32_t i = 0; i < cpuid_nwords; i++) {
		struct manifest_feature *f = &m->features[m->nfeatures];

		f->value = kvm_features(kvm, &cpuid_words[i]);
		if (f->value == 0)
			continue;
		snprintf(f->name, sizeof(f->name), "%s", cpuid_words[i].name);
		m->nfeatures++;
	}
}

int compat_describe(struct manifest *m, const struct kvm *kvm, const struct shape *shape,
		    struct err *err)
{
	struct utsname host;

	manifest_set_mem(m, &shape->mem);
	m->vcpus = shape->nvcpus;
	m->tsc_khz = shape->tsc_khz;
	m->xcr0 = shape->xcr0;
	m->xsave_size = shape->xsave_size;
	m->ndevices = shape->devices.n;
	for (uint32_t i = 0; i < m->ndevices; i++)
		snprintf(m->devices[i], sizeof(m->devices[0]), "%s",
			 shape->devices.types[i]->name);
	describe_cpu(m, kvm);
	if (uname(&host) == 0)
		snprintf(m->host_kernel, sizeof(m->host_kernel), "%.*s",
			 (int)sizeof(m->host_kernel) - 1, host.release);
	snprintf(m->host_kvm, sizeof(m->host_kvm), "%s", kvm_kind_name(kvm->kind));
	return digest_of(&m->cpuid_sha256, shape->cpuid->entries,
			 shape->cpuid->n * sizeof(shape->cpuid->entries[0]), err);
}
