/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "devices/virtio_rng.h"
#include "engine/err.h"
#include "tests/helpers_virtio.h"

#define W	 VRING_DESC_F_WRITE
#define N	 VRING_DESC_F_NEXT
#define IN	 VRING_DESC_F_INDIRECT
#define BUF	 DRIVER_BUFFERS
#define TABLE	 DRIVER_TABLE
#define RAM_END	 DRIVER_RAM_SIZE
#define HIGH_END (DRIVER_HIGH_GPA + DRIVER_RAM_SIZE)
#define SIZE	 64u /* entries of an entropy device's queue */
#define EVENT	 (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define V1	 (1ull << VIRTIO_F_VERSION_1)

static struct driver d;
static struct virtq *q;
static struct virtq_req req;

static void start(uint64_t features)
{
	driver_init(&d, &virtio_rng_type, NULL);
	driver_start(&d, V1 | features);
	q = &d.dev->queues[0];
	cr_assert(q->used != NULL);
}

static void stop(void)
{
	driver_fini(&d);
}

TestSuite(virtq, .fini = stop);

Test(virtq, chains)
{
	static const struct {
		const char *why;
		struct vring_desc chain[4], table[4];
		uint64_t features;
		int ret;
		uint32_t nout, nin, out_size, in_size;
	} cases[] = {
		/* clang-format off */
		{ "one to read", { { BUF, 8, 0, 0 } }, .ret = 1, .nout = 1, .out_size = 8 },
		{ "one to write", { { BUF, 8, W, 0 } }, .ret = 1, .nin = 1, .in_size = 8 },
		{ "to read, then to write", { { BUF, 8, N, 2 }, { 0 }, { BUF, 16, W, 0 } }, .ret = 1, .nout = 1, .nin = 1, .out_size = 8, .in_size = 16 },
		{ "the last bytes of RAM", { { RAM_END - 4, 4, N, 1 }, { HIGH_END - 4, 4, W, 0 } }, .ret = 1, .nout = 1, .nin = 1, .out_size = 4, .in_size = 4 },
		{ "the same memory twice", { { BUF, 8, N, 1 }, { BUF, 8, W, 0 } }, .ret = 1, .nout = 1, .nin = 1, .out_size = 8, .in_size = 8 },
		{ "to write, then to read", { { BUF, 8, N | W, 1 }, { BUF, 8, 0, 0 } }, .ret = -EPROTO },
		{ "empty", { { BUF, 0, 0, 0 } }, .ret = -EPROTO },
		{ "past the end of RAM", { { RAM_END - 4, 5, 0, 0 } }, .ret = -EPROTO },
		{ "from the hole", { { 0xc0000000, 4, W, 0 } }, .ret = -EPROTO },
		{ "address and length wrap", { { UINT64_MAX - 3, 8, W, 0 } }, .ret = -EPROTO },
		{ "longer than a region", { { BUF, UINT32_MAX, W, 0 } }, .ret = -EPROTO },
		{ "from one region into the next", { { RAM_END - 4096, 0xffffffff, 0, 0 } }, .ret = -EPROTO },
		{ "next is the first one that is not there", { { BUF, 8, N, SIZE } }, .ret = -EPROTO },
		{ "next is itself", { { BUF, 8, N, 0 } }, .ret = -EPROTO },
		{ "a loop of two", { { BUF, 8, N, 1 }, { BUF, 8, N, 0 } }, .ret = -EPROTO },
		{ "a loop of two to write", { { BUF, 8, N | W, 1 }, { BUF, 8, N | W, 0 } }, .ret = -EPROTO },
		{ "indirect", { { TABLE, 32, IN, 0 } }, { { BUF, 8, N, 1 }, { BUF, 8, W, 0 } }, INDIRECT, 1, 1, 1, 8, 8 },
		{ "indirect, WRITE is ignored there", { { TABLE, 16, IN | W, 0 } }, { { BUF, 8, 0, 0 } }, INDIRECT, 1, 1, 0, 8, 0 },
		{ "an entry, then a table", { { BUF, 4, N, 1 }, { TABLE, 16, IN, 0 } }, { { BUF, 8, W, 0 } }, INDIRECT, 1, 1, 1, 4, 8 },
		{ "indirect, not agreed on", { { TABLE, 16, IN, 0 } }, { { BUF, 8, 0, 0 } }, 0, .ret = -EPROTO },
		{ "indirect and next", { { TABLE, 16, IN | N, 1 }, { BUF, 8, 0, 0 } }, { { BUF, 8, 0, 0 } }, INDIRECT, .ret = -EPROTO },
		{ "a table in a table", { { TABLE, 16, IN, 0 } }, { { TABLE, 16, IN, 0 } }, INDIRECT, .ret = -EPROTO },
		{ "an empty table", { { TABLE, 0, IN, 0 } }, .features = INDIRECT, .ret = -EPROTO },
		{ "a table and a half", { { TABLE, 24, IN, 0 } }, { { BUF, 8, 0, 0 } }, INDIRECT, .ret = -EPROTO },
		{ "a table longer than is taken", { { TABLE, 16 * (VIRTQ_MAX_SEGS + 1), IN, 0 } }, { { BUF, 8, 0, 0 } }, INDIRECT, .ret = -EPROTO },
		{ "a table at the end of RAM", { { RAM_END - 16, 32, IN, 0 } }, .features = INDIRECT, .ret = -EPROTO },
		{ "a table that wraps", { { UINT64_MAX - 7, 16, IN, 0 } }, .features = INDIRECT, .ret = -EPROTO },
		{ "next leads out of the table", { { TABLE, 16, IN, 0 } }, { { BUF, 8, N, 1 }, { BUF, 8, 0, 0 } }, INDIRECT, .ret = -EPROTO },
		{ "a loop in a table", { { TABLE, 32, IN, 0 } }, { { BUF, 8, N, 1 }, { BUF, 8, N, 0 } }, INDIRECT, .ret = -EPROTO },
		/* clang-format on */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start(cases[i].features);
		memcpy(driver_desc(&d, 0, 0), cases[i].chain, sizeof(cases[i].chain));
		memcpy(driver_at(&d, TABLE, sizeof(cases[i].table)), cases[i].table,
		       sizeof(cases[i].table));
		driver_avail(&d, 0)->idx = 1; /* of entry 0 */
		cr_expect(eq(int, virtq_pop(q, &req), cases[i].ret), "%s", cases[i].why);
		cr_expect(eq(u16, q->s->next_avail, cases[i].ret == 1), "%s", cases[i].why);
		if (cases[i].ret == 1) {
			cr_expect(eq(u32, req.nout, cases[i].nout), "%s", cases[i].why);
			cr_expect(eq(u32, req.nin, cases[i].nin), "%s", cases[i].why);
			cr_expect(eq(u32, req.out_size, cases[i].out_size), "%s", cases[i].why);
			cr_expect(eq(u32, req.in_size, cases[i].in_size), "%s", cases[i].why);
			cr_expect(eq(int, virtq_pop(q, &req), 0), "%s", cases[i].why);
		}
		if (i + 1 < ARRAY_SIZE(cases))
			stop();
	}
}

