/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - an image and its template, filled, as snapshot/ has them: for what is measured
 * below libthaw's own interface, which gives a struct subject.
 */
#pragma once

#include <stdbool.h>

#include "snapshot/template.h"

struct origin {
	struct image image;
	struct template template;
	bool is_open;
};

/* @o: zeroed. @dir: of the image. origin_close is safe after an error, and on a zeroed one. */
int origin_open(struct origin *o, const char *dir, const struct kvm *kvm, struct err *err);
void origin_close(struct origin *o);
