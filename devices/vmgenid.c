/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vmgenid.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "devices/board.h"
#include "engine/err.h"
#include "engine/vm.h"

static const struct state_field vmgenid_fields[] = {
	STATE_FIELD(struct vmgenid_state, gpa),
};

static int vmgenid_init(struct device *dev, const void *config, struct err *err)
{
	struct vmgenid *g = container_of(dev, struct vmgenid, dev);

	(void)config;
	(void)err;
	g->s.gpa = BOARD_VMGENID_GPA;
	return 0;
}

static int vmgenid_load(struct device *dev, struct err *err)
{
	const struct vmgenid *g = container_of(dev, struct vmgenid, dev);

	if (g->s.gpa != BOARD_VMGENID_GPA)
		return err_set(err, EINVAL, "it is at 0x%" PRIx64 ", expected 0x%x", g->s.gpa,
			       BOARD_VMGENID_GPA);
	return 0;
}

const struct device_type vmgenid_type = {
	.name = "vmgenid",
	.size = sizeof(struct vmgenid),
	.state_off = offsetof(struct vmgenid, s),
	.state = STATE_DESC("dev.vmgenid", 1, struct vmgenid_state, vmgenid_fields),
	.init = vmgenid_init,
	.load = vmgenid_load,
};

int vmgenid_write(const struct vm *vm, struct err *err)
{
	uint8_t id[VMGENID_SIZE];
	void *at;

	if (!vm_device(vm, &vmgenid_type))
		return 0;
	at = mem_at(&vm->mem, BOARD_VMGENID_GPA, sizeof(id));
	if (!at)
		return err_set(err, EFAULT, "no RAM at 0x%x for the generation id",
			       BOARD_VMGENID_GPA);
	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return err_set(err, EIO, "no %zu bytes of randomness to be had", sizeof(id));
	memcpy(at, id, sizeof(id));
	explicit_bzero(id, sizeof(id));
	return 0;
}