/* Fill an indirect table with @n segments of @len bytes. */
static void offer_table(uint32_t n, uint32_t len)
{
	struct vring_desc *table = driver_at(&d, TABLE, n * sizeof(*table));

	for (uint32_t i = 0; i < n; i++)
		table[i] = (struct vring_desc){ .addr = DRIVER_HIGH_GPA,
						.len = len,
						.flags = W | (i + 1 < n ? N : 0),
						.next = i + 1 };
	driver_offer(&d, 0, &(struct vring_desc){ TABLE, n * 16, IN, 0 }, 1, 0);
}

Test(virtq, a_request_has_as_many_segments_as_there_is_room_for_and_no_more_than_4_gib)
{
	start(INDIRECT);
	offer_table(VIRTQ_MAX_SEGS, MEM_PAGE_SIZE);
	cr_expect(eq(int, virtq_pop(q, &req), 1));
	cr_expect(eq(u32, req.nin, VIRTQ_MAX_SEGS));
	cr_expect(eq(u32, req.in_size, VIRTQ_MAX_SEGS * MEM_PAGE_SIZE));
	/* 256 times 16 MiB would be 4 GiB; RAM is 4 MiB, so 1024 would have to fit. */
	offer_table(VIRTQ_MAX_SEGS, DRIVER_RAM_SIZE);
	cr_expect(eq(int, virtq_pop(q, &req), 1));
	cr_expect(eq(u32, req.in_size, VIRTQ_MAX_SEGS * DRIVER_RAM_SIZE));
}

