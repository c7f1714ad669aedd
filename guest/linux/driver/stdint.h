/* SPDX-License-Identifier: GPL-2.0 */
/* stdint.h - for abi.h, which is shared with the host: the kernel's types have its names. */
#pragma once

#include <linux/types.h>
