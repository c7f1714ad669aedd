/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - the one process with its one thread: who it is, what it may use, how it ends.
 */
#pragma once

#include "guest/kindling/call.h"

#define PROCESS_ID  1
#define CLOCK_TICKS 100 /* USER_HZ, the same on every x86-64 Linux */

call_fn process_id;	 /* getpid, gettid, getpgrp: 1 */
call_fn process_zero;	 /* getppid, getuid and family, sched_yield: 0 */
call_fn process_ids;	 /* getresuid, getresgid: three times 0 */
call_fn process_wait;	 /* wait4, waitid: there are no children */
call_fn process_control; /* prctl */
call_fn process_cpus;	 /* sched_getaffinity */
call_fn process_usage;	 /* getrusage */
call_fn process_times;	 /* times */
call_fn process_exit;	 /* exit, exit_group */
call_fn process_arch;	 /* arch_prctl */
call_fn process_name;	 /* uname */
call_fn process_info;	 /* sysinfo */
call_fn process_limit;	 /* getrlimit */
call_fn process_limit64; /* prlimit64 */
