/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "devices/virtio_rng.h"
#include "tests/helpers_virtio.h"

#define W	    VRING_DESC_F_WRITE
#define RNG_MAX	    65536u
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

static struct driver d;
static struct virtio_rng *rng;

static void start(void)
{
	driver_init(&d, &virtio_rng_type, NULL);
	driver_start(&d, DRIVER_ALL);
	rng = container_of(d.dev, struct virtio_rng, virtio);
}

static void stop(void)
{
	driver_fini(&d);
}

TestSuite(virtio_rng, .init = start, .fini = stop);

/* Is anything but zeros there? */
static bool is_random(gpa_t gpa, size_t len)
{
	const uint8_t *bytes = driver_at(&d, gpa, len);
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any != 0;
}

Test(virtio_rng, it_says_what_it_is)
{
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_STATUS), 0xf));
	cr_expect(eq(int, state_covers(&virtio_rng_type.state, NULL), 0));
}

Test(virtio_rng, what_is_offered_is_filled_and_nothing_beside_it)
{
	static const struct {
		const char *why;
		struct vring_desc chain[3];
		uint16_t n;
		uint32_t len;
	} cases[] = {
		{ "one", { { DRIVER_BUFFERS, 64, W, 0 } }, 1, 64 },
		{ "three",
		  { { DRIVER_BUFFERS, 64, W, 0 },
		    { DRIVER_HIGH_GPA, 1, W, 0 },
		    { DRIVER_BUFFERS + 8192, 4096, W, 0 } },
		  3,
		  4161 },
		{ "the device is given something to read",
		  { { DRIVER_BUFFERS, 64, 0, 0 }, { DRIVER_BUFFERS, 64, W, 0 } },
		  2,
		  64 },
		{ "only that", { { DRIVER_BUFFERS, 64, 0, 0 } }, 1, 0 },
		{ "more than is given at once",
		  { { DRIVER_BUFFERS, 1u << 20, W, 0 } },
		  1,
		  RNG_MAX },
		{ "more than is given at once, in parts",
		  { { DRIVER_BUFFERS, RNG_MAX - 1, W, 0 }, { DRIVER_HIGH_GPA, 8, W, 0 } },
		  2,
		  RNG_MAX },
	};
	uint64_t served = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vring_used_elem e = { 0 };
		uint32_t left = cases[i].len;

		memset(driver_at(&d, DRIVER_BUFFERS, 2u << 20), 0, 2u << 20);
		driver_offer(&d, 0, cases[i].chain, cases[i].n, (uint16_t)(i * 4));
		driver_notify(&d, 0);
		cr_assert(driver_take(&d, 0, &e), "%s", cases[i].why);
		cr_expect(eq(u32, e.id, i * 4), "%s", cases[i].why);
		cr_expect(eq(u32, e.len, cases[i].len), "%s", cases[i].why);
		served += cases[i].len;
		cr_expect(eq(u64, rng->s.served, served), "%s", cases[i].why);
		for (uint16_t k = 0; k < cases[i].n; k++) {
			const struct vring_desc *desc = &cases[i].chain[k];
			uint32_t got = desc->flags & W ? MIN(desc->len, left) : 0;

			if (got >= 16)
				cr_expect(is_random(desc->addr + got - 16, 16), "%s",
					  cases[i].why);
			if (desc->flags & W)
				cr_expect(not(is_random(desc->addr + got, 4096)), "%s",
					  cases[i].why);
			left -= got;
		}
	}
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_STATUS), 0xf));
}

Test(virtio_rng, a_full_queue_is_served_with_one_interrupt)
{
	struct vring_used_elem e;

	for (uint16_t i = 0; i < d.queues[0].size; i++)
		driver_offer(&d, 0, &(struct vring_desc){ DRIVER_BUFFERS, 8, W, 0 }, 1, i);
	driver_notify(&d, 0);
	for (uint16_t i = 0; i < d.queues[0].size; i++)
		cr_expect(driver_take(&d, 0, &e));
	cr_expect(not(driver_take(&d, 0, &e)));
	cr_expect(eq(u32, d.pulses, 1));
}

Test(virtio_rng, a_broken_ring_breaks_it_until_it_is_reset)
{
	struct vring_used_elem e;

	driver_offer(&d, 0, &(struct vring_desc){ DRIVER_BUFFERS, 8, W, 0 }, 1, 0);
	driver_offer(&d, 0, &(struct vring_desc){ 0xc0000000, 8, W, 0 }, 1, 1);
	driver_notify(&d, 0);
	cr_expect(driver_take(&d, 0, &e)); /* the good one, and that is told */
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_INTERRUPT_STATUS),
		     VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_STATUS), 0xf | NEEDS_RESET));
	cr_expect(eq(u64, d.dev->violations, 1));
	driver_start(&d, DRIVER_ALL);
	driver_offer(&d, 0, &(struct vring_desc){ DRIVER_BUFFERS, 8, W, 0 }, 1, 0);
	driver_notify(&d, 0);
	cr_expect(driver_take(&d, 0, &e));
}

Test(virtio_rng, the_device_thread_serves_it_too)
{
	struct vring_used_elem e;

	driver_connect(&d);
	driver_offer(&d, 0, &(struct vring_desc){ DRIVER_BUFFERS, 8, W, 0 }, 1, 0);
	worker_lock(&d.vm.worker);
	virtio_kick_later(d.dev, 0);
	worker_unlock(&d.vm.worker);
	cr_expect(driver_wait(&d, 0, &e));
	cr_expect(eq(u32, e.len, 8));
}
