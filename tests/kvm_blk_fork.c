/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_blk_fork.c - machines with requests on their way to a disk (tests/guest/kernels/blk.c) that are frozen,
 * here and in slots: the copy has each of them either in its ring or done.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/pages.h"
#include "snapshot/fork_memfd.h"
#include "snapshot/overlay_file.h"
#include "snapshot/thaw.h"
#include "tests/guest/kernels/blk.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

#define DRIVE_SIZE (64u * BLK_REQUEST)
#define TIMEOUT_MS (slow() * 10000)

static struct booted b;
static struct frozen f;
static struct disks disks;
static char scratch[256];
static struct err err;

static void begin(void)
{
	struct disk_spec spec = { .id = "data", .mode = DRIVE_OVERLAY };
	const char *path;

	scratch_make(scratch);
	path = scratch_path(scratch, "disk");
	bytes_write(path, NULL, 0);
	cr_assert(eq(int, truncate(path, DRIVE_SIZE), 0));
	spec.path = path;
	cr_assert(eq(int, disks_add(&disks, &spec, &err), 0), "%s", err.text);
	booted_kind(&kind_linux);
	booted_disks(&disks);
	booted_kernel(&b, "tests/blk.elf", "");
}

static void end(void)
{
	frozen_free(&f);
	booted_free(&b);
	disks_close(&disks);
	scratch_remove(scratch);
}

static void expect_report(const void *data, size_t len)
{
	struct blk_report r = { 0 };

	cr_assert(eq(sz, len, sizeof(r)));
	memcpy(&r, data, sizeof(r));
	cr_expect(eq(u32, r.status, 0xf));
	cr_expect(eq(u32, r.failed, 0));
	cr_expect(eq(u32, r.wrong, 0));
}

static void ask(struct machine *m, uint32_t what, uint64_t seed)
{
	struct blk_order order = { .what = what, .n = BLK_DEPTH, .seed = seed };
	struct invocation inv = { .event = &order,
				  .len = sizeof(order),
				  .deadline = clock_monotonic() + TIMEOUT_MS * NSEC_PER_MSEC };
	struct mailbox_reply reply;

	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	expect_report(reply.data, reply.len);
}

/* All that was begun comes to its end, and is there. */
static void expect_whole(struct machine *m, uint64_t seed)
{
	ask(m, BLK_END, seed);
	ask(m, BLK_CHECK, seed);
}

Test(blk_fork, an_image_of_a_machine_with_requests_on_their_way, .timeout = 240)
{
	static struct clone c;

	begin();
	for (uint64_t i = 1; i <= 20 / slow(); i++) {
		ask(&b.machine, BLK_BEGIN, i);
		if (i > 1)
			frozen_free(&f);
		frozen_from(&f, &b.machine);
		expect_whole(&b.machine, i);
		clone_make(&c, &f, &tier_map);
		expect_whole(&c.machine, i);
		clone_free(&c);
	}
	end();
}

/* ---- what a process that was taken over hands over ---- */

static uint8_t *honest, *blocks; /* all that was sent, and the blocks of the drive in it */
static size_t size;

static void send_honestly(struct clone *c, int fd)
{
	struct pages pages;

	ask(&c->machine, BLK_FILL, 7);
	cr_assert(eq(int, pages_open(&pages, &err), 0), "%s", err.text);
	cr_assert(eq(int, fork_send(&c->machine, &pages, fd, &err), 0), "%s", err.text);
	pages_close(&pages);
	size = (size_t)lseek(fd, 0, SEEK_END);
	honest = malloc(size);
	cr_assert(eq(sz, (size_t)pread(fd, honest, size, 0), size));
	blocks = memmem(honest, size, OVERLAY_FILE_MAGIC, 8);
	cr_assert(ne(ptr, blocks, NULL));
}

static int receive_with(int fd, size_t off, uint8_t flip)
{
	struct fork fork;
	int ret;

	blocks[off] ^= flip;
	cr_assert(eq(sz, (size_t)pwrite(fd, honest, size, 0), size));
	blocks[off] ^= flip;
	ret = fork_receive(&fork, &f.kvm, &f.template, fd, &err);
	fork_close(&fork);
	return ret;
}

Test(blk_fork, blocks_that_are_not_what_they_say_are_refused, .timeout = 240)
{
	static const size_t flipped[] = {
		0,  /* magic */
		8,  /* version */
		16, /* size of the drive */
		24, /* blocks */
		32, /* CRC of the table */
		64, /* an entry of it */
		64 + BLK_DEPTH * (BLK_REQUEST / BLOCKS_SIZE) * 16 + BLOCKS_SIZE, /* a block */
	};
	static struct clone c;
	int fd;

	begin();
	frozen_from(&f, &b.machine);
	clone_make(&c, &f, &tier_map);
	fd = fork_memfd(&f.template, &err);
	cr_assert(ge(int, fd, 0), "%s", err.text);
	send_honestly(&c, fd);
	for (size_t i = 0; i < ARRAY_SIZE(flipped); i++)
		cr_expect(eq(int, receive_with(fd, flipped[i], 0x10), -EPROTO), "%zu: %s", i,
			  err.text);
	cr_expect(eq(int, receive_with(fd, 0, 0), 0), "%s", err.text);
	free(honest);
	close(fd);
	clone_free(&c);
	end();
}

/* ---- by libthaw ---- */

struct lib {
	struct thaw_host *host;
	struct thaw_image *image;
	struct thaw_template *template;
};

