/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blk_request.h"

#include <errno.h>
#include <string.h>

#include "devices/virtio_blk.h"

#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_blk_outhdr))

/* The segments of bytes [off, off+len) of @segs, in which they are; neighbours become one. */
static uint32_t slice(struct iovec *to, const struct iovec *segs, uint64_t off, uint64_t len)
{
	uint32_t n = 0;

	for (; off >= segs->iov_len; segs++)
		off -= segs->iov_len;
	for (; len > 0; segs++, off = 0) {
		uint8_t *at = (uint8_t *)segs->iov_base + off;
		size_t part = MIN(segs->iov_len - off, len);

		if (n > 0 && (uint8_t *)to[n - 1].iov_base + to[n - 1].iov_len == at)
			to[n - 1].iov_len += part;
		else
			to[n++] = (struct iovec){ .iov_base = at, .iov_len = part };
		len -= part;
	}
	return n;
}

static bool reads(const struct blk_request *r)
{
	return r->type == VIRTIO_BLK_T_IN;
}

/* Where in the guest's memory the next @len bytes of the request are. */
static uint32_t slice_data(struct blk_request *r, uint64_t len)
{
	return reads(r) ? slice(r->slice, virtq_in(&r->req), r->done, len)
			: slice(r->slice, r->req.segs, HEADER_SIZE + r->done, len);
}

/* ---- the end ---- */

static void refuse(struct blk_request *r, uint8_t status)
{
	r->blk->stats.refused++;
	virtio_blk_finish(r, status, 0);
}

