/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power.h - SIGTERM and SIGHUP as the power button of a Linux machine: the guest shuts down by itself.
 * What SIGTERM did before power_listen it does when it comes again, a second or more later; SIGHUP presses
 * once and is nothing afterwards, for signals come in pairs. The signal that pressed does what it did when
 * the guest takes too long, or has no ear for the button: no ACPI, or not yet.
 */
#pragma once

#include "engine/util.h"

struct err;
struct vm;

/* Ours: as long as a service of systemd's may take by far, and shorter than its patience with us. */
#define POWER_PATIENCE_S 30u

/* Of the process, as signal handlers are. Before @vm runs; after tty_take. */
int power_listen(struct vm *vm, unsigned int patience_s, struct err *err) must_check;

/* Signals do what they did before. While @vm is there; nothing to do without power_listen. */
void power_leave(void);
