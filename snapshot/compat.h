/* SPDX-License-Identifier: Apache-2.0 */
/* compat.h - can this host run that image? And what a manifest says about a host. */
#pragma once

#include "engine/kvm.h"
#include "engine/util.h"

struct err;
struct manifest;
struct shape;

/* A TSC that is this far off in its rate counts as the same: 250 ppm, as Firecracker has it. */
#define COMPAT_TSC_PPM 250u

/*
 * compat_check - compare what @m needs with what @kvm has.
 * Errors: -ERR_UNFIT with one sentence that names every difference there is room for.
 */
int compat_check(const struct manifest *m, const struct kvm *kvm, struct err *err) must_check;

/* Write into @m what a machine of @shape on this host needs: shape, devices, CPU, host.
 * Errors: -ENOMEM. */
int compat_describe(struct manifest *m, const struct kvm *kvm, const struct shape *shape,
		    struct err *err) must_check;
