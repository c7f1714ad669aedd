/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_virtio_rng - the entropy device, and the virtio core with it, and a driver who is an enemy. */
#include <assert.h>

#include "devices/virtio_rng.h"
#include "tests/helpers_virtio_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A step, also the last of driver_start, notifies once: that is one queue, and a bit of each request. */
static void work_is_bounded(struct driver *d)
{
	static uint64_t before;
	struct virtio_rng *rng = container_of(d->dev, struct virtio_rng, virtio);
	uint64_t most = 2ull * (d->queues[0].size + 1) * 65536;

	/* A load puts it anywhere. */
	assert(rng->s.served - before <= most || d->dev->loaded);
	before = rng->s.served;
	d->dev->loaded = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct driver d;

	if (!d.dev)
		driver_init(&d, &virtio_rng_type, NULL);
	driver_fuzz(&d, data, len, work_is_bounded);
	return 0;
}
