/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_virtio.h"

#include <assert.h>
#include <string.h>

#include "devices/board.h"

#define MUST(expr)                                                                             \
	do {                                                                                   \
		int must_ret = (expr);                                                         \
		assert(must_ret >= 0);                                                         \
		(void)must_ret;                                                                \
	} while (0)

static void count_edges(void *dev, uint32_t gsi, bool level)
{
	struct driver *d = dev;

	assert(gsi == BOARD_VIRTIO_GSI);
	if (level)
		__atomic_fetch_add(&d->pulses, 1, __ATOMIC_SEQ_CST);
}

/* Where the rings of each queue lie: three pages of their own. */
static void place_rings(struct driver *d)
{
	for (uint32_t i = 0; i < d->dev->ops->nqueues; i++) {
		gpa_t at = (1 + 4 * i) * (gpa_t)MEM_PAGE_SIZE;

		d->queues[i] = (struct driver_queue){ .size = d->dev->ops->queue_sizes[i],
						      .desc = at,
						      .avail = at + MEM_PAGE_SIZE,
						      .used = at + 2 * MEM_PAGE_SIZE };
	}
}

void driver_init(struct driver *d, const struct device_type *type, const void *config)
{
	struct device_spec spec = { .type = type, .config = config };
	struct device *dev;

	memset(d, 0, sizeof(*d));
	d->vm.fd = -1;
	d->vm.mmio.name = "mmio";
	d->vm.pio.name = "pio";
	d->vm.mem = (struct mem){ .regions = { { .size = DRIVER_RAM_SIZE },
					       { .gpa = DRIVER_HIGH_GPA,
						 .size = DRIVER_RAM_SIZE } },
				  .nregions = 2 };
	d->vm.irq_chip = (struct irq_chip){ .set = count_edges, .dev = d };
	worker_init(&d->vm.worker);
	MUST(mem_map(&d->vm.mem, NULL));
	dev = device_create(&spec, &d->vm, NULL);
	assert(dev);
	d->vm.devices[d->vm.ndevices++] = dev;
	d->dev = virtio_of(dev);
	place_rings(d);
}

void driver_fini(struct driver *d)
{
	vm_destroy(&d->vm);
}

void driver_connect(struct driver *d)
{
	MUST(d->dev->dev.type->connect(&d->dev->dev, NULL));
	MUST(worker_start(&d->vm.worker, NULL));
}

void driver_access(struct driver *d, uint64_t off, void *data, uint32_t len, bool is_write)
{
	MUST(bus_access(&d->vm.mmio, BOARD_VIRTIO_GPA + off, data, len, is_write));
}

uint32_t driver_read(struct driver *d, uint64_t off)
{
	uint32_t value;

	driver_access(d, off, &value, sizeof(value), false);
	return value;
}

void driver_write(struct driver *d, uint64_t off, uint32_t value)
{
	driver_access(d, off, &value, sizeof(value), true);
}

uint32_t driver_negotiate(struct driver *d, uint64_t features)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;

	driver_write(d, VIRTIO_MMIO_STATUS, 0);
	driver_write(d, VIRTIO_MMIO_STATUS, status);
	status |= VIRTIO_CONFIG_S_DRIVER;
	driver_write(d, VIRTIO_MMIO_STATUS, status);
	for (uint32_t half = 0; half < 2; half++) {
		driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES,
			     driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES) &
				     (uint32_t)(features >> (32 * half)));
	}
	driver_write(d, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_FEATURES_OK);
	return driver_read(d, VIRTIO_MMIO_STATUS);
}

void driver_set_queue(struct driver *d, uint32_t queue)
{
	const struct driver_queue *q = &d->queues[queue];

	driver_write(d, VIRTIO_MMIO_QUEUE_SEL, queue);
	driver_write(d, VIRTIO_MMIO_QUEUE_NUM, q->size);
	driver_write(d, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)q->desc);
	driver_write(d, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(q->desc >> 32));
	driver_write(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)q->avail);
	driver_write(d, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(q->avail >> 32));
	driver_write(d, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)q->used);
	driver_write(d, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(q->used >> 32));
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

void driver_start(struct driver *d, uint64_t features)
{
	uint32_t status = driver_negotiate(d, features);

	for (uint32_t i = 0; i < d->dev->ops->nqueues; i++) {
		struct driver_queue *q = &d->queues[i];

		q->next = q->seen = 0;
		memset(driver_at(d, q->desc, MEM_PAGE_SIZE), 0, MEM_PAGE_SIZE);
		memset(driver_at(d, q->avail, MEM_PAGE_SIZE), 0, MEM_PAGE_SIZE);
		memset(driver_at(d, q->used, MEM_PAGE_SIZE), 0, MEM_PAGE_SIZE);
		driver_set_queue(d, i);
	}
	driver_write(d, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

void *driver_at(struct driver *d, gpa_t gpa, uint64_t len)
{
	void *host = mem_at(&d->vm.mem, gpa, len);

	assert(host);
	return host;
}

struct vring_desc *driver_desc(struct driver *d, uint32_t queue, uint32_t i)
{
	return (struct vring_desc *)driver_at(d, d->queues[queue].desc, MEM_PAGE_SIZE) + i;
}

struct vring_avail *driver_avail(struct driver *d, uint32_t queue)
{
	return driver_at(d, d->queues[queue].avail, MEM_PAGE_SIZE);
}

struct vring_used *driver_used(struct driver *d, uint32_t queue)
{
	return driver_at(d, d->queues[queue].used, MEM_PAGE_SIZE);
}

void driver_offer(struct driver *d, uint32_t queue, const struct vring_desc *chain, uint16_t n,
		  uint16_t head)
{
	struct driver_queue *q = &d->queues[queue];
	struct vring_avail *avail = driver_avail(d, queue);

	for (uint16_t i = 0; i < n; i++) {
		struct vring_desc *to = driver_desc(d, queue, (head + i) % q->size);

		*to = chain[i];
		if (i + 1 < n) {
			to->flags |= VRING_DESC_F_NEXT;
			to->next = (uint16_t)((head + i + 1) % q->size);
		}
	}
	avail->ring[q->next % q->size] = head;
	__atomic_store_n(&avail->idx, ++q->next, __ATOMIC_RELEASE);
}

void driver_notify(struct driver *d, uint32_t queue)
{
	driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

bool driver_take(struct driver *d, uint32_t queue, struct vring_used_elem *e)
{
	struct driver_queue *q = &d->queues[queue];
	const struct vring_used *used = driver_used(d, queue);

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == q->seen)
		return false;
	*e = used->ring[q->seen++ % q->size];
	return true;
}

bool driver_wait(struct driver *d, uint32_t queue, struct vring_used_elem *e)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int tries = 0; tries < 5000; tries++) {
		if (driver_take(d, queue, e))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}
