/* SPDX-License-Identifier: Apache-2.0 */
/* virtio.h - what virtio.c replies to tests/kvm_virtio.c. */
#pragma once

#include <stdint.h>

#define VIRTIO_BYTES	32u /* asked for at a time */
#define VIRTIO_REQUESTS 50u /* with each event */

struct virtio_report {
	uint32_t status, served; /* of the device; requests that came back */
	uint64_t interrupts;	 /* since boot */
	uint64_t ticks;		 /* that the requests of this event took */
	uint8_t first[VIRTIO_BYTES], last[VIRTIO_BYTES];
};
