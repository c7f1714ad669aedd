/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_disk.c - reads of a disk by a driver in a machine (tests/guest/kernels/blk.c, all of it in ring
 * 3), and by io_uring of the same file without a machine, in turn.
 */
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "snapshot/disks.h"
#include "snapshot/kind.h"
#include "snapshot/machine.h"
#include "tests/guest/kernels/blk.h"
#include "tools/thaw/blob.h"
#include "tools/thaw/cmd.h"

#define ROUNDS	 200u
#define REQUESTS 512u /* of a sample: 64 MiB, the whole disk */

#define TIMEOUT (20 * NSEC_PER_SEC)
#define MIB	(1024.0 * 1024)

struct disk_part {
	struct disks disks; /* one */
	int mailbox_fd;
	struct machine machine;
	struct io_uring ring;
	bool has_ring;
	uint8_t *buffers; /* of the ring's requests */
};

static double rate(nsec_t from)
{
	return REQUESTS * (BLK_REQUEST / MIB) / ((double)(clock_monotonic() - from) / 1e9);
}

/* ---- the guest ---- */

static int ask(struct disk_part *p, uint32_t what, uint64_t seed, struct err *err)
{
	const struct blk_order order = { .what = what, .n = REQUESTS, .seed = seed };
	const struct invocation inv = { .event = &order,
					.len = sizeof(order),
					.deadline = clock_monotonic() + TIMEOUT };
	struct mailbox_reply reply;
	struct blk_report r;
	int ret = machine_invoke(&p->machine, &inv, &reply, NULL, err);

	if (ret < 0)
		return ret;
	if (reply.len != sizeof(r))
		return err_set(err, EIO, "the driver of a disk answered with %zu bytes",
			       reply.len);
	memcpy(&r, reply.data, sizeof(r));
	if (r.failed || r.wrong)
		return err_set(err, EIO, "of a disk's requests %u failed, %u read other bytes",
			       r.failed, r.wrong);
	return 0;
}

static int guest_sample(void *arg, double *mib_per_s, struct thaw_err *err)
{
	nsec_t from = clock_monotonic();
	int ret = ask(arg, BLK_READ, 0, cmd_err(err));

	*mib_per_s = rate(from);
	return ret;
}

static int boot(struct disk_part *p, const struct bench *b, struct err *err)
{
	static const char *const none[] = { "", NULL };
	struct boot_config cfg = { .argv = none, .envp = none + 1 };
	struct blob kernel = { 0 };
	struct shape shape;
	char path[256];
	int ret;

	snprintf(path, sizeof(path), "%.120s/tests/blk.elf", b->guest);
	kind_shape(&kind_kindling, &b->kvm, &b->kvm.cpuid, kind_kindling.ram_default, 1,
		   &shape);
	ret = machine_create(&p->machine, &b->kvm, &shape, p->mailbox_fd, err);
	if (ret == 0)
		ret = machine_attach(&p->machine, &p->disks, err);
	if (ret == 0)
		ret = blob_read(&kernel, path, 1 << 20, err);
	cfg.kernel = (struct boot_blob){ kernel.data, kernel.size };
	if (ret == 0)
		ret = machine_boot(&p->machine, &cfg, err);
	blob_free(&kernel);
	return ret < 0 ? ret : machine_wait(&p->machine, clock_monotonic() + TIMEOUT, err);
}

/* ---- io_uring alone ---- */

static void begin_read(struct disk_part *p, uint32_t slot, uint32_t number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring);

	if (!sqe)
		return; /* cannot be: it was submitted before */
	io_uring_prep_read(sqe, 0, p->buffers + (size_t)slot * BLK_REQUEST, BLK_REQUEST,
			   (uint64_t)number * BLK_REQUEST);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data64(sqe, slot);
}

/* Wait for one result. Returns its slot. */
static int end_read(struct disk_part *p, struct err *err)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait(&p->ring, 1);

	if (ret >= 0)
		ret = io_uring_wait_cqe(&p->ring, &cqe);
	if (ret < 0)
		return err_set(err, -ret, "io_uring: %s", strerrordesc_np(-ret));
	ret = cqe->res == (int)BLK_REQUEST ? (int)io_uring_cqe_get_data64(cqe)
					   : err_set(err, EIO, "io_uring read %d bytes of %u",
						     cqe->res, BLK_REQUEST);
	io_uring_cqe_seen(&p->ring, cqe);
	return ret;
}

