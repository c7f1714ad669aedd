/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_virtio_fuzz.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define RINGS_SIZE (1u << 20) /* everything below DRIVER_BUFFERS */
#define MARK	   0xa5
#define MARK_SIZE  64u
#define SLOT_SIZE  0x10000u /* of a buffer whose surroundings are looked at */
#define SLOTS	   4u

/* What is left of the fuzzer's bytes; zeros behind them. */
struct bytes {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct bytes *b, size_t size)
{
	uint64_t value = 0;
	size_t n = MIN(size, b->left);

	if (n > 0)
		memcpy(&value, b->at, n);
	b->at += n;
	b->left -= n;
	return value;
}

/* An address worth trying: mostly in RAM or at one of its ends. */
static gpa_t take_address(struct bytes *b)
{
	static const gpa_t bases[] = { 0,
				       DRIVER_BUFFERS,
				       DRIVER_TABLE,
				       DRIVER_RAM_SIZE - 64,
				       DRIVER_HIGH_GPA,
				       DRIVER_HIGH_GPA + DRIVER_RAM_SIZE - 64,
				       0xc0000000,
				       UINT64_MAX - 63 };
	uint8_t kind = (uint8_t)take(b, 1);

	if (kind & 0x80)
		return take(b, 8);
	return bases[kind % ARRAY_SIZE(bases)] + take(b, kind & 0x40 ? 2 : 1);
}

static struct vring_desc take_desc(struct bytes *b)
{
	struct vring_desc d = { .addr = take_address(b) };

	d.len = (uint32_t)take(b, 2);
	d.flags = (uint16_t)take(b, 1);
	d.next = (uint16_t)take(b, 1);
	if (d.flags & 0x80)
		d.len <<= 16;
	return d;
}

static uint32_t take_queue(const struct driver *d, struct bytes *b)
{
	return (uint32_t)take(b, 1) % d->dev->ops->nqueues;
}

/* ---- steps ---- */

static void do_register(struct driver *d, struct bytes *b)
{
	uint32_t off = (uint32_t)take(b, 1) * 4 % VIRTIO_MMIO_CONFIG;

	driver_write(d, off, (uint32_t)take(b, 4));
}

static void do_access(struct driver *d, struct bytes *b)
{
	uint64_t off = take(b, 2) % MEM_PAGE_SIZE, value = take(b, 8);
	uint32_t how = (uint32_t)take(b, 1), len = 1u << how % 4;

	driver_access(d, MIN(off, MEM_PAGE_SIZE - len), &value, len, how & 0x80);
}

static void do_poke(struct driver *d, struct bytes *b)
{
	uint64_t off = take(b, 2), value = take(b, 4);

	memcpy(driver_at(d, off, 8), &value, 4);
}

static void do_start(struct driver *d, struct bytes *b)
{
	static const uint64_t sets[] = {
		DRIVER_ALL,
		1ull << VIRTIO_F_VERSION_1,
		1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX,
		0,
	};

	driver_start(d, sets[take(b, 1) % ARRAY_SIZE(sets)]);
}

static void do_offer(struct driver *d, struct bytes *b)
{
	uint32_t queue = take_queue(d, b), n = 1 + (uint32_t)take(b, 1) % 4;
	uint16_t head = (uint16_t)take(b, 1) % d->queues[queue].size;
	struct vring_desc chain[4];

	for (uint32_t i = 0; i < n; i++)
		chain[i] = take_desc(b);
	driver_offer(d, queue, chain, (uint16_t)n, head);
}

static void do_table(struct driver *d, struct bytes *b)
{
	struct vring_desc *table = driver_at(d, DRIVER_TABLE, 256 * sizeof(*table));
	uint32_t first = (uint32_t)take(b, 1), n = (uint32_t)take(b, 1) % 16;

	for (uint32_t i = 0; i < n; i++)
		table[(first + i) % 256] = take_desc(b);
}

static void do_notify(struct driver *d, struct bytes *b)
{
	driver_notify(d, take_queue(d, b));
}

