/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - threads that help the one which runs a machine. */
#pragma once

#include <pthread.h>

#include "engine/util.h"

/*
 * thread_start - a joinable thread with all signals blocked: they are for the thread that runs
 * the machine, and for the program. It begins on another CPU than the caller's, where this
 * process may use one, and is free to move from there. Errors: -EAGAIN.
 */
int thread_start(pthread_t *thread, void *(*body)(void *), void *arg) must_check;

/* On how many CPUs may this process run? */
unsigned int thread_cpus(void);