Test(virtq, a_sum_that_does_not_fit_is_refused)
{
	struct vring_desc chain[2] = { { DRIVER_HIGH_GPA, 1u << 31, W, 0 },
				       { DRIVER_HIGH_GPA, 1u << 31, W, 0 } };
	struct mem large;

	start(0);
	/* Nobody looks behind the pointers. */
	large = d.vm.mem;
	large.regions[1].size = 1ull << 32;
	q->mem = &large;
	driver_offer(&d, 0, chain, 1, 0);
	cr_expect(eq(int, virtq_pop(q, &req), 1));
	driver_offer(&d, 0, chain, 2, 0);
	cr_expect(eq(int, virtq_pop(q, &req), -EPROTO));
}

Test(virtq, the_available_index)
{
	static const struct {
		const char *why;
		uint16_t taken, idx, head;
		int ret;
	} cases[] = {
		{ "nothing new", 7, 7, 0, 0 },
		{ "one", 7, 8, 0, 1 },
		{ "as many as there can be", 7, 7 + SIZE, 0, 1 },
		{ "one more", 7, 8 + SIZE, 0, -EPROTO },
		{ "it went back", 7, 6, 0, -EPROTO },
		{ "around the end", 65535, 0, 0, 1 },
		{ "around the end, too many", 65535, SIZE, 0, -EPROTO },
		{ "a head that is not there", 7, 8, SIZE, -EPROTO },
		{ "a head that is nowhere", 7, 8, 65535, -EPROTO },
	};

	start(0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		*driver_desc(&d, 0, 0) = (struct vring_desc){ BUF, 8, 0, 0 };
		q->s->next_avail = cases[i].taken;
		driver_avail(&d, 0)->ring[cases[i].taken % SIZE] = cases[i].head;
		driver_avail(&d, 0)->idx = cases[i].idx;
		cr_expect(eq(int, virtq_pop(q, &req), cases[i].ret), "%s", cases[i].why);
		cr_expect(eq(int, virtq_has_more(q),
			     cases[i].ret < 0 || cases[i].idx == 7 + SIZE),
			  "%s", cases[i].why);
	}
}

