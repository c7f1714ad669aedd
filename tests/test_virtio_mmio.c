/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "devices/board.h"
#include "engine/err.h"
#include "tests/helpers_virtio.h"

#define ACK	    VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	    VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define FAILED	    VIRTIO_CONFIG_S_FAILED
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define V1	    (1ull << VIRTIO_F_VERSION_1)
#define CORE	    (V1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX)
#define OWN	    (1ull << 3) /* a feature of the probe */

/* ---- a device that remembers what it was asked, and takes a request with each kick ---- */

struct probe_state {
	struct virtio_state virtio;
	uint64_t kept;
};

struct probe {
	struct virtio_dev virtio;
	struct probe_state s;
	uint8_t config[6];
	int kicks[2], settles, resets, kick_ret;
	bool takes;
};

static const struct state_field probe_fields[] = {
	VIRTIO_STATE_ROW(struct probe_state),
	STATE_FIELD(struct probe_state, kept),
};

static int probe_kick(struct virtio_dev *dev, uint32_t queue)
{
	struct probe *p = container_of(dev, struct probe, virtio);
	struct virtq_req req;

	p->kicks[queue]++;
	if (p->takes && virtq_pop(&dev->queues[queue], &req) == 1) {
		virtq_push(&dev->queues[queue], req.head, 0);
		virtio_signal(dev, queue);
	}
	return p->kick_ret;
}

static void probe_settle(struct virtio_dev *dev)
{
	container_of(dev, struct probe, virtio)->settles++;
}

static void probe_reset(struct virtio_dev *dev)
{
	container_of(dev, struct probe, virtio)->resets++;
}

static void probe_config_write(struct virtio_dev *dev, uint32_t off, const void *data,
			       uint32_t len)
{
	memcpy(container_of(dev, struct probe, virtio)->config + off, data, len);
}

static const struct virtio_ops probe_ops = {
	.id = 42,
	.nqueues = 2,
	.queue_sizes = { 16, 8 },
	.kick = probe_kick,
	.settle = probe_settle,
	.reset = probe_reset,
	.config_write = probe_config_write,
};

static int probe_init(struct device *dev, const void *config, struct err *err)
{
	struct probe *p = container_of(dev, struct probe, virtio.dev);

	(void)config;
	p->virtio.features = OWN;
	memcpy(p->config, "config", 6);
	p->virtio.config = p->config;
	p->virtio.config_size = sizeof(p->config);
	return virtio_init(&p->virtio, &probe_ops, err);
}

static const struct device_type probe_type = {
	.name = "probe",
	.size = sizeof(struct probe),
	.state_off = offsetof(struct probe, s),
	.state = STATE_DESC("dev.probe", 1, struct probe_state, probe_fields),
	.init = probe_init,
	.connect = virtio_connect,
	.drain = virtio_drain,
	.load = virtio_load,
	.fini = virtio_fini,
};

static struct driver d;
static struct probe *p;

static void start(void)
{
	driver_init(&d, &probe_type, NULL);
	p = container_of(d.dev, struct probe, virtio);
}

static void stop(void)
{
	driver_fini(&d);
}

TestSuite(virtio, .init = start, .fini = stop);

static void set_status(uint32_t status)
{
	driver_write(&d, VIRTIO_MMIO_STATUS, status);
}

static uint32_t status(void)
{
	return driver_read(&d, VIRTIO_MMIO_STATUS);
}

static void offer(uint32_t queue)
{
	driver_offer(&d, queue, &(struct vring_desc){ DRIVER_BUFFERS, 8, 0, 0 }, 1, 0);
}

/* ---- registers ---- */

