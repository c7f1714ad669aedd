/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/handles.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/clock.h"
#include "guest/abi.h"
#include "snapshot/rewind.h"

_Static_assert(sizeof(struct thaw_err) == sizeof(struct err), "one is the other");
_Static_assert(THAW_DAMAGED == (int)ERR_DAMAGED && THAW_UNFIT == (int)ERR_UNFIT &&
		       THAW_NO_KVM == (int)ERR_NO_KVM && THAW_CRASHED == (int)ERR_CRASHED &&
		       THAW_TIMED_OUT == (int)ERR_TIMED_OUT,
	       "the public reasons are ours");
_Static_assert(THAW_EVENT_MAX == ABI_EVENT_MAX, "the public limit is the mailbox's");
_Static_assert(THAW_EVENT_MAX == ABI_REPLY_MAX, "the public limit is the mailbox's");

void *handle_make(size_t size, struct thaw_err *err)
{
	void *p = calloc(1, size);

	if (!p)
		err_set(handle_err(err), ENOMEM, "no memory for a handle of %zu bytes", size);
	return p;
}

void handle_stamps(const struct phases *phases, struct thaw_stamps *stamps)
{
	const nsec_t *at = phases->at;

	*stamps = (struct thaw_stamps){
		.request = at[PHASE_REQUEST],
		.shell = at[PHASE_SHELL],
		.memory = at[PHASE_MEMORY],
		.state = at[PHASE_STATE],
		.first_instruction = at[PHASE_FIRST_INSTRUCTION],
		.first_response = at[PHASE_FIRST_RESPONSE],
		.released = at[PHASE_RELEASED],
	};
}

void handle_rewinds(const struct rewind_stats *s, struct thaw_rewinds *rewinds)
{
	*rewinds = (struct thaw_rewinds){
		.rewinds = s->rewinds,
		.pages_compared = s->pages_compared,
		.pages_copied = s->pages_copied,
		.pages_given_back = s->pages_given_back,
		.flushes = s->flushes,
		.full_loads = s->full_loads,
		.searches = s->searches,
	};
}
