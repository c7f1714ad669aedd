/* SPDX-License-Identifier: Apache-2.0 */
/* stamp.h - the time and names that are like no other, as text. */
#pragma once

#include <stdint.h>

#include "engine/util.h"

struct err;

#define STAMP_TIME_SIZE	  40u
#define STAMP_UUID_SIZE	  37u
#define STAMP_SECOND_SIZE 24u

/* Milliseconds since 1970-01-01 UTC. */
int64_t stamp_now_ms(void);

/* "2026-01-31T12:00:00", what all our times begin with. @s: seconds since 1970-01-01 UTC. */
void stamp_second(char text[STAMP_SECOND_SIZE], int64_t s);

/* ISO 8601 as Lambda writes it: "2026-01-31T12:00:00.123+0000". */
void stamp_time(char text[STAMP_TIME_SIZE], int64_t ms);

/* A random UUID: RFC 9562, version 4. Errors: what getrandom says. */
int stamp_uuid(char text[STAMP_UUID_SIZE], struct err *err) must_check;
