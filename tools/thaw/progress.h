/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h - a bar on the terminal for what takes longer than a second. */
#pragma once

#include "engine/clock.h"
#include "snapshot/io.h"

struct progress {
	struct io_progress io; /* to be handed to whoever does the work */
	const char *what;
	nsec_t begun, shown;
	bool visible;
};

/* Nothing is ever shown when stderr is no terminal. @p stays in place until progress_end. */
void progress_begin(struct progress *p, const char *what);
/* Take the bar away. */
void progress_end(struct progress *p);
