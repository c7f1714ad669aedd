/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_virtio_fuzz.h - a hostile driver made of a fuzzer's bytes: it writes to registers, rings and
 * tables whatever it likes, and between that does what a driver does, so that the fuzzer gets far. Also it loads
 * states, as an image of an enemy would.
 */
#pragma once

#include "tests/helpers_virtio.h"

/* Called after each step of the driver, to say what must hold. May be NULL. */
typedef void driver_check(struct driver *d);

/*
 * driver_fuzz - let the driver do what @data says: up to DRIVER_STEPS steps.
 * @d: of driver_init; it is reset first, and what surrounds its RAM is made inaccessible.
 * Ends the process if something was written beside what was offered.
 */
#define DRIVER_STEPS 64u
void driver_fuzz(struct driver *d, const uint8_t *data, size_t len, driver_check *check);
