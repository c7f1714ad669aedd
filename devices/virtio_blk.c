/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio_blk.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LOG "blk"
#include "engine/err.h"
#include "engine/log.h"
#include "engine/vm.h"

#define DEPTH 128u /* requests in flight at most; ours: as many as a host's disk has use for */
#define BATCH                                                                                  \
	4 /* requests begun at once, so that the guest has results of some while others are
		       * being copied; ours */
#define ROUNDS	 64u		      /* of them before others get the lock; ours */
#define BYTES	 (32ull << 20)	      /* begun before others get it, and in flight; ours */
#define RETRY_NS (10 * NSEC_PER_MSEC) /* after the kernel had no room; ours */

/* 5.2.4, up to and with write_zeroes_may_unmap; the fields behind it need features that we have not. */
#define CONFIG_SIZE ALIGN_UP((uint32_t)offsetof(struct virtio_blk_config, unused1), 4u)

static const struct state_field blk_fields[] = {
	VIRTIO_STATE_ROW(struct virtio_blk_state),
	STATE_FIELD(struct virtio_blk_state, sectors),
	STATE_NESTED(struct virtio_blk_state, bytes, &rate_state_desc),
	STATE_NESTED(struct virtio_blk_state, ops, &rate_state_desc),
	STATE_ARRAY8(struct virtio_blk_state, serial),
	STATE_FIELD_MAX(struct virtio_blk_state, read_only, 1),
};

static struct virtio_blk *blk_of(struct device *dev)
{
	return container_of(virtio_of(dev), struct virtio_blk, virtio);
}

/* ---- requests ---- */

/* Look at the queue again in @ns > 0; not connected, somebody else does. */
static void look_again(const struct virtio_blk *blk, nsec_t ns)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
						 .tv_nsec = (long)(ns % NSEC_PER_SEC) } };

	if (blk->again.fd >= 0)
		timerfd_settime(blk->again.fd, 0, &when, NULL);
}

/* How long until a request may begin. */
static nsec_t throttle(struct virtio_blk *blk)
{
	nsec_t now, bytes, ops;

	if (blk->bytes.limit.size == 0 && blk->ops.limit.size == 0)
		return 0;
	now = clock_monotonic();
	bytes = rate_wait(&blk->bytes, &blk->bytes_now, now);
	ops = rate_wait(&blk->ops, &blk->ops_now, now);
	return MAX(bytes, ops);
}

static void put_free(struct virtio_blk *blk, struct blk_request *r)
{
	r->next = blk->free;
	blk->free = r;
}

void virtio_blk_finish(struct blk_request *r, uint8_t status, uint32_t written)
{
	struct virtio_blk *blk = r->blk;

	virtq_write(&r->req, r->req.in_size - 1, &status, sizeof(status));
	virtq_push(&blk->virtio.queues[0], r->req.head, written + sizeof(status));
	blk->moving -= r->moves;
	put_free(blk, r);
	blk->has_pushed = true;
}

/* Returns whether there was a request, or -EPROTO. */
static int begin_one(struct virtio_blk *blk)
{
	struct blk_request *r = blk->free;
	int ret = virtq_pop(&blk->virtio.queues[0], &r->req);
	int64_t moves;

	if (ret <= 0)
		return ret;
	blk->free = r->next;
	moves = blk_request_begin(r);
	if (moves < 0) {
		put_free(blk, r);
		return (int)moves;
	}
	blk->begun += (uint64_t)moves;
	rate_take(&blk->bytes, &blk->bytes_now, (uint64_t)moves);
	rate_take(&blk->ops, &blk->ops_now, 1);
	blk->is_rewound = false;
	return 1;
}

/*
 * Begin a few of those that may begin now. @last: ask to be notified of what comes later. That costs the
 * guest an exit, so it is left until nothing else is to be done here. Returns how many, or -EPROTO.
 */
static int begin_some(struct virtio_blk *blk, bool last)
{
	const struct virtq *q = &blk->virtio.queues[0];
	int n = 0, ret;

	while (n < BATCH && blk->free && blk->moving < BYTES && (last || virtq_has_more(q))) {
		nsec_t wait = throttle(blk);

		if (wait > 0) {
			blk->stats.throttled += last;
			look_again(blk, wait);
			break;
		}
		ret = begin_one(blk);
		if (ret <= 0)
			return ret < 0 ? ret : n;
		n++;
	}
	return n;
}