/* Bytes of the state struct, checked by its table as those of an image are. */
static void do_load(struct driver *d, struct bytes *b)
{
	const struct state_desc *desc = &d->dev->dev.type->state;
	uint64_t state[128] = { 0 };
	uint32_t n = (uint32_t)take(b, 1) % 8;

	assert(desc->size <= sizeof(state));
	memcpy(state, device_state(&d->dev->dev), desc->size);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t off = (uint32_t)take(b, 2) % desc->size;

		((uint8_t *)state)[off] = (uint8_t)take(b, 1);
	}
	if (state_load(desc, device_state(&d->dev->dev), state, desc->size, NULL) < 0)
		return;
	/* A machine whose state was refused does not run. */
	if (d->dev->dev.type->load(&d->dev->dev, NULL) < 0)
		driver_write(d, VIRTIO_MMIO_STATUS, 0);
	d->dev->loaded = true;
}

static uint8_t *slot_at(struct driver *d, uint32_t i)
{
	return driver_at(d, DRIVER_HIGH_GPA + i * SLOT_SIZE, SLOT_SIZE);
}

/* Is there still the mark before and behind @len bytes in slot @i? */
static void check_slot(struct driver *d, uint32_t i, uint32_t len)
{
	const uint8_t *slot = slot_at(d, i);

	for (uint32_t k = 0; k < MARK_SIZE; k++)
		assert(slot[k] == MARK && slot[MARK_SIZE + len + k] == MARK);
}

/* A driver that does everything right, and looks whether the device does. */
static void do_right(struct driver *d, struct bytes *b)
{
	uint32_t queue = take_queue(d, b), n = 1 + (uint32_t)take(b, 1) % SLOTS;
	uint32_t nout = (uint32_t)take(b, 1) % (n + 1), writable = 0;
	struct vring_desc chain[SLOTS];
	struct vring_used_elem e;

	driver_start(d, DRIVER_ALL);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = 1 + (uint32_t)take(b, 2) % (SLOT_SIZE - 2 * MARK_SIZE);

		memset(slot_at(d, i), MARK, SLOT_SIZE);
		chain[i] = (struct vring_desc){
			.addr = DRIVER_HIGH_GPA + i * SLOT_SIZE + MARK_SIZE,
			.len = MIN(len, SLOT_SIZE - 2 * MARK_SIZE),
			.flags = i < nout ? 0 : VRING_DESC_F_WRITE,
		};
		writable += i < nout ? 0 : chain[i].len;
	}
	driver_offer(d, queue, chain, (uint16_t)n, 0);
	driver_notify(d, queue);
	while (driver_take(d, queue, &e))
		assert(e.id == 0 && e.len <= writable);
	for (uint32_t i = 0; i < n; i++)
		check_slot(d, i, chain[i].len);
}

typedef void step(struct driver *d, struct bytes *b);
static step *const steps[] = { do_register, do_access, do_poke,	  do_start, do_offer,
			       do_table,    do_notify, do_notify, do_load,  do_right };

/* ---- one run ---- */

/* What a guest can bring about is a state that is taken back. */
static void check_state(struct driver *d)
{
	const struct state_desc *desc = &d->dev->dev.type->state;
	uint64_t state[128], into[128];

	memcpy(state, device_state(&d->dev->dev), desc->size);
	assert(state_load(desc, into, state, desc->size, NULL) == 0);
	assert(d->dev->dev.type->load(&d->dev->dev, NULL) == 0);
}

/* Nothing before and behind RAM, where nobody else has it. */
static void fence(const struct mem *mem)
{
	for (uint32_t i = 0; i < mem->nregions; i++) {
		uint8_t *ends[] = { mem->regions[i].host - MEM_PAGE_SIZE,
				    mem->regions[i].host + mem->regions[i].size };

		for (uint32_t k = 0; k < 2; k++)
			(void)mmap(ends[k], MEM_PAGE_SIZE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	}
}

void driver_fuzz(struct driver *d, const uint8_t *data, size_t len, driver_check *check)
{
	struct bytes b = { .at = data, .left = len };

	fence(&d->vm.mem);
	driver_write(d, VIRTIO_MMIO_STATUS, 0);
	memset(driver_at(d, 0, RINGS_SIZE), 0, RINGS_SIZE);
	d->dev->loaded = false;
	for (uint32_t i = 0; i < DRIVER_STEPS && b.left > 0; i++) {
		steps[take(&b, 1) % ARRAY_SIZE(steps)](d, &b);
		if (check)
			check(d);
	}
	check_state(d);
}
