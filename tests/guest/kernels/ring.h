/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - for kernels of this folder that drive a virtio device: the three parts of a queue of RING_SIZE
 * entries, which the kernel defines first, and the registers of the device at the board's first place.
 */
#pragma once

#include <linux/virtio_ring.h>
#include <stdint.h>

#include "devices/board.h"

static struct vring_desc desc[RING_SIZE] __attribute__((aligned(4096)));
static struct {
	uint16_t flags, idx, ring[RING_SIZE], used_event;
} avail __attribute__((aligned(4096)));
static struct {
	uint16_t flags, idx;
	struct vring_used_elem ring[RING_SIZE];
	uint16_t avail_event;
} used __attribute__((aligned(4096)));

static inline volatile uint32_t *reg(uint32_t off)
{
	return (volatile uint32_t *)(uintptr_t)(BOARD_VIRTIO_GPA + off);
}
