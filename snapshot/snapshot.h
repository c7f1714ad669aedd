/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h - what is behind the snapshots of thaw.h. Clones and slots begin them, each in its
 * own way; written and closed they are in thaw_snapshot.c. */
#pragma once

#include "snapshot/fork.h"
#include "snapshot/handles.h"

struct thaw_snapshot {
	struct fork fork;
	struct thaw_template
		*template; /* held; NULL: the clone's, which is the caller's to keep */
};
