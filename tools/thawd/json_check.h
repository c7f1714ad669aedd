/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_check.h - whether bytes are one JSON text (RFC 8259), without making anything of them: a
 * tree would take many times the bytes that an enemy sends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_CHECK_DEPTH 512u /* ours: bounds the stack; arrays and objects in each other */

/* @where: the byte where it ceases to be JSON; @len when it is JSON, or ends too early. */
bool json_check(const uint8_t *text, size_t len, size_t *where);
