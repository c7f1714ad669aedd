/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power.h - SIGTERM and SIGHUP as the power button of a Linux machine: the guest shuts down by itself. A
 * second signal does what it did before power_listen, and so does the first one when the guest takes too
 * long, or when it has no ear for the button: no ACPI, or not yet.
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