Test(virtio, registers_at_reset)
{
	static const struct {
		const char *why;
		uint64_t off;
		uint32_t value;
	} cases[] = {
		{ "virt", VIRTIO_MMIO_MAGIC_VALUE, 0x74726976 },
		{ "version", VIRTIO_MMIO_VERSION, 2 },
		{ "device", VIRTIO_MMIO_DEVICE_ID, 42 },
		{ "vendor: thaw", VIRTIO_MMIO_VENDOR_ID, 0x77616874 },
		{ "features, low", VIRTIO_MMIO_DEVICE_FEATURES, (uint32_t)(CORE | OWN) },
		{ "largest queue", VIRTIO_MMIO_QUEUE_NUM_MAX, 16 },
		{ "no queue ready", VIRTIO_MMIO_QUEUE_READY, 0 },
		{ "no interrupt", VIRTIO_MMIO_INTERRUPT_STATUS, 0 },
		{ "no status", VIRTIO_MMIO_STATUS, 0 },
		{ "no shared memory: length", VIRTIO_MMIO_SHM_LEN_LOW, UINT32_MAX },
		{ "length, high", VIRTIO_MMIO_SHM_LEN_HIGH, UINT32_MAX },
		{ "address", VIRTIO_MMIO_SHM_BASE_LOW, UINT32_MAX },
		{ "address, high", VIRTIO_MMIO_SHM_BASE_HIGH, UINT32_MAX },
		{ "generation", VIRTIO_MMIO_CONFIG_GENERATION, 0 },
		{ "only for writes", VIRTIO_MMIO_QUEUE_NOTIFY, 0 },
		{ "no register", 0x18, 0 },
		{ "no queue reset", 0xc0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect(eq(u32, driver_read(&d, cases[i].off), cases[i].value), "%s",
			  cases[i].why);
	driver_write(&d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_DEVICE_FEATURES), 1));
	driver_write(&d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_DEVICE_FEATURES), 0));
	driver_write(&d, VIRTIO_MMIO_QUEUE_SEL, 2);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0));
	cr_expect(eq(u64, d.dev->violations, 0));
}

