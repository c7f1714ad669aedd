/* SPDX-License-Identifier: Apache-2.0 */
/* blk.h - what tests/kvm_blk.c asks of blk.c, and what that replies. */
#pragma once

#include <stdint.h>

#define BLK_REQUEST 131072u /* bytes of each */
#define BLK_DEPTH   16u	    /* in flight */

/* BLK_BEGIN writes, up to BLK_DEPTH requests, and waits for none of them; BLK_END does. */
enum { BLK_READ, BLK_FILL, BLK_CHECK, BLK_BEGIN, BLK_END };

/* @n requests, one behind the other from the drive's start on, and again from there at its end. Their bytes
 * are made of @seed, and written or looked for. */
struct blk_order {
	uint32_t what, n;
	uint64_t seed;
};

struct blk_report {
	uint32_t status;   /* of the device */
	uint32_t failed;   /* requests that came back with an error */
	uint32_t wrong;	   /* that brought other bytes than were looked for */
	uint32_t notified; /* times that the device was told */
	uint64_t ticks;	   /* that all of it took */
	uint64_t sectors;  /* of the drive */
};
