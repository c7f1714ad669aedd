/* SPDX-License-Identifier: Apache-2.0 */
/* version.h - of this thaw; written into every image. */
#pragma once

#define THAW_VERSION "0.1.0"
