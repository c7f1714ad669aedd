/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_proc.h - what tests read of processes in /proc. Helpers assert. */
#pragma once

#include <sys/types.h>

/* The number of namespace @name ("net", "pid", ...) of a process. */
ino_t namespace_of(pid_t pid, const char *name);
