/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_rng.h - the entropy device (virtio 1.2, 5.4): the guest offers buffers, getrandom(2) fills
 * them. No entropy is ever saved: two machines of one image do not draw the same bytes.
 */
#pragma once

#include "devices/virtio.h"

/* Everything that survives a freeze. */
struct virtio_rng_state {
	struct virtio_state virtio;
	uint64_t served; /* bytes handed to the guest since its boot */
};

struct virtio_rng {
	struct virtio_dev virtio;
	struct virtio_rng_state s;
};

extern const struct device_type virtio_rng_type;
