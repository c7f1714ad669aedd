/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/device.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/err.h"

struct device *device_create(const struct device_type *type, struct vm *vm, struct err *err)
{
	struct device *dev = calloc(1, type->size);
	int ret;

	if (!dev) {
		err_set(err, ENOMEM, "device %s: out of memory", type->name);
		return NULL;
	}
	dev->type = type;
	dev->vm = vm;
	ret = type->init(dev, err);
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
