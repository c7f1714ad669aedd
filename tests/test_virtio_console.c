/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "devices/virtio_console.h"
#include "tests/helpers_virtio.h"

#define W	    VRING_DESC_F_WRITE
#define RX	    0u
#define TX	    1u
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

static struct driver d;
static struct virtio_console *console;
static char heard[4096];
static size_t heard_len;
static int input[2];

static void hear(void *arg, const void *data, size_t len)
{
	(void)arg;
	if (len <= sizeof(heard) - heard_len)
		memcpy(heard + heard_len, data, len);
	heard_len += len;
}

static void start(void)
{
	cr_assert(eq(int, pipe2(input, O_CLOEXEC), 0));
	driver_init(&d, &virtio_console_type, NULL);
	console = virtio_console_of(&d.vm);
	console->ops.out = hear;
	virtio_console_resize(console, 80, 25);
	virtio_console_listen(console, input[0]);
	driver_start(&d, DRIVER_ALL);
}

static void stop(void)
{
	driver_fini(&d);
	close(input[0]);
	if (input[1] >= 0)
		close(input[1]);
}

TestSuite(virtio_console, .init = start, .fini = stop);

static void type(const char *text)
{
	cr_assert(eq(sz, (size_t)write(input[1], text, strlen(text)), strlen(text)));
}

/* Offer a buffer for input, at DRIVER_BUFFERS + @i pages. */
static void offer_room(uint16_t i, uint32_t len)
{
	gpa_t gpa = DRIVER_BUFFERS + i * (gpa_t)MEM_PAGE_SIZE;

	driver_offer(&d, RX, &(struct vring_desc){ gpa, len, W, 0 }, 1, i);
}

/* The next input is @text, in the buffer @i. */
static void expect_input(uint16_t i, const char *text)
{
	struct vring_used_elem e = { 0 };
	gpa_t gpa = DRIVER_BUFFERS + i * (gpa_t)MEM_PAGE_SIZE;

	cr_assert(driver_wait(&d, RX, &e), "%s", text);
	cr_expect(eq(u32, e.id, i), "%s", text);
	cr_assert(eq(u32, e.len, strlen(text)), "%s", text);
	cr_expect(eq(int, memcmp(driver_at(&d, gpa, e.len), text, e.len), 0), "%s", text);
}

Test(virtio_console, it_says_what_it_is)
{
	uint32_t size = driver_read(&d, VIRTIO_MMIO_CONFIG);

	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_CONSOLE));
	cr_expect(eq(u32, size, 80 | 25 << 16));
	cr_expect(eq(int, state_covers(&virtio_console_type.state, NULL), 0));
	virtio_console_resize(console, 132, 50);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_CONFIG), 132 | 50 << 16));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_CONFIG_GENERATION), 2));
	cr_expect(eq(u32, d.pulses, 1));
}

Test(virtio_console, output)
{
	const struct vring_desc chain[] = { { DRIVER_BUFFERS, 6, 0, 0 },
					    { DRIVER_BUFFERS + 100, 5, 0, 0 },
					    { DRIVER_BUFFERS + 200, 8, W, 0 } };
	struct vring_used_elem e;

	memcpy(driver_at(&d, DRIVER_BUFFERS, 6), "hello ", 6);
	memcpy(driver_at(&d, DRIVER_BUFFERS + 100, 5), "world", 5);
	driver_offer(&d, TX, chain, 3, 0);
	driver_notify(&d, TX);
	cr_assert(driver_take(&d, TX, &e));
	cr_expect(eq(u32, e.len, 0));
	cr_expect(eq(str, heard, "hello world"));
	cr_expect(eq(u64, console->s.out_bytes, 11));
	cr_expect(eq(u32, d.pulses, 1));
}

Test(virtio_console, more_output_at_once_than_is_taken)
{
	struct vring_used_elem e;

	driver_offer(&d, TX, &(struct vring_desc){ DRIVER_BUFFERS, 3u << 20, 0, 0 }, 1, 0);
	driver_notify(&d, TX);
	cr_expect(driver_take(&d, TX, &e));
	cr_expect(eq(sz, heard_len, 1u << 20));
	cr_expect(eq(u64, d.dev->violations, 1));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_STATUS), 0xf));
}