Test(virtio, status_goes_forward)
{
	static const struct {
		const char *why;
		uint64_t features;
		uint32_t writes[4], last;
		uint64_t violations;
	} cases[] = {
		/* clang-format off */
		{ "as it should be", V1, { ACK, ACK | DRIVER, ACK | DRIVER | FEATURES_OK, ACK | DRIVER | FEATURES_OK | DRIVER_OK }, 0xf, 0 },
		{ "nothing agreed on", 0, { ACK, ACK | DRIVER, ACK | DRIVER | FEATURES_OK }, ACK | DRIVER, 0 },
		{ "not version 1", OWN, { ACK, ACK | DRIVER, ACK | DRIVER | FEATURES_OK }, ACK | DRIVER, 0 },
		{ "more than offered", V1 | 1, { ACK, ACK | DRIVER, ACK | DRIVER | FEATURES_OK }, ACK | DRIVER, 0 },
		{ "more than offered, high", V1 | 1ull << 33, { ACK, ACK | DRIVER, ACK | DRIVER | FEATURES_OK }, ACK | DRIVER, 0 },
		{ "ready without features", V1, { ACK, ACK | DRIVER, ACK | DRIVER | DRIVER_OK }, ACK | DRIVER, 1 },
		{ "ready with features at once", V1, { ACK, ACK | DRIVER, ACK | DRIVER | FEATURES_OK | DRIVER_OK }, ACK | DRIVER, 1 },
		{ "features without a driver", V1, { ACK, ACK | FEATURES_OK }, ACK, 1 },
		{ "back", V1, { ACK, ACK | DRIVER, ACK, ACK | DRIVER }, ACK | DRIVER, 1 },
		{ "given up", V1, { ACK, ACK | DRIVER, ACK | DRIVER | FAILED }, ACK | DRIVER | FAILED, 0 },
		{ "the device's own bit", V1, { ACK | NEEDS_RESET, ACK | DRIVER | NEEDS_RESET }, ACK | DRIVER, 0 },
		{ "bits that are none", V1, { 0x30 | ACK, 0xffffff00 | ACK }, ACK, 0 },
		/* clang-format on */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		d.dev->violations = 0;
		set_status(0);
		for (uint32_t half = 0; half < 2; half++) {
			driver_write(&d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
			driver_write(&d, VIRTIO_MMIO_DRIVER_FEATURES,
				     (uint32_t)(cases[i].features >> (32 * half)));
		}
		for (int k = 0; k < 4 && cases[i].writes[k]; k++)
			set_status(cases[i].writes[k]);
		cr_expect(eq(u32, status(), cases[i].last), "%s", cases[i].why);
		cr_expect(eq(u64, d.dev->violations, cases[i].violations), "%s", cases[i].why);
	}
}

Test(virtio, what_a_driver_must_not_write_is_counted_and_changes_nothing)
{
	static const struct {
		const char *why;
		uint64_t off;
		uint32_t value, len;
	} cases[] = {
		{ "features after FEATURES_OK", VIRTIO_MMIO_DRIVER_FEATURES, 0, 4 },
		{ "size of a queue that is ready", VIRTIO_MMIO_QUEUE_NUM, 8, 4 },
		{ "its address", VIRTIO_MMIO_QUEUE_DESC_LOW, 0x10000, 4 },
		{ "its address, high", VIRTIO_MMIO_QUEUE_USED_HIGH, 1, 4 },
		{ "what can only be read", VIRTIO_MMIO_MAGIC_VALUE, 0, 4 },
		{ "no register", 0x18, 0, 4 },
		{ "between registers", VIRTIO_MMIO_STATUS + 1, 0, 4 },
		{ "a part of one", VIRTIO_MMIO_STATUS, 0, 1 },
		{ "more than one", VIRTIO_MMIO_QUEUE_DESC_LOW, 0, 8 },
		{ "behind the configuration", VIRTIO_MMIO_CONFIG + 4, 0, 4 },
		{ "far behind it", 0xffc, 0, 4 },
	};
	struct virtio_state before;

	driver_start(&d, DRIVER_ALL);
	driver_write(&d, VIRTIO_MMIO_QUEUE_SEL, 1);
	before = *d.dev->s;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = cases[i].value;

		driver_access(&d, cases[i].off, &value, cases[i].len, true);
		cr_expect(eq(u64, d.dev->violations, i + 1), "%s", cases[i].why);
		cr_expect(eq(int, memcmp(d.dev->s, &before, sizeof(before)), 0), "%s",
			  cases[i].why);
	}
	driver_write(&d, VIRTIO_MMIO_QUEUE_SEL, 2);
	driver_write(&d, VIRTIO_MMIO_QUEUE_READY, 1);
	driver_write(&d, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	driver_write(&d, VIRTIO_MMIO_QUEUE_NUM, 1);
	cr_expect(eq(u64, d.dev->violations, ARRAY_SIZE(cases) + 2));
	cr_expect(eq(int, memcmp(p->config, "config", 6), 0));
}

Test(virtio, configuration)
{
	uint64_t bytes = 0;

	driver_access(&d, VIRTIO_MMIO_CONFIG + 1, &bytes, 2, false);
	cr_expect(eq(int, memcmp(&bytes, "on", 2), 0));
	driver_access(&d, VIRTIO_MMIO_CONFIG, &bytes, 8, false);
	cr_expect(eq(int, memcmp(&bytes, "config\0", 8), 0));
	driver_access(&d, VIRTIO_MMIO_CONFIG + 6, &bytes, 8, false);
	cr_expect(eq(u64, bytes, 0));
	memcpy(&bytes, "xy", 2);
	driver_access(&d, VIRTIO_MMIO_CONFIG + 4, &bytes, 2, true);
	cr_expect(eq(int, memcmp(p->config, "confxy", 6), 0));
	/* Its changes are told. */
	virtio_config_changed(d.dev);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_CONFIG_GENERATION), 1));
	cr_expect(eq(u32, d.pulses, 0));
	driver_start(&d, DRIVER_ALL);
	virtio_config_changed(d.dev);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_CONFIG_GENERATION), 2));
	cr_expect(eq(u32, d.pulses, 1));
	cr_expect(
		eq(u32, driver_read(&d, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG));
}

