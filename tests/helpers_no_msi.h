/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_no_msi.h - in place of engine/msi.c, where there is no KVM: interrupts are counted, and come to
 * nobody. For one file of a program.
 */
#pragma once

#include "engine/msi.h"

static uint32_t msi_sent; /* atomic */

bool msi_send(const struct vm *vm, struct msi msg)
{
	(void)vm;
	(void)msg;
	__atomic_fetch_add(&msi_sent, 1, __ATOMIC_RELAXED);
	return true;
}

int msi_set_routes(const struct vm *vm, const struct msi pins[IRQ_PINS], struct err *err)
{
	(void)vm;
	(void)pins;
	(void)err;
	return 0;
}

int msi_is_held(const struct vm *vm, uint8_t vector, struct err *err)
{
	(void)vm;
	(void)vector;
	(void)err;
	return 0;
}
