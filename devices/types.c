/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/types.h"

#include <errno.h>
#include <string.h>

#include "devices/ged.h"
#include "devices/i8042.h"
#include "devices/ioapic.h"
#include "devices/mailbox.h"
#include "devices/rtc.h"
#include "devices/serial.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_rng.h"
#include "devices/vmclock.h"
#include "devices/vmgenid.h"
#include "engine/err.h"

/* clang-format off */
const struct device_type *const device_types[] = {
	&mailbox_type,
	&ioapic_type,
	&serial_type,
	&i8042_type,
	&rtc_type,
	&ged_type,
	&vmgenid_type,
	&vmclock_type,
	&virtio_blk_type,
	&virtio_rng_type,
	&virtio_console_type,
	NULL,
};
/* clang-format on */

const struct device_type *device_type_find(const char *name)
{
	for (const struct device_type *const *t = device_types; *t; t++) {
		if (strcmp((*t)->name, name) == 0)
			return *t;
	}
	return NULL;
}

int device_list_add(struct device_list *l, const struct device_type *type, uint32_t n,
		    struct err *err)
{
	if (n > VM_MAX_DEVICES - l->n)
		return err_set(err, ENOSPC, "more than %u devices", VM_MAX_DEVICES);
	while (n-- > 0)
		l->types[l->n++] = type;
	return 0;
}

bool device_list_equal(const struct device_list *a, const struct device_list *b)
{
	bool same = a->n == b->n;

	for (uint32_t i = 0; same && i < a->n; i++)
		same = a->types[i] == b->types[i];
	return same;
}