/* ---- queues ---- */

Test(virtio, notifications_of_any_width_reach_a_queue_that_is_live)
{
	uint32_t widths[] = { 1, 2, 4, 8 };
	uint64_t value = 1;

	driver_notify(&d, 0); /* nobody listens */
	driver_start(&d, DRIVER_ALL);
	cr_expect(eq(int, p->kicks[0], 1)); /* with DRIVER_OK */
	cr_expect(eq(int, p->kicks[1], 1));
	for (int i = 0; i < 4; i++) {
		driver_access(&d, VIRTIO_MMIO_QUEUE_NOTIFY, &value, widths[i], true);
		cr_expect(eq(int, p->kicks[1], 2 + i));
	}
	driver_notify(&d, 2);
	driver_notify(&d, UINT32_MAX);
	driver_write(&d, VIRTIO_MMIO_QUEUE_SEL, 1);
	driver_write(&d, VIRTIO_MMIO_QUEUE_READY, 0);
	driver_notify(&d, 1);
	cr_expect(eq(int, p->kicks[0], 1));
	cr_expect(eq(int, p->kicks[1], 5));
}

Test(virtio, interrupts_are_edges_and_are_acknowledged)
{
	p->takes = true;
	driver_start(&d, V1);
	for (uint32_t i = 1; i <= 3; i++) {
		offer(0);
		driver_notify(&d, 0);
		cr_expect(eq(u32, d.pulses, i));
		cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_INTERRUPT_STATUS),
			     VIRTIO_MMIO_INT_VRING));
	}
	driver_write(&d, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
	cr_expect(
		eq(u32, driver_read(&d, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING));
	driver_write(&d, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_INTERRUPT_STATUS), 0));
	/* Nothing to take: nothing to tell. */
	driver_notify(&d, 0);
	cr_expect(eq(u32, d.pulses, 3));
}

Test(virtio, a_reset_settles_and_takes_everything_back)
{
	struct virtio_state none = { .config_generation = 1 };

	virtio_config_changed(d.dev);
	p->takes = true;
	driver_start(&d, DRIVER_ALL);
	offer(0);
	driver_notify(&d, 0);
	p->settles = p->resets = 0;
	set_status(0);
	cr_expect(eq(int, p->settles, 1));
	cr_expect(eq(int, p->resets, 1));
	cr_expect(eq(int, memcmp(d.dev->s, &none, sizeof(none)), 0));
	cr_expect(eq(ptr, d.dev->queues[0].used, NULL));
	driver_start(&d, DRIVER_ALL);
	offer(0);
	driver_notify(&d, 0);
	cr_expect(eq(u16, driver_used(&d, 0)->idx, 1));
}

Test(virtio, a_queue_that_is_taken_away_is_settled_and_begins_anew)
{
	p->takes = true;
	driver_start(&d, DRIVER_ALL);
	offer(0);
	driver_notify(&d, 0);
	p->settles = 0;
	driver_write(&d, VIRTIO_MMIO_QUEUE_SEL, 0);
	driver_write(&d, VIRTIO_MMIO_QUEUE_READY, 0);
	cr_expect(eq(int, p->settles, 1));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_QUEUE_READY), 0));
	driver_set_queue(&d, 0);
	cr_expect(eq(u16, d.dev->s->queues[0].next_avail, 0));
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_QUEUE_READY), 1));
}

