/* SPDX-License-Identifier: Apache-2.0 */
/* segments.h - the segments with which a guest begins in 64-bit mode. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

/* Flat ones of @ring, 0 or 3, with the selectors that x86-64 Linux has for the kernel and for
 * programs. Other registers stay as they are. */
void segments_set_flat(struct kvm_sregs *s, uint8_t ring);