static void submit(struct virtio_blk *blk)
{
	if (!block_io_submit(&blk->io))
		look_again(blk, RETRY_NS);
}

static void tell(struct virtio_blk *blk)
{
	if (blk->has_pushed)
		virtio_signal(&blk->virtio, 0);
	blk->has_pushed = false;
}

/* Whoever waits for the lock, a freeze maybe, is not to wait for all that a guest can ask for. */
static bool has_turn(const struct virtio_blk *blk, uint32_t round)
{
	return round < ROUNDS && blk->begun < BYTES;
}

/* Begin, take what has ended, and so on, until there is nothing of either. */
static int blk_kick(struct virtio_dev *dev, uint32_t queue)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, virtio);
	bool busy = true, last;
	uint32_t round = 0;
	int n;

	blk->begun = 0;
	do {
		last = !busy;
		n = begin_some(blk, last);
		submit(blk);
		busy = block_io_reap(&blk->io) > 0 || n > 0;
		tell(blk);
	} while (n >= 0 && (busy || !last) && has_turn(blk, ++round));
	submit(blk); /* the next steps of what came last */
	if (!has_turn(blk, round))
		virtio_kick_later(dev, queue);
	return MIN(n, 0);
}

static void blk_settle(struct virtio_dev *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, virtio);
	int ret = 0;

	while (blk->io.in_flight > 0 && ret == 0)
		ret = block_io_wait(&blk->io);
	if (ret < 0)
		log_warn("%u requests are lost: %s", blk->io.in_flight, strerrordesc_np(-ret));
	tell(blk);
	/* What there was no room for: no result is left that would begin it. */
	if (virtq_has_more(&dev->queues[0]))
		virtio_kick_later(dev, 0);
}

static const struct virtio_ops blk_ops = {
	.id = VIRTIO_ID_BLOCK,
	.nqueues = 1,
	.queue_sizes = { VIRTQ_MAX_SIZE },
	.kick = blk_kick,
	.settle = blk_settle,
};

/* Something came from the file. */
static int on_result(struct loop_watch *watch, uint32_t events)
{
	struct virtio_blk *blk = container_of(watch, struct virtio_blk, io_watch);

	(void)events;
	block_io_reap(&blk->io);
	submit(blk);
	virtio_kick(&blk->virtio, 0); /* there is room for others */
	tell(blk);
	return 0;
}

static int on_again(struct loop_watch *watch, uint32_t events)
{
	struct virtio_blk *blk = container_of(watch, struct virtio_blk, again);
	uint64_t times;

	(void)events;
	if (read(watch->fd, &times, sizeof(times)) < 0)
		return 0; /* it was set anew meanwhile */
	submit(blk);
	virtio_kick(&blk->virtio, 0);
	return 0;
}

/* ---- the device ---- */

/* What the drive says, whatever a state said. */
static void set_drive(struct virtio_blk *blk)
{
	const struct drive *d = blk->drive.drive;
	const uint64_t writable =
		1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	const uint64_t read_only = 1ull << VIRTIO_BLK_F_RO;

	blk->s.sectors = d->size / DRIVE_SECTOR;
	blk->s.read_only = d->mode == DRIVE_RO;
	blk->virtio.features &= ~(writable | read_only);
	blk->virtio.features |= blk->s.read_only ? read_only : writable;
	blk->config.capacity = blk->s.sectors;
}

static void set_config(struct virtio_blk *blk)
{
	blk->config = (struct virtio_blk_config){
		.size_max = BLK_SIZE_MAX,
		.seg_max = BLK_SEG_MAX,
		.blk_size = DRIVE_SECTOR,
		/* So that guests write whole blocks of an overlay. */
		.physical_block_exp = __builtin_ctz(BLOCKS_SIZE / DRIVE_SECTOR),
		.min_io_size = BLOCKS_SIZE / DRIVE_SECTOR,
		.max_discard_sectors = BLK_RANGE_MAX,
		.max_discard_seg = 1,
		.discard_sector_alignment = BLOCKS_SIZE / DRIVE_SECTOR,
		.max_write_zeroes_sectors = BLK_RANGE_MAX,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};
	blk->virtio.config = (const uint8_t *)&blk->config;
	blk->virtio.config_size = CONFIG_SIZE;
	blk->virtio.features = 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |
			       1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH |
			       1ull << VIRTIO_BLK_F_TOPOLOGY;
}

