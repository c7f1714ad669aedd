/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio_console.h"

#include <errno.h>
#include <sys/epoll.h>

#define LOG "console"
#include "engine/log.h"
#include "engine/vm.h"

enum { CONSOLE_RECEIVE, CONSOLE_TRANSMIT, CONSOLE_NQUEUES }; /* 5.3.2 */

/* Bytes of one request. Ours: bounds how long one guest can hold its device thread. */
#define CONSOLE_MAX_REQUEST (1u << 20)

static const struct state_field console_fields[] = {
	VIRTIO_STATE_ROW(struct virtio_console_state),
	STATE_FIELD(struct virtio_console_state, out_bytes),
	STATE_FIELD(struct virtio_console_state, in_bytes),
};

/* ---- out ---- */

static int64_t transmit(struct virtio_dev *dev, const struct virtq_req *req)
{
	struct virtio_console *c = container_of(dev, struct virtio_console, virtio);
	size_t left = MIN(req->out_size, CONSOLE_MAX_REQUEST);

	if (req->out_size > CONSOLE_MAX_REQUEST)
		virtio_violation(dev, "a request of more output than is taken at once");
	c->s.out_bytes += left;
	for (uint32_t i = 0; i < req->nout && left > 0; i++) {
		size_t len = MIN(req->segs[i].iov_len, left);

		if (c->ops.out)
			c->ops.out(c->ops.arg, req->segs[i].iov_base, len);
		left -= len;
	}
	return 0;
}

/* ---- in ---- */

static void unwatch(struct virtio_console *c)
{
	loop_remove(&c->virtio.dev.vm->worker.loop, &c->input);
	c->is_watched = false;
}

/* Bytes, 0 at the end, or -errno. */
static ssize_t read_input(struct virtio_console *c, const struct iovec *to)
{
	ssize_t got;

	if (c->ops.in)
		return c->ops.in(c->ops.arg, c->input.fd, to->iov_base, to->iov_len);
	got = read(c->input.fd, to->iov_base, to->iov_len);
	return got < 0 ? -errno : got;
}

/* Read into one request of the guest's. Returns as virtq_pop. */
static int receive(struct virtio_console *c, struct virtq *q)
{
	struct virtq_req req;
	int ret = virtq_pop(q, &req);
	ssize_t got;

	if (ret <= 0)
		return ret;
	if (req.nin == 0)
		return -EPROTO;
	got = read_input(c, virtq_in(&req)); /* what comes next finds room in the next one */
	if (got <= 0) {
		c->has_input = got == -EAGAIN || got == -EINTR;
		virtq_unpop(q);
		return 1;
	}
	c->s.in_bytes += (uint64_t)got;
	virtq_push(q, req.head, (uint32_t)got);
	virtio_signal(&c->virtio, CONSOLE_RECEIVE);
	return 1;
}

/* There is input. Where it finds no room, nobody looks for it until there is. */
static int on_input(struct loop_watch *watch, uint32_t events)
{
	struct virtio_console *c = container_of(watch, struct virtio_console, input);
	int ret = 0;

	(void)events;
	if (virtio_is_live(&c->virtio, CONSOLE_RECEIVE))
		ret = receive(c, &c->virtio.queues[CONSOLE_RECEIVE]);
	if (ret <= 0 || !c->has_input)
		unwatch(c);
	if (ret < 0)
		virtio_break(&c->virtio, "the driver broke the rules of the receive queue");
	return 0;
}

/* There may be room. */
static void listen_again(struct virtio_console *c)
{
	struct worker *w = &c->virtio.dev.vm->worker;
	struct err why;

	if (!c->has_input || c->is_watched || !w->has_loop ||
	    !virtq_has_more(&c->virtio.queues[CONSOLE_RECEIVE]))
		return;
	c->is_watched = loop_add(&w->loop, &c->input, EPOLLIN, &why) == 0;
	c->has_input = c->is_watched;
	if (!c->has_input)
		log_warn("no input: %s", why.text);
}

static int console_kick(struct virtio_dev *dev, uint32_t queue)
{
	struct virtio_console *c = container_of(dev, struct virtio_console, virtio);

	if (queue == CONSOLE_TRANSMIT)
		return virtio_serve(dev, queue, transmit);
	listen_again(c);
	return 0;
}

/* ---- the device ---- */

static const struct virtio_ops console_ops = {
	.id = VIRTIO_ID_CONSOLE,
	.nqueues = CONSOLE_NQUEUES,
	.queue_sizes = { [CONSOLE_RECEIVE] = 64, [CONSOLE_TRANSMIT] = 64 },
	.kick = console_kick,
};

static int console_init(struct device *dev, const void *config, struct err *err)
{
	struct virtio_console *c = container_of(dev, struct virtio_console, virtio.dev);

	(void)config; /* who is at the other end is said later */
	/* Always, so that an image does not depend on where it was made. */
	c->virtio.features = 1ull << VIRTIO_CONSOLE_F_SIZE;
	c->virtio.config = (const uint8_t *)&c->config;
	c->virtio.config_size = sizeof(c->config);
	return virtio_init(&c->virtio, &console_ops, err);
}

struct virtio_console *virtio_console_of(const struct vm *vm)
{
	struct device *dev = vm_device(vm, &virtio_console_type);

	return dev ? container_of(dev, struct virtio_console, virtio.dev) : NULL;
}

void virtio_console_listen(struct virtio_console *c, int fd)
{
	c->input = (struct loop_watch){ .fd = fd, .callback = on_input };
	c->has_input = true;
}

void virtio_console_resize(struct virtio_console *c, uint16_t cols, uint16_t rows)
{
	c->config.cols = cols;
	c->config.rows = rows;
	virtio_config_changed(&c->virtio);
}

static const struct device_counter counters[] = {
	VIRTIO_COUNTERS(struct virtio_console),
	{ 0 },
};

const struct device_type virtio_console_type = {
	.name = "virtio-con", /* a section's name has room for no more */
	.size = sizeof(struct virtio_console),
	.state_off = offsetof(struct virtio_console, s),
	.state = STATE_DESC("dev.virtio-con", 1, struct virtio_console_state, console_fields),
	.init = console_init,
	.connect = virtio_connect,
	.drain = virtio_drain,
	.load = virtio_load,
	.fini = virtio_fini,
	.counters = counters,
};
