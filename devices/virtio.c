/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#define LOG "virtio"
#include "devices/board.h"
#include "engine/err.h"
#include "engine/log.h"
#include "engine/vm.h"

#define CORE_FEATURES                                                                          \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |                    \
	 1ull << VIRTIO_RING_F_EVENT_IDX)

#define DRIVER_STATUS                                                                          \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |  \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED)

static const struct state_field virtio_fields[] = {
	STATE_FIELD(struct virtio_state, driver_features),
	STATE_FIELD(struct virtio_state, device_features_sel),
	STATE_FIELD(struct virtio_state, driver_features_sel),
	STATE_FIELD(struct virtio_state, queue_sel),
	STATE_FIELD_MAX(struct virtio_state, status,
			DRIVER_STATUS | VIRTIO_CONFIG_S_NEEDS_RESET),
	STATE_FIELD_MAX(struct virtio_state, interrupt_status,
			VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG),
	STATE_FIELD(struct virtio_state, config_generation),
	STATE_NESTED(struct virtio_state, queues, &virtq_state_desc),
};
const struct state_desc virtio_state_desc =
	STATE_DESC("virtio", 1, struct virtio_state, virtio_fields);

/* ---- what happens ---- */

static void interrupt(struct virtio_dev *dev, uint32_t reason)
{
	dev->s->interrupt_status |= reason;
	dev->interrupts++;
	irq_pulse(dev->dev.vm, BOARD_VIRTIO_GSI + dev->place);
}

void virtio_violation(struct virtio_dev *dev, const char *why)
{
	dev->violations++;
	/* The first, the second, the fourth: a guest cannot fill the log. */
	if ((dev->violations & (dev->violations - 1)) == 0)
		log_warn("%s %u: %s (%" PRIu64 " violations)", dev->dev.type->name,
			 dev->dev.instance, why, dev->violations);
}

/* Whoever has looked at its queues meanwhile has found nothing. */
static void note_absence(struct virtio_dev *dev)
{
	for (uint32_t i = 0; i < dev->ops->nqueues; i++)
		dev->queues[i].is_other = true;
}