int virtio_blk_attach(struct device *dev, const struct virtio_blk_drive *drive, struct err *err)
{
	struct virtio_blk *blk = blk_of(dev);
	const struct drive *d = drive->drive;
	nsec_t now = clock_monotonic();
	int ret;

	if (drive->frozen && d->mode != DRIVE_OVERLAY)
		return err_set(err, EINVAL,
			       "its machine had written to the drive, that takes an overlay");
	overlay_fini(&blk->overlay);
	blk->drive = (struct virtio_blk_drive){ 0 };
	ret = block_io_attach(&blk->io, d->fd, err);
	if (ret == 0 && d->mode == DRIVE_OVERLAY)
		ret = overlay_init(&blk->overlay, d->fd, d->size, drive->frozen,
				   drive->max_blocks, err);
	if (ret < 0)
		return ret;
	blk->drive = *drive;
	memcpy(blk->s.serial, drive->serial, sizeof(blk->s.serial));
	rate_init(&blk->bytes, &blk->bytes_now, &drive->bytes, now);
	rate_init(&blk->ops, &blk->ops_now, &drive->ops, now);
	blk->has_buckets = blk->is_rewound = false;
	set_drive(blk);
	return 0;
}

static int make_requests(struct virtio_blk *blk, struct err *err)
{
	blk->requests = calloc(DEPTH, sizeof(*blk->requests));
	if (!blk->requests)
		return err_set(err, ENOMEM, "no memory for %u requests", DEPTH);
	for (uint32_t i = 0; i < DEPTH; i++) {
		blk->requests[i].blk = blk;
		put_free(blk, &blk->requests[i]);
	}
	return 0;
}

static int blk_init(struct device *dev, const void *config, struct err *err)
{
	const struct virtio_blk_drive *drive = config;
	struct virtio_blk *blk = blk_of(dev);
	int ret;

	blk->again.fd = -1;
	block_io_init(&blk->io, DEPTH);
	set_config(blk);
	ret = make_requests(blk, err);
	if (ret == 0 && drive && drive->drive)
		ret = virtio_blk_attach(dev, drive, err);
	return ret < 0 ? ret : virtio_init(&blk->virtio, &blk_ops, err);
}

static int blk_connect(struct device *dev, struct err *err)
{
	struct virtio_blk *blk = blk_of(dev);
	int ret = virtio_connect(dev, err);

	if (ret < 0)
		return ret;
	blk->again = (struct loop_watch){ .fd = timerfd_create(CLOCK_MONOTONIC,
							       TFD_CLOEXEC | TFD_NONBLOCK),
					  .callback = on_again };
	if (blk->again.fd < 0)
		return err_sys(err, "timerfd_create");
	ret = worker_watch(&dev->vm->worker, &blk->again, EPOLLIN, err);
	blk->io_watch =
		(struct loop_watch){ .fd = block_io_watch_fd(&blk->io), .callback = on_result };
	if (ret < 0 || blk->io_watch.fd < 0)
		return ret;
	return worker_watch(&dev->vm->worker, &blk->io_watch, EPOLLIN, err);
}

static int blk_drain(struct device *dev, struct err *err)
{
	const struct block_op flush = { .kind = BLOCK_FLUSH };
	struct virtio_blk *blk = blk_of(dev);
	int ret = virtio_drain(dev, err);

	/* They would end in the memory of whoever is there next. */
	if (ret == 0 && blk->io.in_flight > 0)
		return err_set(err, EIO, "%u requests to the drive do not come back",
			       blk->io.in_flight);
	if (ret < 0 || !blk->is_dirty || blk->drive.drive->mode != DRIVE_RW)
		return ret;
	ret = (int)block_io_do(&blk->io, &flush);
	if (ret < 0)
		return err_set(err, -ret, "flush the drive: %s", strerrordesc_np(-ret));
	blk->is_dirty = false;
	return 0;
}

