/* SPDX-License-Identifier: Apache-2.0 */
/* segments.h - the segments with which a guest begins. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

/* Flat ones of @ring, 0 or 3, with the selectors that x86-64 Linux has for the kernel and for
 * programs. Other registers stay as they are. */
void segments_set_flat(struct kvm_sregs *s, uint8_t ring);

/* Flat ones of ring 0 in 32-bit protected mode, and a task state segment, as PVH wants them. */
void segments_set_protected(struct kvm_sregs *s);

/* Descriptors of flat segments of ring 0: SDM vol. 3A, 3.4.5 */
#define SEGMENT_CODE_64 0x00af9b000000ffffull
#define SEGMENT_DATA	0x00cf93000000ffffull
