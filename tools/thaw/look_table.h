/* SPDX-License-Identifier: Apache-2.0 */
/* look_table.h - what a thawd does (look.h), for people. */
#pragma once

#include <stdio.h>

#include "tools/thaw/look.h"

/*
 * look_table - a line for all of thawd, which is at @at, and a table of its functions.
 *
 * @changes:	of the functions of @now
 * @columns:	no line is wider: names are cut, and of the columns those go that are missed least;
 *		0: there is no limit
 */
void look_table(FILE *to, const char *at, const struct look *now,
		const struct look_change *changes, unsigned int columns);
