/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/device.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/err.h"
#include "engine/vm.h"

/* Devices of @type that @vm has. */
static uint32_t count(const struct vm *vm, const struct device_type *type)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < vm->ndevices; i++)
		n += vm->devices[i]->type == type;
	return n;
}

struct device *device_create(const struct device_spec *spec, struct vm *vm, struct err *err)
{
	const struct device_type *type = spec->type;
	struct device *dev = calloc(1, type->size);
	int ret;

	if (!dev) {
		err_set(err, ENOMEM, "device %s: out of memory", type->name);
		return NULL;
	}
	dev->type = type;
	dev->vm = vm;
	dev->instance = count(vm, type);
	ret = type->init(dev, spec->config, err);
	if (ret < 0) {
		err_wrap(err, ret, "device %s", type->name);
		device_destroy(dev);
		return NULL;
	}
	return dev;
}

void device_destroy(struct device *dev)
{
	if (!dev)
		return;
	if (dev->type->fini)
		dev->type->fini(dev);
	free(dev);
}
