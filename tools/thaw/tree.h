/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - a directory with all that is in it. */
#pragma once

/* Remove it, as far as that goes; no link is followed. */
void tree_remove(const char *path);
