/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/origin.h"

int origin_open(struct origin *o, const char *dir, const struct kvm *kvm, struct err *err)
{
	int ret = image_open(&o->image, dir, err);

	if (ret < 0)
		return ret;
	ret = template_open(&o->template, &o->image, kvm, err);
	if (ret == 0)
		ret = template_fill(&o->template, err);
	o->is_open = true;
	return ret;
}

void origin_close(struct origin *o)
{
	if (!o->is_open)
		return;
	template_close(&o->template);
	image_close(&o->image);
	o->is_open = false;
}
