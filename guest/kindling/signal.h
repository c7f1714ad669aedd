/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.h - signals as far as one process without handlers needs them: actions are remembered
 * and answered, a signal that the program sends itself takes its default action, blocked ones
 * wait until they are unblocked. Handlers are never called.
 */
#pragma once

#include "guest/kindling/call.h"

call_fn signal_action; /* rt_sigaction */
call_fn signal_mask;   /* rt_sigprocmask */
call_fn signal_stack;  /* sigaltstack */
call_fn signal_kill;   /* kill */
call_fn signal_tkill;  /* tkill */
call_fn signal_tgkill; /* tgkill */
