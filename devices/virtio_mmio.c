/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_mmio.c - the registers of a virtio device (virtio 1.2, 4.2.2). */
#include <linux/virtio_mmio.h>
#include <string.h>

#include "devices/virtio.h"
#include "engine/vm.h"

#define MAGIC	    0x74726976u /* "virt" */
#define MMIO_V2	    2u
#define VENDOR	    0x77616874u /* "thaw" */
#define SHM_NOWHERE UINT32_MAX	/* 4.2.2: no such region */

/* The queue that the driver has selected; NULL: there is none. */
static struct virtq *selected(struct virtio_dev *dev)
{
	return dev->s->queue_sel < dev->ops->nqueues ? &dev->queues[dev->s->queue_sel] : NULL;
}

static uint32_t device_features(const struct virtio_dev *dev)
{
	return dev->s->device_features_sel > 1
		       ? 0
		       : (uint32_t)(dev->features >> (dev->s->device_features_sel * 32));
}

static uint32_t read_register(struct virtio_dev *dev, uint64_t off)
{
	const struct virtq *q = selected(dev);

	switch (off) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_V2;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return device_features(dev);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? q->max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q ? q->s->ready : 0;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return dev->s->interrupt_status;
	case VIRTIO_MMIO_STATUS:
		return dev->s->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return SHM_NOWHERE;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->s->config_generation;
	default:
		return 0;
	}
}

static void set_driver_features(struct virtio_dev *dev, uint32_t value)
{
	uint32_t shift = dev->s->driver_features_sel * 32;

	if (dev->s->status & VIRTIO_CONFIG_S_FEATURES_OK)
		virtio_violation(dev, "features after FEATURES_OK");
	else if (dev->s->driver_features_sel <= 1)
		dev->s->driver_features =
			(dev->s->driver_features & ~(0xffffffffull << shift)) |
			(uint64_t)value << shift;
	else if (value != 0)
		virtio_violation(dev, "features that nobody offered");
}

/* Half of an address: the @high one or the low one. */
static void set_half(uint64_t *address, bool high, uint32_t value)
{
	*address = high ? (*address & 0xffffffffull) | (uint64_t)value << 32
			: (*address & ~0xffffffffull) | value;
}

static void set_address(struct virtq_state *s, uint64_t off, uint32_t value)
{
	switch (off) {
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&s->desc, off == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		return;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&s->avail, off == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		return;
	default:
		set_half(&s->used, off == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
	}
}

static void write_queue(struct virtio_dev *dev, uint64_t off, uint32_t value)
{
	struct virtq *q = selected(dev);

	if (!q)
		virtio_violation(dev, "a queue that is not there");
	else if (off == VIRTIO_MMIO_QUEUE_READY)
		virtio_set_ready(dev, dev->s->queue_sel, value & 1);
	else if (q->s->ready)
		virtio_violation(dev, "a change to a queue that is ready");
	else if (off != VIRTIO_MMIO_QUEUE_NUM)
		set_address(q->s, off, value);
	else if (value <= q->max)
		q->s->size = (uint16_t)value;
	else
		virtio_violation(dev, "a queue larger than offered");
}

static void write_register(struct virtio_dev *dev, uint64_t off, uint32_t value)
{
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		dev->s->device_features_sel = value;
		return;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		set_driver_features(dev, value);
		return;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		dev->s->driver_features_sel = value;
		return;
	case VIRTIO_MMIO_QUEUE_SEL:
		dev->s->queue_sel = value;
		return;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_kick(dev, value);
		return;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		dev->s->interrupt_status &= ~value;
		return;
	case VIRTIO_MMIO_STATUS:
		virtio_set_status(dev, value);
		return;
	case VIRTIO_MMIO_SHM_SEL:
		return; /* whichever: there is none */
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_READY:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_queue(dev, off, value);
		return;
	default:
		virtio_violation(dev, "a write to no register");
	}
}

static void access_config(struct virtio_dev *dev, uint64_t off, const struct bus_access *access)
{
	bool is_there = off < dev->config_size && access->len <= dev->config_size - off;

	if (!access->is_write) {
		/* Bytes past the end read as zeros. */
		memset(access->data, 0, access->len);
		if (off < dev->config_size)
			memcpy(access->data, dev->config + off,
			       MIN(access->len, dev->config_size - off));
	} else if (is_there && dev->ops->config_write) {
		dev->ops->config_write(dev, (uint32_t)off, access->data, access->len);
	} else {
		virtio_violation(dev, "a write to configuration that is not the driver's");
	}
}

/* Registers are 32 bits wide (4.2.2.2). A notification says the same at any width. */
static void access_register(struct virtio_dev *dev, const struct bus_access *access)
{
	uint32_t value = 0;

	if (access->is_write) {
		memcpy(&value, access->data, MIN(access->len, sizeof(value)));
		if (access->len == sizeof(value) || access->off == VIRTIO_MMIO_QUEUE_NOTIFY)
			write_register(dev, access->off, value);
		else
			virtio_violation(dev, "a write of a part of a register");
		return;
	}
	if (access->len != sizeof(value)) {
		virtio_violation(dev, "a read of a part of a register");
		return; /* as all ones */
	}
	value = read_register(dev, access->off);
	memcpy(access->data, &value, sizeof(value));
}

int virtio_access(void *dev, const struct bus_access *access)
{
	struct virtio_dev *v = dev;

	worker_lock(&v->dev.vm->worker);
	if (access->off >= VIRTIO_MMIO_CONFIG)
		access_config(v, access->off - VIRTIO_MMIO_CONFIG, access);
	else
		access_register(v, access);
	worker_unlock(&v->dev.vm->worker);
	return 0;
}