static int host_sample(void *arg, double *mib_per_s, struct thaw_err *err)
{
	struct disk_part *p = arg;
	nsec_t from = clock_monotonic();
	uint32_t begun = 0;

	for (; begun < BLK_DEPTH; begun++)
		begin_read(p, begun, begun);
	for (uint32_t done = 0; done < REQUESTS; done++) {
		int slot = end_read(p, cmd_err(err));

		if (slot < 0)
			return slot;
		if (begun < REQUESTS)
			begin_read(p, (uint32_t)slot, begun++);
	}
	*mib_per_s = rate(from);
	return 0;
}

static int ring_open(struct disk_part *p, struct err *err)
{
	int ret = io_uring_queue_init(BLK_DEPTH, &p->ring, 0);

	p->has_ring = ret == 0;
	if (ret == 0)
		ret = io_uring_register_files(&p->ring, &p->disks.disk[0].drive.fd, 1);
	if (ret < 0)
		return err_set(err, -ret, "io_uring: %s", strerrordesc_np(-ret));
	p->buffers = calloc(BLK_DEPTH, BLK_REQUEST);
	return p->buffers ? 0 : err_set(err, ENOMEM, "no memory to read a disk into");
}

/* ---- the run ---- */

static int make_file(const char *path, struct err *err)
{
	FILE *f = fopen(path, "we");
	int ret = f ? ftruncate(fileno(f), (off_t)REQUESTS * BLK_REQUEST) : -1;

	if (ret < 0)
		ret = err_sys(err, "%s", path);
	if (f)
		fclose(f);
	return ret;
}

/* What is on the disk was written by the guest, and looked at by it before anything is timed. */
static int part_open(struct disk_part *p, const struct bench *b, struct err *err)
{
	char path[96];
	const struct disk_spec spec = { .id = "disk", .path = path, .mode = DRIVE_RW };
	int ret;

	snprintf(path, sizeof(path), "%s/disk", b->scratch);
	ret = make_file(path, err);
	if (ret == 0)
		ret = disks_add(&p->disks, &spec, err);
	if (ret < 0)
		return ret;
	p->mailbox_fd = mailbox_memfd(err);
	ret = p->mailbox_fd < 0 ? p->mailbox_fd : boot(p, b, err);
	if (ret == 0)
		ret = ask(p, BLK_FILL, 7, err);
	if (ret == 0)
		ret = ask(p, BLK_CHECK, 7, err);
	return ret < 0 ? ret : ring_open(p, err);
}

static int interleave(struct bench *b, struct disk_part *p, struct thaw_err *err)
{
	struct series_list *l = &b->report.series;
	const struct variant v[] = {
		{ .run = guest_sample,
		  .arg = p,
		  .to = series_new(l, "disk_guest_mib_per_s", "MiB/s, a guest's driver") },
		{ .run = host_sample,
		  .arg = p,
		  .to = series_new(l, "disk_host_mib_per_s", "MiB/s, io_uring") },
	};
	struct rounds rounds = { bench_rounds(b, ROUNDS), 3, b->quick ? 5 : 30 };
	int ret = series_interleave(v, ARRAY_SIZE(v), rounds, err);

	if (ret < 0)
		return ret;
	bars_ratio(&b->bars, BAR_DISK, v[0].to, v[1].to);
	bars_beside(&b->bars, BAR_DISK, "p50 %.0f MiB/s and %.0f MiB/s, in the page cache",
		    series_stats(v[0].to).p50, series_stats(v[1].to).p50);
	return 0;
}

int bench_disk(struct bench *b, struct thaw_err *err)
{
	static struct disk_part p = { .mailbox_fd = -1 };
	int ret = part_open(&p, b, cmd_err(err));

	if (ret == 0)
		ret = interleave(b, &p, err);
	if (ret < 0)
		bars_beside(&b->bars, BAR_DISK, "%s", err->text);
	if (p.machine.mailbox)
		machine_destroy(&p.machine);
	if (p.has_ring)
		io_uring_queue_exit(&p.ring);
	free(p.buffers);
	fd_cleanup(&p.mailbox_fd);
	disks_close(&p.disks);
	return ret;
}
