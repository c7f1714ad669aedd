/* SPDX-License-Identifier: Apache-2.0 */
/* checksum.h - of firmware's tables, ACPI's and the MP table's: all bytes add up to 0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What the table's byte for it has to be, which is 0 now. */
static inline uint8_t checksum_of(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}