/* The guest knows its disk, and has parts of it in memory. */
static int check_drive(const struct virtio_blk *blk, struct err *err)
{
	const struct drive *d = blk->drive.drive;

	if (!d)
		return err_set(err, EINVAL, "the machine has a drive, none was given");
	if (d->size / DRIVE_SECTOR != blk->s.sectors)
		return err_set(err, EINVAL,
			       "the machine's drive has %llu sectors, the one given %llu",
			       (unsigned long long)blk->s.sectors,
			       (unsigned long long)(d->size / DRIVE_SECTOR));
	if (blk->s.read_only != (d->mode == DRIVE_RO))
		return err_set(err, EINVAL, "the machine's drive is %s, the one given is not",
			       blk->s.read_only ? "read-only" : "writable");
	return 0;
}

/* A machine that was rewound, and left alone, is as it was loaded. */
static int blk_save(struct device *dev, struct err *err)
{
	struct virtio_blk *blk = blk_of(dev);

	(void)err;
	if (!blk->is_rewound) {
		blk->s.bytes = blk->bytes_now;
		blk->s.ops = blk->ops_now;
	}
	return 0;
}

/* Of a machine that is new here; one that is rewound owes what it owed. */
static void load_buckets(struct virtio_blk *blk)
{
	bool limited = blk->bytes.limit.size || blk->ops.limit.size;
	nsec_t now = limited ? clock_monotonic() : 0;

	blk->bytes_now = blk->s.bytes;
	blk->ops_now = blk->s.ops;
	rate_load(&blk->bytes, &blk->bytes_now, now);
	rate_load(&blk->ops, &blk->ops_now, now);
	blk->has_buckets = true;
}

/* Of a machine that ran before, vm_drain came first: nothing is in flight. */
static int blk_load(struct device *dev, struct err *err)
{
	struct virtio_blk *blk = blk_of(dev);
	int ret = check_drive(blk, err);

	if (blk->drive.drive)
		set_drive(blk);
	if (ret < 0)
		return ret;
	blk->is_rewound = blk->has_buckets;
	if (!blk->has_buckets)
		load_buckets(blk);
	if (blk->drive.drive->mode == DRIVE_OVERLAY)
		overlay_reset(&blk->overlay);
	return virtio_load(dev, err);
}

static void blk_fini(struct device *dev)
{
	struct virtio_blk *blk = blk_of(dev);

	block_io_fini(&blk->io);
	overlay_fini(&blk->overlay);
	fd_cleanup(&blk->again.fd);
	free(blk->requests);
	virtio_fini(dev);
}

static const struct device_counter counters[] = {
	{ "reads", offsetof(struct virtio_blk, stats.reads) },
	{ "writes", offsetof(struct virtio_blk, stats.writes) },
	{ "flushes", offsetof(struct virtio_blk, stats.flushes) },
	{ "discards", offsetof(struct virtio_blk, stats.discards) },
	{ "zeroes", offsetof(struct virtio_blk, stats.zeroes) },
	{ "read_bytes", offsetof(struct virtio_blk, stats.read_bytes) },
	{ "written_bytes", offsetof(struct virtio_blk, stats.written_bytes) },
	{ "errors", offsetof(struct virtio_blk, stats.errors) },
	{ "refused", offsetof(struct virtio_blk, stats.refused) },
	{ "throttled", offsetof(struct virtio_blk, stats.throttled) },
	VIRTIO_COUNTERS(struct virtio_blk),
	{ 0 },
};

const struct device_type virtio_blk_type = {
	.name = "virtio-blk",
	.size = sizeof(struct virtio_blk),
	.state_off = offsetof(struct virtio_blk, s),
	.state = STATE_DESC("dev.virtio-blk", 1, struct virtio_blk_state, blk_fields),
	.init = blk_init,
	.connect = blk_connect,
	.drain = blk_drain,
	.save = blk_save,
	.load = blk_load,
	.fini = blk_fini,
	.counters = counters,
};

const struct overlay *virtio_blk_overlay(struct device *dev)
{
	const struct virtio_blk *blk = blk_of(dev);
	const struct drive *d = blk->drive.drive;

	return d && d->mode == DRIVE_OVERLAY ? &blk->overlay : NULL;
}

const struct virtio_blk_stats *virtio_blk_stats(struct device *dev)
{
	return &blk_of(dev)->stats;
}
