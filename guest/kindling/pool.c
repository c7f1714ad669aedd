/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/pool.h"

#include "guest/kindling/bytes.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/memory.h"

void *pool_take(struct pool *p)
{
	void **item = p->free;

	if (item) {
		p->free = *item;
		*item = NULL;
		return item;
	}
	if (p->left < p->size) {
		p->room = memory_take(1);
		p->left = p->room ? LAYOUT_PAGE : 0;
		if (!p->room)
			return NULL;
	}
	item = (void **)(void *)p->room;
	p->room += p->size;
	p->left -= p->size;
	return item;
}

void pool_give_back(struct pool *p, void *item)
{
	memset(item, 0, p->size);
	*(void **)item = p->free;
	p->free = item;
}