static void fail(struct blk_request *r, int64_t res)
{
	/* Drivers go on without what a drive does not support. */
	if (res == -EOPNOTSUPP) {
		refuse(r, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	r->blk->stats.errors++;
	virtio_blk_finish(r, VIRTIO_BLK_S_IOERR, 0);
}

static void succeed(struct blk_request *r)
{
	struct virtio_blk_stats *stats = &r->blk->stats;

	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		stats->reads++;
		stats->read_bytes += r->len;
		break;
	case VIRTIO_BLK_T_OUT:
		stats->writes++;
		stats->written_bytes += r->len;
		break;
	case VIRTIO_BLK_T_FLUSH:
		stats->flushes++;
		break;
	case VIRTIO_BLK_T_DISCARD:
		stats->discards++;
		break;
	default:
		stats->zeroes++;
	}
	virtio_blk_finish(r, VIRTIO_BLK_S_OK, reads(r) ? (uint32_t)r->len : 0);
}

/* ---- reads and writes ---- */

/* To or from @at, which has the next @len bytes of the drive. */
static void copy(struct blk_request *r, uint8_t *at, uint64_t len)
{
	uint32_t n = slice_data(r, len);

	for (uint32_t i = 0; i < n; i++) {
		if (reads(r))
			memcpy(r->slice[i].iov_base, at, r->slice[i].iov_len);
		else
			memcpy(at, r->slice[i].iov_base, r->slice[i].iov_len);
		at += r->slice[i].iov_len;
	}
	r->done += len;
}

static void transfer_done(struct block_op *op, int64_t res);

/* Ask the file for the next @len bytes. Returns 1: they came; 0: they will; or -errno. */
static int transfer_file(struct blk_request *r, uint64_t len)
{
	int64_t res;

	r->op = (struct block_op){ .kind = reads(r) ? BLOCK_READ : BLOCK_WRITE,
				   .durable = !virtio_has(&r->blk->virtio, VIRTIO_BLK_F_FLUSH),
				   .off = r->off + r->done,
				   .len = len,
				   .iov = r->slice,
				   .niov = slice_data(r, len),
				   .done = transfer_done };
	if (!block_io_start(&r->blk->io, &r->op, &res))
		return 0;
	r->done += (uint64_t)MAX(res, 0);
	return res > 0 ? 1 : (int)MIN(res, -EIO);
}

static int read_overlay(struct blk_request *r)
{
	const uint8_t *at;
	uint64_t len = overlay_find(&r->blk->overlay, r->off + r->done, r->len - r->done, &at);

	if (!at)
		return transfer_file(r, len);
	copy(r, (uint8_t *)(uintptr_t)at, len); /* reads from there */
	return 1;
}

static int write_overlay(struct blk_request *r)
{
	uint8_t *at = NULL;
	int ret = overlay_claim(&r->blk->overlay, r->off, r->len, &at);

	if (ret < 0)
		return ret;
	copy(r, at, r->len);
	return 1;
}

static int transfer_step(struct blk_request *r)
{
	if (r->blk->drive.drive->mode != DRIVE_OVERLAY)
		return transfer_file(r, r->len - r->done);
	return reads(r) ? read_overlay(r) : write_overlay(r);
}

static void transfer(struct blk_request *r)
{
	int ret = 1;

	while (r->done < r->len && ret > 0)
		ret = transfer_step(r);
	if (ret < 0)
		fail(r, ret);
	else if (ret > 0)
		succeed(r);
}

static void transfer_done(struct block_op *op, int64_t res)
{
	struct blk_request *r = container_of(op, struct blk_request, op);

	/* The kernel had no room for it at that moment: wait for it then. */
	if (res == -EAGAIN || res == -EINTR)
		res = block_io_do(&r->blk->io, op);
	if (res <= 0) {
		fail(r, res < 0 ? res : -EIO); /* 0: the file was cut */
		return;
	}
	r->done += (uint64_t)res;
	transfer(r);
}

/* ---- the rest ---- */

static void operate(struct blk_request *r, enum block_kind kind);

static void operation_done(struct block_op *op, int64_t res)
{
	struct blk_request *r = container_of(op, struct blk_request, op);

	/* tmpfs cannot set zeros, but make holes, which are zeros. */
	if (res == -EOPNOTSUPP && op->kind == BLOCK_ZERO)
		operate(r, BLOCK_DISCARD);
	else if (res < 0)
		fail(r, res);
	else
		succeed(r);
}

static void operate(struct blk_request *r, enum block_kind kind)
{
	int64_t res;

	r->op = (struct block_op){
		.kind = kind, .off = r->off, .len = r->len, .done = operation_done
	};
	if (block_io_start(&r->blk->io, &r->op, &res))
		operation_done(&r->op, res);
}

static void flush(struct blk_request *r)
{
	if (r->blk->drive.drive->mode == DRIVE_RW)
		operate(r, BLOCK_FLUSH);
	else
		succeed(r); /* an overlay is as lasting as the machine */
}

static void clear_overlay(struct blk_request *r)
{
	int ret = 0;

	if (r->type == VIRTIO_BLK_T_DISCARD)
		overlay_discard(&r->blk->overlay, r->off, r->len);
	else
		ret = overlay_zero(&r->blk->overlay, r->off, r->len);
	if (ret < 0)
		fail(r, ret);
	else
		succeed(r);
}

/* ---- what the guest asks for ---- */

static bool in_range(const struct virtio_blk *blk, uint64_t sector, uint64_t nsectors)
{
	uint64_t end = blk->drive.drive->size / DRIVE_SECTOR;

	return sector <= end && nsectors <= end - sector;
}

static bool is_read_only(const struct virtio_blk *blk)
{
	return blk->drive.drive->mode == DRIVE_RO;
}

static void begin_transfer(struct blk_request *r, uint64_t sector)
{
	const struct virtio_blk *blk = r->blk;

	r->len = reads(r) ? r->req.in_size - 1 : r->req.out_size - HEADER_SIZE;
	if (r->len % DRIVE_SECTOR != 0 || r->len > BLK_DATA_MAX ||
	    !in_range(blk, sector, r->len / DRIVE_SECTOR) || (!reads(r) && is_read_only(blk))) {
		refuse(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->off = sector * DRIVE_SECTOR;
	r->blk->is_dirty |= !reads(r);
	transfer(r);
}

/* Discard and write zeroes: 5.2.6.2. One segment, as the config says. */
static void begin_clear(struct blk_request *r)
{
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;
	struct virtio_blk_discard_write_zeroes range;
	uint32_t flags;

	if (r->req.out_size != HEADER_SIZE + sizeof(range) ||
	    virtq_read(&r->req, HEADER_SIZE, &range, sizeof(range)) != sizeof(range)) {
		refuse(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	flags = range.flags;
	if (flags & ~(uint32_t)VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP || (discard && flags)) {
		refuse(r, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (is_read_only(r->blk) || range.num_sectors > BLK_RANGE_MAX ||
	    !in_range(r->blk, range.sector, range.num_sectors)) {
		refuse(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->off = range.sector * DRIVE_SECTOR;
	r->len = (uint64_t)range.num_sectors * DRIVE_SECTOR;
	r->blk->is_dirty = true;
	if (r->len == 0)
		succeed(r);
	else if (r->blk->drive.drive->mode == DRIVE_OVERLAY)
		clear_overlay(r);
	else
		operate(r, discard || flags ? BLOCK_DISCARD : BLOCK_ZERO);
}

static void get_id(struct blk_request *r)
{
	uint32_t len = MIN(r->req.in_size - 1, (uint32_t)VIRTIO_BLK_ID_BYTES);

	virtio_blk_finish(r, VIRTIO_BLK_S_OK,
			  (uint32_t)virtq_write(&r->req, 0, r->blk->s.serial, len));
}

static void begin(struct blk_request *r, uint64_t sector)
{
	if (!r->blk->drive.drive) {
		refuse(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		begin_transfer(r, sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		flush(r);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		begin_clear(r);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(r);
		break;
	default:
		refuse(r, VIRTIO_BLK_S_UNSUPP);
	}
}

int64_t blk_request_begin(struct blk_request *r)
{
	struct virtio_blk_outhdr header;
	uint64_t moves;

	if (virtq_read(&r->req, 0, &header, sizeof(header)) != sizeof(header) ||
	    r->req.in_size == 0)
		return -EPROTO;
	r->type = header.type;
	r->off = r->len = r->done = 0;
	/* Kept here: once it has begun it may be another already. */
	moves = (uint64_t)r->req.in_size - 1 + r->req.out_size - HEADER_SIZE;
	r->moves = moves;
	r->blk->moving += moves;
	begin(r, header.sector);
	return (int64_t)moves;
}
