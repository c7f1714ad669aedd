/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/segments.h"

/* Types: SDM vol. 3A, 3.4.5.1 */
#define TYPE_DATA 0x3 /* writable, accessed */
#define TYPE_CODE 0xb /* readable, accessed */
#define TYPE_TSS  0xb /* 32-bit, busy; of a system segment: 3.5 */

#define TSS_LIMIT 0x67 /* SDM vol. 3A, 7.2.1: its 104 bytes */

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

void segments_set_protected(struct kvm_sregs *s)
{
	segments_set_flat(s, 0);
	s->cs.l = 0;
	s->cs.db = 1;
	s->tr = (struct kvm_segment){ .limit = TSS_LIMIT, .type = TYPE_TSS, .present = 1 };
}
