/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/block_io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG "block"
#include "engine/err.h"
#include "engine/log.h"

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO  (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

/* ---- the ring ---- */

/* It works on the one file that it is given, and on no other. */
static int ring_restrict(const struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_READ,	 IORING_OP_READV, IORING_OP_WRITE,
				       IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE };
	struct io_uring_restriction res[ARRAY_SIZE(ops) + 2] = {
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
		  .sqe_flags = IOSQE_FIXED_FILE },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_FILES_UPDATE },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(ops); i++)
		res[i + 2] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_OP,
							    .sqe_op = ops[i] };
	/* Not by liburing: the shared library of 2.3 (Debian 12) lacks these two functions. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, res,
		    ARRAY_SIZE(res)) < 0 ||
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		    0) < 0)
		return -errno;
	return 0;
}

static int ring_open(struct io_uring *ring, uint32_t depth)
{
	const int none = -1;
	int ret = io_uring_queue_init(depth, ring, IORING_SETUP_R_DISABLED);

	if (ret < 0)
		return ret;
	ret = io_uring_register_files(ring, &none, 1);
	if (ret == 0)
		ret = ring_restrict(ring);
	if (ret < 0)
		io_uring_queue_exit(ring);
	return ret;
}

void block_io_init(struct block_io *io, uint32_t depth)
{
	int ret;

	*io = (struct block_io){ .fd = -1 };
	ret = ring_open(&io->ring, depth);
	io->has_ring = ret == 0;
	if (ret < 0)
		log_info("drives are read and written one request after the other, io_uring is "
			 "not to be had: %s",
			 strerrordesc_np(-ret));
}

int block_io_attach(struct block_io *io, int fd, struct err *err)
{
	int ret = io->has_ring ? io_uring_register_files_update(&io->ring, 0, &fd, 1) : 1;

	if (ret < 0)
		return err_set(err, -ret, "register a drive: %s", strerrordesc_np(-ret));
	io->fd = fd;
	return 0;
}

int block_io_watch_fd(const struct block_io *io)
{
	return io->has_ring ? io->ring.ring_fd : -1;
}

static void prepare_transfer(struct io_uring_sqe *sqe, const struct block_op *op)
{
	bool write = op->kind == BLOCK_WRITE;

	if (op->niov > 1 && write)
		io_uring_prep_writev(sqe, 0, op->iov, op->niov, op->off);
	else if (op->niov > 1)
		io_uring_prep_readv(sqe, 0, op->iov, op->niov, op->off);
	else if (write)
		io_uring_prep_write(sqe, 0, op->iov->iov_base, (uint32_t)op->len, op->off);
	else
		io_uring_prep_read(sqe, 0, op->iov->iov_base, (uint32_t)op->len, op->off);
	sqe->rw_flags = write && op->durable ? RWF_DSYNC : 0;
}

static void prepare(struct io_uring_sqe *sqe, struct block_op *op)
{
	switch (op->kind) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		prepare_transfer(sqe, op);
		break;
	case BLOCK_FLUSH:
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
		break;
	case BLOCK_DISCARD:
		io_uring_prep_fallocate(sqe, 0, PUNCH, (off_t)op->off, (off_t)op->len);
		break;
	case BLOCK_ZERO:
		io_uring_prep_fallocate(sqe, 0, ZERO, (off_t)op->off, (off_t)op->len);
		break;
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, op);
}

/* ---- without one ---- */

static ssize_t try_op(int fd, const struct block_op *op)
{
	switch (op->kind) {
	case BLOCK_READ:
		return preadv(fd, op->iov, (int)op->niov, (off_t)op->off);
	case BLOCK_WRITE:
		return pwritev2(fd, op->iov, (int)op->niov, (off_t)op->off,
				op->durable ? RWF_DSYNC : 0);
	case BLOCK_FLUSH:
		return fdatasync(fd);
	case BLOCK_DISCARD:
		return fallocate(fd, PUNCH, (off_t)op->off, (off_t)op->len);
	case BLOCK_ZERO:
		return fallocate(fd, ZERO, (off_t)op->off, (off_t)op->len);
	}
	return -1;
}

int64_t block_io_do(const struct block_io *io, const struct block_op *op)
{
	ssize_t n;

	do
		n = try_op(io->fd, op);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* ---- either way ---- */

bool block_io_start(struct block_io *io, struct block_op *op, int64_t *res)
{
	struct io_uring_sqe *sqe = io->has_ring ? io_uring_get_sqe(&io->ring) : NULL;

	if (!sqe) {
		*res = block_io_do(io, op);
		return true;
	}
	prepare(sqe, op);
	io->in_flight++;
	io->unsubmitted++;
	return false;
}

bool block_io_submit(struct block_io *io)
{
	int ret = 1;

	while (io->unsubmitted > 0 && ret > 0) {
		ret = io_uring_submit(&io->ring);
		if (ret > 0)
			io->unsubmitted -= MIN((uint32_t)ret, io->unsubmitted);
	}
	return io->unsubmitted == 0;
}

/* The next result, if there is one. */
static struct block_op *take_result(struct block_io *io, int64_t *res)
{
	struct io_uring_cqe *cqe;
	struct block_op *op;

	if (!io->has_ring || io_uring_peek_cqe(&io->ring, &cqe) < 0)
		return NULL;
	op = io_uring_cqe_get_data(cqe);
	*res = cqe->res;
	io_uring_cqe_seen(&io->ring, cqe);
	io->in_flight--;
	return op;
}

uint32_t block_io_reap(struct block_io *io)
{
	struct block_op *op;
	uint32_t n = 0;
	int64_t res;

	/* A result may begin what ends at once: no more than can be in flight, then others come. */
	for (uint32_t most = io->in_flight; n < most && (op = take_result(io, &res)); n++)
		op->done(op, res);
	return n;
}

static int await(struct block_io *io)
{
	int ret = io_uring_submit_and_wait(&io->ring, 1);

	if (ret > 0)
		io->unsubmitted -= MIN((uint32_t)ret, io->unsubmitted);
	return ret == -EINTR || ret == -EAGAIN || ret == -EBUSY ? 0 : MIN(ret, 0);
}

int block_io_wait(struct block_io *io)
{
	int ret = io->in_flight > 0 ? await(io) : 0;

	block_io_reap(io);
	return ret;
}

void block_io_fini(struct block_io *io)
{
	const int none = -1;
	int64_t res;
	int ret = 0;

	if (!io->has_ring)
		return;
	/* What is in flight ends in memory that is somebody else's soon. */
	while (io->in_flight > 0 && ret == 0) {
		ret = await(io);
		while (take_result(io, &res))
			;
	}
	/* Else the file stays open, and locked, until the kernel has time to take the ring apart. */
	(void)io_uring_register_files_update(&io->ring, 0, &none, 1);
	io_uring_queue_exit(&io->ring);
	*io = (struct block_io){ .fd = -1 };
}