void virtio_break(struct virtio_dev *dev, const char *why)
{
	virtio_violation(dev, why);
	note_absence(dev);
	dev->s->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	/* 2.1.2: whoever is not ready yet is not told. */
	if (dev->s->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

bool virtio_is_live(const struct virtio_dev *dev, uint32_t queue)
{
	return queue < dev->ops->nqueues && dev->queues[queue].used &&
	       dev->s->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	       !(dev->s->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void virtio_kick(struct virtio_dev *dev, uint32_t queue)
{
	int ret;

	if (!virtio_is_live(dev, queue))
		return;
	dev->kicks++;
	ret = dev->ops->kick(dev, queue);
	if (ret == -EPROTO)
		virtio_break(dev, "the driver broke the rules of a queue");
	else if (ret < 0)
		virtio_break(dev, strerrordesc_np(-ret));
}

void virtio_kick_later(struct virtio_dev *dev, uint32_t queue)
{
	const uint64_t one = 1;
	int fd = dev->notify[queue].watch.fd;

	/* It fails where the counter is full, and then the worker comes anyway. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		log_debug("a notification: %s", strerrordesc_np(errno));
}

int virtio_serve(struct virtio_dev *dev, uint32_t queue, virtio_one *one)
{
	struct virtq *q = &dev->queues[queue];
	struct virtq_req req;
	int64_t written = 0;
	int ret = 1;

	/* One more than there can be, if the driver adds none: so that the last look finds nothing. */
	for (uint32_t left = q->s->size + 1u; left > 0 && written >= 0; left--) {
		ret = virtq_pop(q, &req);
		if (ret <= 0)
			break;
		written = one(dev, &req);
		virtq_push(q, req.head, (uint32_t)MAX(written, 0));
	}
	virtio_signal(dev, queue);
	if (ret > 0 && written >= 0)
		virtio_kick_later(dev, queue);
	return written < 0 ? (int)written : MIN(ret, 0);
}

void virtio_signal(struct virtio_dev *dev, uint32_t queue)
{
	if (virtq_wants_signal(&dev->queues[queue]))
		interrupt(dev, VIRTIO_MMIO_INT_VRING);
}

void virtio_config_changed(struct virtio_dev *dev)
{
	dev->s->config_generation++;
	if (dev->s->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

/* ---- the driver's way in and out (2.1, 3.1) ---- */

static void reset(struct virtio_dev *dev)
{
	if (dev->ops->settle)
		dev->ops->settle(dev);
	note_absence(dev);
	for (uint32_t i = 0; i < dev->ops->nqueues; i++)
		virtq_stop(&dev->queues[i]);
	*dev->s = (struct virtio_state){ .config_generation = dev->s->config_generation };
	if (dev->ops->reset)
		dev->ops->reset(dev);
}

static bool features_fit(const struct virtio_dev *dev)
{
	return virtio_has(dev, VIRTIO_F_VERSION_1) &&
	       !(dev->s->driver_features & ~dev->features);
}

/* May a driver that has told @old add what is in @next? */
static bool may_follow(uint32_t old, uint32_t next)
{
	if (old & DRIVER_STATUS & ~next)
		return false;
	if (next & VIRTIO_CONFIG_S_DRIVER_OK && !(old & VIRTIO_CONFIG_S_FEATURES_OK))
		return false;
	return !(next & VIRTIO_CONFIG_S_FEATURES_OK) || next & VIRTIO_CONFIG_S_DRIVER;
}

void virtio_set_status(struct virtio_dev *dev, uint32_t status)
{
	const uint32_t old = dev->s->status;
	uint32_t next = status & DRIVER_STATUS;

	if (status == 0) {
		reset(dev);
		return;
	}
	if (!may_follow(old, next)) {
		virtio_violation(dev, "a status that cannot follow");
		return;
	}
	if (!features_fit(dev))
		next &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	dev->s->status = next | (old & VIRTIO_CONFIG_S_NEEDS_RESET);
	if (!(next & ~old & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	/* What came before this was not notified, or not heard. */
	for (uint32_t i = 0; i < dev->ops->nqueues; i++)
		virtio_kick(dev, i);
}

static void take_queue_away(struct virtio_dev *dev, uint32_t queue)
{
	if (dev->ops->settle)
		dev->ops->settle(dev);
	note_absence(dev);
	virtq_stop(&dev->queues[queue]);
	dev->s->queues[queue] = (struct virtq_state){ 0 };
}

void virtio_set_ready(struct virtio_dev *dev, uint32_t queue, bool ready)
{
	struct virtq *q = &dev->queues[queue];
	struct err why;

	if (ready == q->s->ready)
		return;
	if (!ready) {
		take_queue_away(dev, queue);
		return;
	}
	if (!(dev->s->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		virtio_violation(dev, "a queue before FEATURES_OK");
		return;
	}
	if (virtq_start(q, dev->s->driver_features, &why) < 0) {
		virtio_break(dev, why.text);
		return;
	}
	q->s->ready = 1;
}

/* ---- hooks of a device ---- */

int virtio_init(struct virtio_dev *dev, const struct virtio_ops *ops, struct err *err)
{
	struct vm *vm = dev->dev.vm;
	struct bus_range regs = { .size = BOARD_VIRTIO_SIZE,
				  .handler = virtio_access,
				  .dev = dev };

	dev->ops = ops;
	dev->s = device_state(&dev->dev);
	dev->features |= CORE_FEATURES;
	for (uint32_t i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		dev->queues[i] = (struct virtq){ .s = &dev->s->queues[i],
						 .mem = &vm->mem,
						 .max = ops->queue_sizes[i] };
		dev->notify[i].watch.fd = -1;
	}
	if (vm->nplaces == BOARD_VIRTIO_PLACES)
		return err_set(err, ENOSPC, "more than %u virtio devices", BOARD_VIRTIO_PLACES);
	dev->place = vm->nplaces++;
	regs.base = BOARD_VIRTIO_GPA + (uint64_t)dev->place * BOARD_VIRTIO_SIZE;
	return bus_add(&vm->mmio, &regs, err);
}

static int on_notify(struct loop_watch *watch, uint32_t events)
{
	struct virtio_notify *n = container_of(watch, struct virtio_notify, watch);
	uint64_t count;

	(void)events;
	/* Nothing to be read: somebody else's turn was for this one, too. */
	if (read(watch->fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		virtio_kick(n->dev, n->queue);
	return 0;
}

static int connect_queue(struct virtio_dev *dev, uint32_t queue, struct err *err)
{
	struct virtio_notify *n = &dev->notify[queue];
	struct kvm_ioeventfd at = {
		.addr = BOARD_VIRTIO_GPA + (uint64_t)dev->place * BOARD_VIRTIO_SIZE +
			VIRTIO_MMIO_QUEUE_NOTIFY,
		.len = sizeof(uint32_t),
		.datamatch = queue,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	n->dev = dev;
	n->queue = queue;
	n->watch = (struct loop_watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					.callback = on_notify };
	if (n->watch.fd < 0)
		return err_sys(err, "eventfd for a queue");
	at.fd = n->watch.fd;
	/* Without it a notification is an exit, and served on the vCPU's thread. */
	if (ioctl(dev->dev.vm->fd, KVM_IOEVENTFD, &at) < 0)
		log_info("KVM_IOEVENTFD: %s", strerrordesc_np(errno));
	return worker_watch(&dev->dev.vm->worker, &n->watch, EPOLLIN, err);
}

int virtio_connect(struct device *dev, struct err *err)
{
	struct virtio_dev *v = virtio_of(dev);
	int ret = 0;

	for (uint32_t i = 0; i < v->ops->nqueues && ret == 0; i++)
		ret = connect_queue(v, i, err);
	return ret;
}

int virtio_drain(struct device *dev, struct err *err)
{
	struct virtio_dev *v = virtio_of(dev);

	(void)err;
	if (v->ops->settle)
		v->ops->settle(v);
	return 0;
}

static int check_state(const struct virtio_dev *dev, struct err *err)
{
	const struct virtio_state *s = dev->s;
	bool negotiated = s->status & VIRTIO_CONFIG_S_FEATURES_OK;

	if (s->status & ~(uint32_t)(DRIVER_STATUS | VIRTIO_CONFIG_S_NEEDS_RESET))
		return err_set(err, ERR_DAMAGED, "status 0x%x has bits that there are not",
			       s->status);
	if (negotiated && s->driver_features & ~dev->features)
		return err_set(err, ERR_UNFIT,
			       "its driver uses features 0x%" PRIx64
			       ", and this device has 0x%" PRIx64,
			       s->driver_features, dev->features);
	if (negotiated && !features_fit(dev))
		return err_set(err, ERR_DAMAGED, "features 0x%" PRIx64 " without VERSION_1",
			       s->driver_features);
	if (s->status & VIRTIO_CONFIG_S_DRIVER_OK && !negotiated)
		return err_set(err, ERR_DAMAGED, "status 0x%x: no features were agreed on",
			       s->status);
	for (uint32_t i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		if (s->queues[i].ready && (!negotiated || i >= dev->ops->nqueues))
			return err_set(err, ERR_DAMAGED, "queue %u cannot be ready", i);
	}
	return 0;
}

static int load_queue(struct virtio_dev *dev, uint32_t queue, struct err *err)
{
	struct virtq *q = &dev->queues[queue];
	/* A rewind, and nothing was taken since: what is to be found has been found before. */
	bool same = dev->loaded && !q->is_other;
	int ret;

	q->is_other = false;
	virtq_stop(q);
	if (!q->s->ready)
		return 0;
	ret = virtq_start(q, dev->s->driver_features, err);
	if (ret < 0)
		return err_wrap(err, -ERR_DAMAGED, "queue %u", queue);
	/* A notification may have been lost with the freeze. Memory may not all be there at the
	 * first load: only the worker may wait for it. */
	if (!same && (!dev->loaded || virtq_has_more(q)))
		virtio_kick_later(dev, queue);
	return 0;
}

int virtio_load(struct device *dev, struct err *err)
{
	struct virtio_dev *v = virtio_of(dev);
	int ret = check_state(v, err);

	for (uint32_t i = 0; i < v->ops->nqueues && ret == 0; i++)
		ret = load_queue(v, i, err);
	if (ret < 0) {
		for (uint32_t i = 0; i < v->ops->nqueues; i++)
			virtq_stop(&v->queues[i]);
		return ret;
	}
	v->loaded = true;
	if (v->s->interrupt_status)
		irq_pulse(dev->vm, BOARD_VIRTIO_GSI + v->place);
	return 0;
}

void virtio_fini(struct device *dev)
{
	struct virtio_dev *v = virtio_of(dev);

	for (uint32_t i = 0; i < VIRTIO_MAX_QUEUES && v->ops; i++)
		fd_cleanup(&v->notify[i].watch.fd);
}