Test(virtio, what_breaks_a_device_and_what_heals_it)
{
	p->kick_ret = -EPROTO;
	driver_start(&d, DRIVER_ALL);
	cr_expect(eq(u32, status(), 0xf | NEEDS_RESET));
	cr_expect(eq(u64, d.dev->violations, 1));
	cr_expect(
		eq(u32, driver_read(&d, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG));
	cr_expect(eq(u32, d.pulses, 1));
	cr_expect(eq(int, p->kicks[0] + p->kicks[1], 1));
	driver_notify(&d, 0);
	driver_notify(&d, 1);
	cr_expect(eq(int, p->kicks[0] + p->kicks[1], 1));
	set_status(0xf); /* it is not the driver's to clear */
	cr_expect(eq(u32, status(), 0xf | NEEDS_RESET));

	p->kick_ret = 0;
	driver_start(&d, DRIVER_ALL);
	cr_expect(eq(u32, status(), 0xf));
	driver_notify(&d, 0);
	cr_expect(eq(int, p->kicks[0], 3));
}

Test(virtio, a_queue_that_cannot_be_breaks_the_device)
{
	driver_negotiate(&d, DRIVER_ALL);
	d.queues[1].avail = PC_HOLE_GPA;
	driver_set_queue(&d, 1);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_QUEUE_READY), 0));
	cr_expect(eq(u32, status(), 0xb | NEEDS_RESET));
	cr_expect(eq(u32, d.pulses, 0)); /* nobody is ready to hear it */
	/* Before features are agreed on there are no queues. */
	set_status(0);
	driver_set_queue(&d, 0);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_QUEUE_READY), 0));
	cr_expect(eq(u32, status(), 0));
}

/* ---- the board ---- */

Test(virtio, each_device_has_a_place_until_the_board_is_full)
{
	const struct device_spec spec = { .type = &probe_type };
	struct device *devices[BOARD_VIRTIO_PLACES] = { NULL };
	struct err err;
	uint32_t id;

	for (uint32_t i = 1; i < BOARD_VIRTIO_PLACES; i++) {
		devices[i] = device_create(&spec, &d.vm, &err);
		cr_assert(devices[i] != NULL);
		cr_expect(eq(u32, virtio_of(devices[i])->place, i));
		bus_access(&d.vm.mmio,
			   BOARD_VIRTIO_GPA + i * BOARD_VIRTIO_SIZE + VIRTIO_MMIO_DEVICE_ID,
			   &id, 4, false);
		cr_expect(eq(u32, id, 42));
	}
	cr_expect(eq(ptr, device_create(&spec, &d.vm, &err), NULL));
	cr_expect(eq(str, err.text, "device probe: more than 16 virtio devices"));
	for (uint32_t i = 1; i < BOARD_VIRTIO_PLACES; i++)
		device_destroy(devices[i]);
}

/* ---- freeze and thaw ---- */

static int load(struct err *err)
{
	return d.dev->dev.type->load(&d.dev->dev, err);
}

