/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.h - what is in an image, as JSON, driven by the state tables. Needs no KVM. */
#pragma once

#include "engine/util.h"

struct err;
struct image;

/*
 * image_inspect - one JSON object: "manifest"; "sections": each with its name, version,
 * instance, size and, where this version knows it, "elements" with every field; "memory";
 * "working_set", null when the image has none.
 * Fields are hexadecimal strings: a JSON number is not safe beyond 2^53.
 * @json: for free(3). Errors: -ENOMEM.
 */
int image_inspect(const struct image *img, char **json, struct err *err) must_check;
