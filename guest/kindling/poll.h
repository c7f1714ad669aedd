/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.h - poll and select. What can be waited for does not change during a wait, so it is
 * looked at once; the rest is a sleep.
 */
#pragma once

#include "guest/kindling/call.h"

call_fn poll_poll, poll_ppoll, poll_select, poll_pselect;