Test(virtio_console, input_waits_for_room)
{
	int left = 0;

	driver_connect(&d);
	type("one");
	offer_room(0, 64);
	driver_notify(&d, RX);
	expect_input(0, "one");

	/* No room: it stays in the pipe. */
	type("two three");
	offer_room(1, 4);
	driver_notify(&d, RX);
	expect_input(1, "two ");
	cr_assert(eq(int, ioctl(input[0], FIONREAD, &left), 0));
	cr_expect(eq(int, left, 5));
	offer_room(2, 64);
	driver_notify(&d, RX);
	expect_input(2, "three");

	/* Room that waits for input. */
	offer_room(3, 64);
	offer_room(4, 64);
	driver_notify(&d, RX);
	type("four");
	expect_input(3, "four");
	type("five");
	expect_input(4, "five");
	cr_expect(eq(u64, console->s.in_bytes, 20));
}

/* As a terminal does that has a key of its own. */
static ssize_t read_one(void *arg, int fd, void *buf, size_t len)
{
	*(size_t *)arg += len;
	return read(fd, buf, 1);
}

Test(virtio_console, input_may_be_read_by_somebody_else)
{
	size_t room = 0;

	console->ops.in = read_one;
	console->ops.arg = &room;
	driver_connect(&d);
	type("ab");
	offer_room(0, 64);
	offer_room(1, 32);
	driver_notify(&d, RX);
	expect_input(0, "a");
	expect_input(1, "b");
	cr_expect(eq(sz, room, 96));
}

Test(virtio_console, a_file_that_cannot_be_waited_for_is_no_input)
{
	virtio_console_listen(console, open("/proc/self/status", O_RDONLY | O_CLOEXEC));
	close(console->input.fd);
	driver_connect(&d);
	offer_room(0, 64);
	driver_notify(&d, RX);
	cr_expect(not(console->has_input));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_STATUS), 0xf));
}

Test(virtio_console, input_ends)
{
	driver_connect(&d);
	offer_room(0, 64);
	offer_room(1, 64);
	driver_notify(&d, RX);
	type("the end");
	close(input[1]);
	input[1] = -1;
	expect_input(0, "the end");
	worker_stop(&d.vm.worker); /* and does not wait for ever */
	cr_expect(eq(u16, driver_used(&d, RX)->idx, 1));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_STATUS), 0xf));
}

/* Wait for the device to be broken. */
static bool breaks(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < 2000; i++) {
		if (driver_read(&d, VIRTIO_MMIO_STATUS) & NEEDS_RESET)
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

Test(virtio_console, rooms_that_are_none)
{
	static const struct {
		const char *why;
		struct vring_desc room;
	} cases[] = {
		{ "not to be written", { DRIVER_BUFFERS, 64, 0, 0 } },
		{ "nowhere", { 0xc0000000, 64, W, 0 } },
		{ "empty", { DRIVER_BUFFERS, 0, W, 0 } },
	};

	driver_connect(&d);
	type("something");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		driver_offer(&d, RX, &cases[i].room, 1, 0);
		driver_notify(&d, RX);
		cr_expect(breaks(), "%s", cases[i].why);
		driver_start(&d, DRIVER_ALL);
	}
	offer_room(0, 64);
	driver_notify(&d, RX);
	expect_input(0, "something");
}

Test(virtio_console, without_anybody_output_is_dropped)
{
	struct vring_used_elem e;
	static struct driver alone;

	driver_init(&alone, &virtio_console_type, NULL);
	driver_start(&alone, DRIVER_ALL);
	driver_offer(&alone, TX, &(struct vring_desc){ DRIVER_BUFFERS, 5, 0, 0 }, 1, 0);
	driver_notify(&alone, TX);
	driver_notify(&alone, RX);
	cr_expect(driver_take(&alone, TX, &e));
	driver_fini(&alone);
}
