/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/segments.h"

/* Types: SDM vol. 3A, 3.4.5.1 */
#define TYPE_DATA 0x3 /* writable, accessed */
#define TYPE_CODE 0xb /* readable, accessed */

void segments_set_flat(struct kvm_sregs *s, uint8_t ring)
{
	const struct kvm_segment data = { .limit = 0xffffffff,
					  .selector = ring ? 0x2b : 0x18,
					  .type = TYPE_DATA,
					  .present = 1,
					  .dpl = ring,
					  .db = 1,
					  .s = 1,
					  .g = 1 };

	s->ds = s->es = s->fs = s->gs = s->ss = s->cs = data;
	s->cs.selector = ring ? 0x33 : 0x10;
	s->cs.type = TYPE_CODE;
	s->cs.db = 0;
	s->cs.l = 1;
}
