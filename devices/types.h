/* SPDX-License-Identifier: Apache-2.0 */
/* types.h - every device model there is, in restore order; NULL at the end. */
#pragma once

#include "engine/device.h"

extern const struct device_type *const device_types[];
