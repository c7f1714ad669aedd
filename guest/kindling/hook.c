/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/hook.h"

#include <linux/errno.h>

#include "guest/kindling/call.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/signal.h"

#define WATCHED 1u
#define HELD	2u /* an event has arrived and waits for the hooks to end */

uint8_t hook_wanted;

void hook_watch(int wanted)
{
	hook_wanted = (uint8_t)((hook_wanted & HELD) | (wanted ? WATCHED : 0));
}

static int64_t hook_send(int32_t what)
{
	struct signal_event e = { .number = ABI_HOOK_SIGNAL, .code = SI_QUEUE, .value = what };

	signal_post(&e);
	return CALL_RESTART;
}

int64_t hook_read(uint64_t buf, uint64_t size)
{
	static int frozen; /* the hooks before the freeze have been called */
	uint64_t generation = mailbox()->generation;

	if (signal_in_hook())
		return -EDEADLK;
	if (hook_wanted & HELD) {
		hook_wanted &= (uint8_t)~HELD;
		return event_copy(0, buf, size);
	}
	if (hook_wanted && !event_left) {
		if (!frozen) {
			frozen = 1;
			return hook_send(ABI_HOOK_BEFORE_FREEZE);
		}
		event_next();
		if (mailbox()->generation != generation) {
			hook_wanted |= HELD;
			return hook_send(ABI_HOOK_AFTER_THAW);
		}
		return event_copy(0, buf, size);
	}
	return event_read(0, buf, size);
}
