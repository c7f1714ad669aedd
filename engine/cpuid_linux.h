/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid_linux.h - which CPU a Linux guest is offered, and what this host asks of its kernel. */
#pragma once

#include "engine/kvm.h"

/* What KVM offers, as of one CPU alone; less what does not work on this host. */
void cpuid_for_linux(const struct kvm *kvm, struct cpuid *to);

/* Arguments for the kernel's command line that this host needs; "": none. */
const char *linux_cmdline_quirks(const struct kvm *kvm);