Test(virtio, states_that_cannot_be_are_refused_and_not_followed)
{
	static const struct {
		const char *why;
		uint64_t features;
		uint32_t status, ready;
		gpa_t used;
		uint16_t size;
		int ret;
		const char *text;
	} cases[] = {
		/* clang-format off */
		{ "as it should be", CORE | OWN, 0xf, 2, 0x3000, 8, 0, "" },
		{ "at reset", 0, 0, 0, 0, 0, 0, "" },
		{ "features not agreed on yet", UINT64_MAX, 3, 0, 0, 0, 0, "" },
		{ "broken", V1, 0xf | NEEDS_RESET, 2, 0x3000, 8, 0, "" },
		{ "a status of other bits", V1, 0x3f, 2, 0x3000, 8, -ERR_DAMAGED,
		  "status 0x3f has bits that there are not" },
		{ "a feature that is not offered", V1 | 2, 0xf, 2, 0x3000, 8, -ERR_UNFIT,
		  "its driver uses features 0x100000002, and this device has 0x130000008" },
		{ "not version 1", OWN, 0xb, 0, 0, 0, -ERR_DAMAGED, "features 0x8 without VERSION_1" },
		{ "ready without features", V1, 7, 0, 0, 0, -ERR_DAMAGED,
		  "status 0x7: no features were agreed on" },
		{ "a queue without features", V1, 3, 2, 0x3000, 8, -ERR_DAMAGED, "queue 1 cannot be ready" },
		{ "a queue that is not there", V1, 0xf, 4, 0x3000, 8, -ERR_DAMAGED, "queue 2 cannot be ready" },
		{ "a queue in the hole", V1, 0xf, 2, PC_HOLE_GPA, 8, -ERR_DAMAGED,
		  "queue 1: used ring at 0xc0000000: expected 70 bytes of RAM, aligned to 4" },
		{ "larger than offered", V1, 0xf, 2, 0x3000, 16, -ERR_DAMAGED,
		  "queue 1: a queue of 16 entries, expected a power of two up to 8" },
		/* clang-format on */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = { 0 };

		*d.dev->s = (struct virtio_state){ .driver_features = cases[i].features,
						   .status = cases[i].status };
		for (uint32_t q = 0; q < VIRTIO_MAX_QUEUES; q++)
			d.dev->s->queues[q] =
				(struct virtq_state){ .desc = 0x1000,
						      .avail = 0x2000,
						      .used = cases[i].used,
						      .size = cases[i].size,
						      .ready = cases[i].ready >> q & 1 };
		cr_expect(eq(int, load(&err), cases[i].ret), "%s", cases[i].why);
		cr_expect(eq(str, err.text, (char *)cases[i].text), "%s", cases[i].why);
		cr_expect(eq(int, d.dev->queues[1].used != NULL,
			     cases[i].ret == 0 && cases[i].ready == 2),
			  "%s", cases[i].why);
		cr_expect(eq(ptr, d.dev->queues[0].used, NULL), "%s", cases[i].why);
	}
}

Test(virtio, an_interrupt_that_was_pending_is_raised_again)
{
	driver_start(&d, DRIVER_ALL);
	cr_assert(eq(int, load(NULL), 0));
	cr_expect(eq(u32, d.pulses, 0));
	d.dev->s->interrupt_status = VIRTIO_MMIO_INT_VRING;
	cr_assert(eq(int, load(NULL), 0));
	cr_expect(eq(u32, d.pulses, 1));
}

/* Has the worker kicked @queue this often, in a while? */
static bool kicked(uint32_t queue, int times)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < 2000; i++) {
		int found;

		worker_lock(&d.vm.worker); /* after the whole of a kick */
		found = p->kicks[queue];
		worker_unlock(&d.vm.worker);
		if (found == times)
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

/* Take the machine back to @to, as a rewind does. */
static void take_back(const struct probe_state *to)
{
	worker_lock(&d.vm.worker);
	p->s = *to;
	cr_assert(eq(int, load(NULL), 0));
	worker_unlock(&d.vm.worker);
}

Test(virtio, queues_are_kicked_after_a_thaw_but_not_without_a_reason_after_a_rewind)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	struct probe_state frozen;

	driver_start(&d, V1);
	offer(0);
	frozen = p->s;
	driver_connect(&d);
	cr_expect(eq(int, p->kicks[0], 1));
	p->takes = true;

	take_back(&frozen); /* the notification of queue 0 was lost with the freeze */
	cr_expect(kicked(0, 2));
	cr_expect(kicked(1, 2));
	cr_expect(eq(u32, d.pulses, 1));

	/* The queue has more than when it was frozen, and was used since: again. */
	driver_used(&d, 0)->idx = 0;
	take_back(&frozen);
	cr_expect(kicked(0, 3));

	/* The driver took the device down: who looked in vain meanwhile has to look again. */
	driver_used(&d, 0)->idx = 0;
	driver_write(&d, VIRTIO_MMIO_STATUS, 0);
	take_back(&frozen);
	cr_expect(kicked(0, 4));

	/* Nothing to be found: nobody is woken. */
	frozen = p->s;
	frozen.virtio.interrupt_status = 0;
	take_back(&frozen);
	take_back(&frozen);
	nanosleep(&moment, NULL);
	cr_expect(kicked(0, 4));
	cr_expect(kicked(1, 2));
	cr_expect(eq(u32, d.pulses, 3));
}
