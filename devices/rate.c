/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/rate.h"

#include "engine/util.h"

static const struct state_field rate_fields[] = {
	STATE_FIELD(struct rate_state, used),
	STATE_FIELD(struct rate_state, burst_left),
};
const struct state_desc rate_state_desc = STATE_DESC("rate", 1, struct rate_state, rate_fields);

static uint64_t scale(uint64_t n, uint64_t by, uint64_t over)
{
	unsigned __int128 v = (unsigned __int128)n * by / over;

	return v >= UINT64_MAX ? UINT64_MAX - 1 : (uint64_t)v;
}

static uint64_t refill_ns(const struct rate *r)
{
	return MAX((uint64_t)r->limit.refill_ms, 1u) * NSEC_PER_MSEC;
}

void rate_init(struct rate *r, struct rate_state *s, const struct rate_limit *limit, nsec_t now)
{
	*r = (struct rate){ .limit = *limit, .at = now };
	*s = (struct rate_state){ .burst_left = limit->burst };
}

void rate_load(struct rate *r, struct rate_state *s, nsec_t now)
{
	r->at = now;
	s->used = r->limit.is_new ? 0 : MIN(s->used, r->limit.size);
	s->burst_left = r->limit.is_new ? r->limit.burst : MIN(s->burst_left, r->limit.burst);
}

nsec_t rate_wait(struct rate *r, struct rate_state *s, nsec_t now)
{
	uint64_t size = r->limit.size, got;

	if (size == 0)
		return 0;
	got = scale(now > r->at ? now - r->at : 0, size, refill_ns(r));
	if (got >= s->used) {
		s->used = 0;
		r->at = now;
	} else {
		/* Not to now: what is less than a token is not lost. */
		s->used -= got;
		r->at += scale(got, refill_ns(r), size);
	}
	if (s->burst_left > 0 || s->used < size)
		return 0;
	return scale(s->used - size + 1, refill_ns(r), size) + 1;
}

void rate_take(const struct rate *r, struct rate_state *s, uint64_t n)
{
	uint64_t burst = MIN(n, s->burst_left);

	if (r->limit.size == 0)
		return;
	s->burst_left -= burst;
	if (__builtin_add_overflow(s->used, n - burst, &s->used))
		s->used = UINT64_MAX;
}
