/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio_blk - a disk, the virtio core and io_uring with it, and a driver who is an enemy. The first
 * byte says what is behind the disk. Some requests follow that are well-formed but for their header; what
 * is left is what the driver does (helpers_virtio_fuzz.h).
 */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/virtio_blk.h"
#include "tests/helpers_virtio_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SECTORS	   2049u
#define MAX_BLOCKS 100u
#define REQUESTS   8u

/* One request, in the fuzzer's bytes. */
struct wish {
	uint8_t type, parts;
	uint16_t sector, len;
	uint8_t far; /* bit 7: the sector is a very large one */
	uint8_t range[16];
} __attribute__((packed));

static struct {
	struct driver driver;
	struct drive drive;
	struct virtio_blk_drive config;
} disks[3];

static void make(enum drive_mode mode)
{
	struct drive *drive = &disks[mode].drive;
	int ret;

	*drive = (struct drive){ .fd = memfd_create("disk", MFD_CLOEXEC),
				 .size = SECTORS * DRIVE_SECTOR,
				 .mode = mode };
	ret = ftruncate(drive->fd, (off_t)drive->size);
	assert(ret == 0);
	disks[mode].config =
		(struct virtio_blk_drive){ .drive = drive, .max_blocks = MAX_BLOCKS };
	driver_init(&disks[mode].driver, &virtio_blk_type, &disks[mode].config);
}

/* Nobody else waits for the disk here. Its file stays as long as it is, its overlay within its limit,
 * and no request is lost. */
static void check(struct driver *d)
{
	struct virtio_blk *blk = container_of(d->dev, struct virtio_blk, virtio);
	const struct drive *drive = blk->drive.drive;

	d->dev->ops->settle(d->dev);
	assert(blk->io.in_flight == 0);
	assert(lseek(drive->fd, 0, SEEK_END) == (off_t)drive->size);
	assert(drive->mode != DRIVE_OVERLAY || blk->overlay.count <= MAX_BLOCKS);
}

static void wish(struct driver *d, const struct wish *w)
{
	struct virtio_blk_outhdr header = { .type = w->type, .sector = w->sector };
	const gpa_t at = DRIVER_BUFFERS, status = at + 0x20000;
	const uint16_t in = w->type & VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
	const uint32_t len = w->type > 10 ? sizeof(w->range) : w->len;
	struct vring_desc chain[] = {
		{ .addr = at, .len = sizeof(header) },
		{ .addr = at + 0x100, .len = len / 2, .flags = in },
		{ .addr = at + 0x100 + len / 2, .len = len - len / 2, .flags = in },
		{ .addr = status, .len = 1, .flags = VRING_DESC_F_WRITE },
	};
	struct vring_used_elem e;

	header.sector *= w->far & 0x80 ? UINT64_MAX / 255 * w->far : 1;
	memcpy(driver_at(d, at, sizeof(header)), &header, sizeof(header));
	memcpy(driver_at(d, at + 0x100, sizeof(w->range)), w->range, sizeof(w->range));
	*(uint8_t *)driver_at(d, status, 1) = 0xee;
	if (len < 2)
		chain[1] = chain[3];
	driver_start(d, w->parts & 1 ? DRIVER_ALL : 1ull << VIRTIO_F_VERSION_1);
	driver_offer(d, 0, chain, len < 2 ? 2 : 4, w->parts);
	driver_notify(d, 0);
	check(d);
	if (driver_take(d, 0, &e))
		assert(*(uint8_t *)driver_at(d, status, 1) <= VIRTIO_BLK_S_UNSUPP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct driver *d;
	struct wish w;

	for (uint32_t i = 0; i < 3 && !disks[2].driver.dev; i++)
		make(i);
	if (len == 0)
		return 0;
	d = &disks[*data % 3].driver;
	data++;
	len--;
	for (uint32_t i = 0; i < REQUESTS && len >= sizeof(w); i++) {
		memcpy(&w, data, sizeof(w));
		data += sizeof(w);
		len -= sizeof(w);
		wish(d, &w);
	}
	driver_fuzz(d, data, len, check);
	return 0;
}
