/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind.h - the kinds of guests there are, and what their machines look like: how much RAM, where
 * it lies, which devices.
 */
#pragma once

#include "devices/types.h"
#include "engine/kvm.h"
#include "engine/mem.h"

struct err;
struct shape;

struct kind {
	const char *name;	   /* in manifests */
	uint64_t ram_min, ram_max; /* bytes; steps of MEM_HUGE_SIZE */
	uint64_t ram_default;
	struct mem (*layout)(uint64_t size);
	const struct device_type *const *devices; /* before and */
	const struct device_type *const *after;	  /* after its drives, NULL at the end */
};

extern const struct kind kind_kindling, kind_linux;

/* NULL: there is none of that name. */
const struct kind *kind_find(const char *name);

/* Does RAM lie as that of this kind does? */
bool kind_has_layout(const struct kind *k, const struct mem *mem);

/* Its devices, with @ndrives drives. Errors: -ENOSPC. */
int kind_devices(const struct kind *k, uint32_t ndrives, struct device_list *list,
		 struct err *err) must_check;

/*
 * kind_shape - the shape of a machine made new on this host.
 * @cpuid: of its vCPU; outlives @shape. @ram_size: bytes. @ndrives: up to MANIFEST_MAX_DRIVES.
 */
void kind_shape(const struct kind *k, const struct kvm *kvm, const struct cpuid *cpuid,
		uint64_t ram_size, uint32_t ndrives, struct shape *shape);
