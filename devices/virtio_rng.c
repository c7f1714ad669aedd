/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio_rng.h"

#include <errno.h>
#include <sys/random.h>

#include "engine/util.h"

/* Bytes served per request. Ours: bounds how long one guest can hold its device thread. */
#define RNG_MAX_REQUEST 65536u

static const struct state_field rng_fields[] = {
	VIRTIO_STATE_ROW(struct virtio_rng_state),
	STATE_FIELD(struct virtio_rng_state, served),
};

/* 5.4.6.1: a buffer need not be filled whole. */
static int64_t rng_fill(struct virtio_dev *dev, const struct virtq_req *req)
{
	struct virtio_rng *rng = container_of(dev, struct virtio_rng, virtio);
	size_t done = 0;

	for (uint32_t i = 0; i < req->nin && done < RNG_MAX_REQUEST; i++) {
		const struct iovec *in = &virtq_in(req)[i];
		ssize_t got =
			getrandom(in->iov_base, MIN(in->iov_len, RNG_MAX_REQUEST - done), 0);

		if (got < 0)
			return -errno;
		done += (size_t)got;
	}
	rng->s.served += done;
	return (int64_t)done;
}

static int rng_kick(struct virtio_dev *dev, uint32_t queue)
{
	return virtio_serve(dev, queue, rng_fill);
}

static const struct virtio_ops rng_ops = {
	.id = VIRTIO_ID_RNG,
	.nqueues = 1,
	.queue_sizes = { 64 },
	.kick = rng_kick,
};

static int rng_init(struct device *dev, const void *config, struct err *err)
{
	(void)config; /* there is nothing to choose */
	return virtio_init(virtio_of(dev), &rng_ops, err);
}

static const struct device_counter counters[] = {
	VIRTIO_COUNTERS(struct virtio_rng),
	{ 0 },
};

const struct device_type virtio_rng_type = {
	.name = "virtio-rng",
	.size = sizeof(struct virtio_rng),
	.state_off = offsetof(struct virtio_rng, s),
	.state = STATE_DESC("dev.virtio-rng", 1, struct virtio_rng_state, rng_fields),
	.init = rng_init,
	.connect = virtio_connect,
	.drain = virtio_drain,
	.load = virtio_load,
	.fini = virtio_fini,
	.counters = counters,
};
