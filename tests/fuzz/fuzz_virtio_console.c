/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_virtio_console - the console between a driver who is an enemy and input that never ends. */
#include <assert.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "devices/virtio_console.h"
#include "tests/helpers_virtio_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t heard;

/* Look at every byte, as whoever shows it does. */
static void hear(void *arg, const void *data, size_t len)
{
	volatile const uint8_t *bytes = data;

	(void)arg;
	for (size_t i = 0; i < len; i += 64)
		(void)bytes[i];
	(void)bytes[len - 1];
	heard += len;
}

static void type(struct driver *d)
{
	struct virtio_console *c = container_of(d->dev, struct virtio_console, virtio);

	assert(heard <= 2ull * (d->queues[1].size + 1) * (1u << 20));
	heard = 0;
	worker_lock(&d->vm.worker);
	assert(c->input.callback(&c->input, EPOLLIN) == 0);
	worker_unlock(&d->vm.worker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct driver d;

	if (!d.dev) {
		driver_init(&d, &virtio_console_type, NULL);
		virtio_console_of(&d.vm)->ops.out = hear;
		virtio_console_listen(virtio_console_of(&d.vm),
				      open("/dev/zero", O_RDONLY | O_CLOEXEC));
		assert(virtio_console_of(&d.vm)->input.fd >= 0);
	}
	driver_fuzz(&d, data, len, type);
	return 0;
}
