/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_devices.c - who may touch a machine's devices at the same time, for TSan (`make tsan`): a vCPU's
 * thread, the device thread with io_uring behind it, and somebody at the operator's end of the line; and
 * now and then the machine is drained and its devices are loaded again, as a rewind does.
 * There is no KVM. A plain main: exit status 0 is a pass.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/board.h"
#include "devices/ged.h"
#include "devices/ioapic.h"
#include "devices/serial.h"
#include "devices/virtio_blk.h"
#include "tests/helpers_no_msi.h"
#include "tests/helpers_virtio.h"

#define ROUNDS	400u
#define SECTORS 2048u
#define LEN	4096u
#define VECTOR	0x41u

static struct driver d;
static struct drive drive;
static int line[2]; /* to the serial port */
static bool is_over;

static void must(bool is_so, const char *what)
{
	if (is_so)
		return;
	fprintf(stderr, "expected that %s\n", what);
	exit(1);
}

/* ---- the operator's thread ---- */

static void press_power(void)
{
	worker_lock(&d.vm.worker);
	ged_post(&d.vm, GED_POWER_BUTTON);
	worker_unlock(&d.vm.worker);
}

static void *operate(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		press_power();
		must(write(line[1], "x", 1) == 1 || errno == EAGAIN, "the line takes a byte");
		sched_yield();
	}
	return NULL;
}

/* ---- the vCPU's thread ---- */

static void add_device(const struct device_type *type)
{
	const struct device_spec spec = { .type = type };

	d.vm.devices[d.vm.ndevices] = device_create(&spec, &d.vm, NULL);
	must(d.vm.devices[d.vm.ndevices++] != NULL, "there is such a device");
}

static void set_pin(uint32_t pin, uint32_t entry)
{
	uint32_t reg = 0x10 + 2 * pin;

	bus_access(&d.vm.mmio, BOARD_IOAPIC_GPA + IOAPIC_SELECT, &reg, sizeof(reg), true);
	bus_access(&d.vm.mmio, BOARD_IOAPIC_GPA + IOAPIC_WINDOW, &entry, sizeof(entry), true);
}

/* Levels and edges, open or not; what has come is over. */
static void use_interrupts(uint32_t i)
{
	uint32_t entry = (VECTOR + i % 3) | (i & 1 ? (uint32_t)IOAPIC_LEVEL : 0) |
			 (i % 8 == 7 ? (uint32_t)IOAPIC_MASKED : 0);
	uint32_t events;

	set_pin(BOARD_VIRTIO_GSI, entry);
	set_pin(BOARD_GED_GSI, entry);
	set_pin(BOARD_SERIAL_GSI, entry);
	bus_access(&d.vm.mmio, BOARD_GED_GPA, &events, sizeof(events), false);
	for (uint8_t v = VECTOR; v < VECTOR + 3; v++)
		irq_eoi(&d.vm, v);
}

/* All registers of the port are read, the interrupt of what comes is enabled and OUT2 opens its gate. */
static void use_serial(uint32_t i)
{
	uint8_t ier = i & 1, mcr = 0x08, byte;

	bus_access(&d.vm.pio, BOARD_SERIAL_PORT + 1, &ier, 1, true);
	bus_access(&d.vm.pio, BOARD_SERIAL_PORT + 4, &mcr, 1, true);
	for (uint16_t reg = 0; reg < 8; reg++)
		bus_access(&d.vm.pio, BOARD_SERIAL_PORT + reg, &byte, 1, false);
}

/* One request; the notification as an exit, or as KVM's eventfd has it. */
static void ask(uint32_t type, uint32_t i)
{
	const gpa_t at = DRIVER_BUFFERS, data = at + LEN, status = at + 64;
	const uint16_t in = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;
	const struct virtio_blk_outhdr header = { .type = type,
						  .sector = i * 8 % (SECTORS - 8) };
	const struct vring_desc chain[] = {
		{ .addr = at, .len = sizeof(header) },
		{ .addr = data, .len = LEN, .flags = in },
		{ .addr = status, .len = 1, .flags = VRING_DESC_F_WRITE },
	};
	const uint64_t one = 1;
	struct vring_used_elem e;

	memcpy(driver_at(&d, at, sizeof(header)), &header, sizeof(header));
	driver_offer(&d, 0, chain, 3, 0);
	if (i & 1)
		driver_notify(&d, 0);
	else
		must(write(d.dev->notify[0].watch.fd, &one, sizeof(one)) == sizeof(one),
		     "a notification is taken");
	use_interrupts(i);
	use_serial(i);
	must(driver_wait(&d, 0, &e), "a request comes back");
	must(*(uint8_t *)driver_at(&d, status, 1) == VIRTIO_BLK_S_OK, "it went well");
}

static void write_and_read(uint32_t i)
{
	uint8_t *data = driver_at(&d, DRIVER_BUFFERS + LEN, LEN);

	memset(data, (int)i, LEN);
	ask(VIRTIO_BLK_T_OUT, i);
	memset(data, 0xee, LEN);
	ask(VIRTIO_BLK_T_IN, i);
	must(data[0] == (uint8_t)i && data[LEN - 1] == (uint8_t)i, "it is what was written");
}

/* What the guest sees is the same: its devices are drained and loaded with the state that they have. */
static void load_again(void)
{
	worker_lock(&d.vm.worker);
	must(vm_drain(&d.vm, NULL) == 0, "devices come to rest");
	for (uint32_t i = 0; i < d.vm.ndevices; i++) {
		const struct device_type *type = d.vm.devices[i]->type;

		must(!type->save || type->save(d.vm.devices[i], NULL) == 0, "state is saved");
		must(!type->load || type->load(d.vm.devices[i], NULL) == 0, "it is taken");
	}
	worker_unlock(&d.vm.worker);
}

static void run(enum drive_mode mode)
{
	const struct virtio_blk_drive config = { .drive = &drive };
	pthread_t operator;

	drive.mode = mode;
	driver_init(&d, &virtio_blk_type, &config);
	add_device(&ioapic_type);
	add_device(&serial_type);
	add_device(&ged_type);
	driver_connect(&d);
	must(serial_listen(serial_of(&d.vm), line[0], NULL) == 0, "the port listens");
	driver_start(&d, DRIVER_ALL);
	is_over = false;
	must(pthread_create(&operator, NULL, operate, NULL) == 0, "there is a thread");
	for (uint32_t i = 0; i < ROUNDS; i++) {
		write_and_read(i);
		if (i % 16 == 15)
			load_again();
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
	pthread_join(operator, NULL);
	must(virtio_blk_stats(&d.dev->dev)->errors == 0, "no request failed");
	driver_fini(&d);
}

int main(void)
{
	drive = (struct drive){ .fd = memfd_create("disk", MFD_CLOEXEC),
				.size = SECTORS * DRIVE_SECTOR };
	must(ftruncate(drive.fd, (off_t)drive.size) == 0, "there is a file");
	must(pipe2(line, O_CLOEXEC | O_NONBLOCK) == 0, "there is a line");
	run(DRIVE_RW);
	run(DRIVE_OVERLAY);
	must(msi_sent > 0, "interrupts were sent");
	return 0;
}