static struct thaw_err why;

static void lib_open(struct lib *l, const char *dir)
{
	cr_assert(eq(int, thaw_host_open(&l->host, &why), 0), "%s", why.text);
	cr_assert(eq(int, thaw_image_open(&l->image, dir, &why), 0), "%s", why.text);
	cr_assert(eq(int, thaw_image_verify(l->image, &why), 0), "%s", why.text);
	cr_assert(
		eq(int, thaw_template_open(&l->template, l->host, l->image, "map", 2, &why), 0),
		"%s", why.text);
}

static void lib_close(struct lib *l)
{
	thaw_template_close(l->template);
	thaw_image_close(l->image);
	thaw_host_close(l->host);
}

static void ask_clone(struct thaw_clone *clone, uint32_t what, uint64_t seed)
{
	struct blk_order order = { .what = what, .n = BLK_DEPTH, .seed = seed };
	struct thaw_reply reply = { 0 };

	cr_assert(eq(int,
		     thaw_clone_invoke(clone, &order, sizeof(order), TIMEOUT_MS, &reply, &why),
		     0),
		  "%s", why.text);
	expect_report(reply.data, reply.len);
}

static void ask_slot(struct thaw_slot *slot, uint32_t what, uint64_t seed)
{
	struct blk_order order = { .what = what, .n = BLK_DEPTH, .seed = seed };
	struct thaw_reply reply = { 0 };

	cr_assert(eq(int,
		     thaw_slot_invoke(slot, &order, sizeof(order), TIMEOUT_MS, &reply, &why),
		     0),
		  "%s", why.text);
	expect_report(reply.data, reply.len);
}

/* A layer of its own, of which a clone ends what was begun. */
static void expect_layer(struct thaw_snapshot *snapshot, uint64_t seed)
{
	const char *dir = scratch_path(f.scratch, "layer");
	struct thaw_clone *clone = NULL;
	struct lib l;

	cr_assert(eq(int, thaw_snapshot_write(snapshot, dir, 0, &why), 0), "%s", why.text);
	thaw_snapshot_close(snapshot);
	lib_open(&l, dir);
	cr_assert(eq(int, thaw_clone_open(&clone, l.template, NULL, NULL, &why), 0), "%s",
		  why.text);
	ask_clone(clone, BLK_END, seed);
	ask_clone(clone, BLK_CHECK, seed);
	thaw_clone_close(clone);
	lib_close(&l);
}

Test(blk_fork, a_layer_of_a_clone_with_requests_on_their_way, .timeout = 240)
{
	struct thaw_snapshot *snapshot = NULL;
	struct thaw_clone *clone = NULL;
	struct lib l;

	begin();
	frozen_from(&f, &b.machine);
	lib_open(&l, f.dir);
	cr_assert(eq(int, thaw_clone_open(&clone, l.template, NULL, NULL, &why), 0), "%s",
		  why.text);
	for (uint64_t i = 1; i <= 50 / slow(); i++) {
		ask_clone(clone, BLK_BEGIN, i);
		cr_assert(eq(int, thaw_snapshot_begin(&snapshot, clone, &why), 0), "%s",
			  why.text);
		expect_layer(snapshot, i);
		ask_clone(clone, BLK_END, i);
		ask_clone(clone, BLK_CHECK, i);
	}
	thaw_clone_close(clone);
	lib_close(&l);
	end();
}

/* Each of its machines begins with requests on their way: also when it was rewound, and that verified. */
static void begin_slot(struct thaw_slot *slot)
{
	ask_slot(slot, BLK_END, 1000);
	ask_slot(slot, BLK_CHECK, 1000);
}

Test(blk_fork, a_layer_of_a_slot_with_requests_on_their_way, .timeout = 240)
{
	struct thaw_snapshot *snapshot = NULL;
	struct thaw_zygote *zygote = NULL;
	struct thaw_slot *slot = NULL;
	struct thaw_pool *pool = NULL;
	struct lib l;

	cr_assert(eq(int, thaw_zygote_open(&zygote, 0, NULL, &why), 0), "%s", why.text);
	begin();
	ask(&b.machine, BLK_BEGIN, 1000);
	frozen_from(&f, &b.machine);
	lib_open(&l, f.dir);
	cr_assert(eq(int, thaw_pool_open(&pool, zygote, l.template, 1, 0, &why), 0), "%s",
		  why.text);
	cr_assert(ge(int, thaw_pool_fill(pool, &why), 0), "%s", why.text);
	cr_assert(eq(int, thaw_slot_start(&slot, pool, NULL, NULL, NULL, &why), 0), "%s",
		  why.text);
	begin_slot(slot);
	for (uint64_t i = 1; i <= 50 / slow(); i++) {
		ask_slot(slot, BLK_BEGIN, i);
		cr_assert(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &why), 0), "%s",
			  why.text);
		expect_layer(snapshot, i);
		ask_slot(slot, BLK_END, i);
		ask_slot(slot, BLK_CHECK, i);
		if (i % 5 != 0)
			continue;
		cr_assert(eq(int, thaw_slot_rewind(slot, 1, &why), 0), "%s", why.text);
		cr_assert(eq(int, thaw_slot_settle(slot, &why), 0), "%s", why.text);
		begin_slot(slot);
	}
	thaw_slot_close(slot);
	thaw_pool_close(pool);
	thaw_zygote_close(zygote);
	lib_close(&l);
	end();
}
