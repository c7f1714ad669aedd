/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.h - a token bucket: so much in a time, and now and then more at once. It is full at first, fills
 * up steadily, and has a burst on top that is there once. Whoever takes the last token may take more
 * than there are, and the next one waits the longer: so a request larger than the bucket passes,
 * too, and on average the rate is what it was to be.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/state.h"

/* As Firecracker's: @size tokens each @refill_ms milliseconds. */
struct rate_limit {
	uint64_t size;	    /* tokens that fit; 0: no limit */
	uint64_t burst;	    /* on top, once */
	uint32_t refill_ms; /* in which an empty bucket fills up; not 0 where @size is not */
	bool is_new; /* not its machine's own: a state that is loaded has a full bucket */
};

/* What survives a freeze; no time passes while the machine is frozen. */
struct rate_state {
	uint64_t used;	     /* tokens missing from the full bucket; more than it has: debt */
	uint64_t burst_left; /* of the burst */
};
extern const struct state_desc rate_state_desc;

struct rate {
	struct rate_limit limit;
	nsec_t at; /* until when @used is right */
};

/* A full bucket. */
void rate_init(struct rate *r, struct rate_state *s, const struct rate_limit *limit,
	       nsec_t now);

/* @s was loaded, maybe from a machine with other limits: what it owed beyond a bucket is forgiven. */
void rate_load(struct rate *r, struct rate_state *s, nsec_t now);

/* How long to wait until something may be taken; 0: now. Brings @s up to date. */
nsec_t rate_wait(struct rate *r, struct rate_state *s, nsec_t now);

/* Take @n tokens, after rate_wait said 0. */
void rate_take(const struct rate *r, struct rate_state *s, uint64_t n);
