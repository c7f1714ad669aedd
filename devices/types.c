/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/types.h"

#include "devices/mailbox.h"

const struct device_type *const device_types[] = {
	&mailbox_type,
	NULL,
};
