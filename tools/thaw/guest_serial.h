/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_serial.h - a guest's serial port on our standard input and output. Where input is a
 * terminal, Ctrl-A is ours, as QEMU has it: Ctrl-A X ends the machine, Ctrl-A A sends Ctrl-A.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/serial.h"

struct vcpu;

struct guest_serial {
	struct vcpu *vcpu;
	bool is_terminal;
	bool is_escaped; /* the last key was Ctrl-A */
	bool has_quit;	 /* Ctrl-A X; the vCPU has been kicked */
};

/*
 * guest_serial_join - before the machine runs. @g stays in place for as long as it lives. From a
 * file, which one cannot wait for, the guest gets nothing: a pipe brings what is in it.
 */
int guest_serial_join(struct guest_serial *g, struct vm *vm, struct err *err) must_check;

/* Take our own keys out of @len bytes; returns how many are left for the guest. */
size_t guest_serial_keys(struct guest_serial *g, uint8_t *keys, size_t len);