/* 2.7.7.2: with an event index, an interrupt is for the entry that the driver names. */
Test(virtq, interrupts_that_the_driver_wants)
{
	static const struct {
		const char *why;
		uint64_t features;
		uint16_t event, flags, from, to;
		bool wants;
	} cases[] = {
		{ "the one it waits for", EVENT, 10, 0, 10, 11, true },
		{ "among some", EVENT, 10, 0, 8, 13, true },
		{ "the last of them", EVENT, 12, 0, 8, 13, true },
		{ "not yet", EVENT, 13, 0, 8, 13, false },
		{ "had it", EVENT, 7, 0, 8, 13, false },
		{ "across the end", EVENT, 65535, 0, 65534, 1, true },
		{ "behind the end", EVENT, 0, 0, 65534, 1, true },
		{ "not yet, behind the end", EVENT, 1, 0, 65534, 1, false },
		{ "flags say nothing then", EVENT, 10, VRING_AVAIL_F_NO_INTERRUPT, 10, 11,
		  true },
		{ "always", 0, 0, 0, 10, 11, true },
		{ "never", 0, 10, VRING_AVAIL_F_NO_INTERRUPT, 10, 11, false },
		{ "nothing was used", 0, 0, 0, 10, 10, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start(cases[i].features);
		q->has_signalled = true;
		q->s->next_used = q->signalled = cases[i].from;
		driver_avail(&d, 0)->ring[SIZE] = cases[i].event;
		driver_avail(&d, 0)->flags = cases[i].flags;
		while (q->s->next_used != cases[i].to)
			virtq_push(q, 0, 0);
		cr_expect(eq(int, virtq_wants_signal(q), cases[i].wants), "%s", cases[i].why);
		cr_expect(eq(int, virtq_wants_signal(q), false), "again: %s", cases[i].why);
		if (i + 1 < ARRAY_SIZE(cases))
			stop();
	}
}

Test(virtq, the_first_request_that_is_given_back_is_always_told)
{
	start(EVENT);
	driver_avail(&d, 0)->ring[SIZE] = 5000;
	cr_expect(not(virtq_wants_signal(q)));
	virtq_push(q, 0, 0);
	cr_expect(virtq_wants_signal(q));
	virtq_push(q, 0, 0);
	cr_expect(not(virtq_wants_signal(q)));
}

/* The other way round: the driver is told for which entry to notify, when there is none. */
Test(virtq, notifications_are_asked_for_when_there_is_nothing_to_do)
{
	const uint64_t features[] = { 0, EVENT };

	for (int i = 0; i < 2; i++) {
		uint16_t *event;

		start(features[i]);
		event = (uint16_t *)&driver_used(&d, 0)->ring[SIZE];
		*event = 999;
		driver_offer(&d, 0, &(struct vring_desc){ BUF, 8, 0, 0 }, 1, 0);
		cr_expect(eq(int, virtq_pop(q, &req), 1));
		cr_expect(eq(u16, *event, 999));
		cr_expect(eq(int, virtq_pop(q, &req), 0));
		cr_expect(eq(u16, *event, i == 1 ? 1 : 999));
		if (i == 0)
			stop();
	}
}

Test(virtq, requests_are_given_back_in_any_order)
{
	struct vring_used_elem e;

	start(0);
	for (uint16_t i = 0; i < 3; i++) {
		driver_offer(&d, 0, &(struct vring_desc){ BUF, 8, W, 0 }, 1, i);
		cr_assert(eq(int, virtq_pop(q, &req), 1));
		cr_expect(eq(u16, req.head, i));
	}
	for (uint16_t i = 3; i-- > 0;) {
		virtq_push(q, i, 100u + i);
		cr_assert(driver_take(&d, 0, &e));
		cr_expect(eq(u32, e.id, i));
		cr_expect(eq(u32, e.len, 100u + i));
	}
	virtq_stop(q);
	virtq_push(q, 0, 1);
	cr_expect(not(driver_take(&d, 0, &e)));
	cr_expect(eq(int, virtq_pop(q, &req), 0));
}

Test(virtq, bytes_go_across_segments)
{
	const struct vring_desc chain[] = { { BUF, 3, 0, 0 },
					    { BUF + 100, 5, 0, 0 },
					    { BUF + 200, 2, W, 0 },
					    { BUF + 300, 4, W, 0 } };
	char text[16] = "";

	start(0);
	memcpy(driver_at(&d, BUF, 3), "abc", 3);
	memcpy(driver_at(&d, BUF + 100, 5), "defgh", 5);
	driver_offer(&d, 0, chain, 4, 62); /* around the end of the table */
	cr_assert(eq(int, virtq_pop(q, &req), 1));
	cr_expect(eq(sz, virtq_read(&req, 0, text, sizeof(text)), 8));
	cr_expect(eq(str, text, "abcdefgh"));
	memset(text, 0, sizeof(text));
	cr_expect(eq(sz, virtq_read(&req, 2, text, 3), 3));
	cr_expect(eq(str, text, "cde"));
	cr_expect(eq(sz, virtq_read(&req, 8, text, 3), 0));
	cr_expect(eq(sz, virtq_write(&req, 1, "12345678", 8), 5));
	cr_expect(eq(int,
		     memcmp(driver_at(&d, BUF + 200, 3),
			    "\0"
			    "1\0",
			    3),
		     0));
	cr_expect(eq(int, memcmp(driver_at(&d, BUF + 300, 5), "2345\0", 5), 0));
	cr_expect(eq(sz, virtq_write(&req, 100, "1", 1), 0));
}

Test(virtq, queues_that_cannot_be)
{
	static const struct {
		const char *why;
		struct virtq_state s;
		int ret;
		const char *text;
	} cases[] = {
		/* clang-format off */
		{ "empty", { 0x1000, 0x2000, 0x3000, 0, 1, 0, 0 }, -ERANGE, "a queue of 0 entries, expected a power of two up to 64" },
		{ "not a power of two", { 0x1000, 0x2000, 0x3000, 24, 1, 0, 0 }, -ERANGE, "a queue of 24 entries, expected a power of two up to 64" },
		{ "larger than offered", { 0x1000, 0x2000, 0x3000, 128, 1, 0, 0 }, -ERANGE, "a queue of 128 entries, expected a power of two up to 64" },
		{ "descriptors unaligned", { 0x1008, 0x2000, 0x3000, 64, 1, 0, 0 }, -EINVAL, "descriptor ring at 0x1008: expected 1024 bytes of RAM, aligned to 16" },
		{ "available unaligned", { 0x1000, 0x2001, 0x3000, 64, 1, 0, 0 }, -EINVAL, "available ring at 0x2001: expected 134 bytes of RAM, aligned to 2" },
		{ "used unaligned", { 0x1000, 0x2000, 0x3002, 64, 1, 0, 0 }, -EINVAL, "used ring at 0x3002: expected 518 bytes of RAM, aligned to 4" },
		{ "descriptors in the hole", { 0xc0000000, 0x2000, 0x3000, 64, 1, 0, 0 }, -EINVAL, "descriptor ring at 0xc0000000: expected 1024 bytes of RAM, aligned to 16" },
		{ "available across the end", { 0x1000, RAM_END - 132, 0x3000, 64, 1, 0, 0 }, -EINVAL, "available ring at 0x3fff7c: expected 134 bytes of RAM, aligned to 2" },
		{ "used at the end of everything", { 0x1000, 0x2000, UINT64_MAX - 3, 64, 1, 0, 0 }, -EINVAL, "used ring at 0xfffffffffffffffc: expected 518 bytes of RAM, aligned to 4" },
		{ "up to the last byte", { RAM_END - 1024, HIGH_END - 134, 0x3000, 64, 1, 0, 0 }, 0, "" },
		{ "all on one another", { 0x1000, 0x1000, 0x1000, 64, 1, 0, 0 }, 0, "" },
		/* clang-format on */
	};

	start(0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = { 0 };

		*q->s = cases[i].s;
		cr_expect(eq(int, virtq_start(q, 0, &err), cases[i].ret), "%s", cases[i].why);
		cr_expect(eq(str, err.text, (char *)cases[i].text), "%s", cases[i].why);
		cr_expect(eq(int, q->used != NULL, cases[i].ret == 0), "%s", cases[i].why);
	}
}

Test(virtq, tables_cover_their_structs)
{
	start(0);
	cr_expect(eq(int, state_covers(&virtq_state_desc, NULL), 0));
	cr_expect(eq(int, state_covers(&virtio_state_desc, NULL), 0));
}
