/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - for what has to be put in order at the end, whatever the end is: the work is done by a
 * child, and who is left behind waits for it.
 */
#pragma once

/*
 * guard_run - call @work in a process of its own. Signals that ask us to end are passed on to
 * it; it gets SIGTERM if we die ourselves.
 *
 * Returns its exit code, after it is gone; 128 and the signal that ended it.
 */
int guard_run(int (*work)(void *arg), void *arg);
