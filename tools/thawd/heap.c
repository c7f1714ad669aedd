/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/heap.h"

#include <assert.h>
#include <errno.h>

int heap_reserve(struct heap *h, uint32_t n)
{
	struct heap_node **nodes;

	if (n <= h->room)
		return 0;
	nodes = realloc(h->nodes, n * sizeof(struct heap_node *));
	if (!nodes)
		return -ENOMEM;
	h->nodes = nodes;
	h->room = n;
	return 0;
}

void heap_fini(struct heap *h)
{
	free(h->nodes);
	*h = (struct heap){ 0 };
}

static void place(struct heap *h, struct heap_node *node, uint32_t at)
{
	h->nodes[at - 1] = node;
	node->at = at;
}

/* Move @node up from the hole @at, as far as it comes before those above. */
static uint32_t rise(struct heap *h, struct heap_node *node, uint32_t at)
{
	while (at > 1 && h->before(node, h->nodes[at / 2 - 1])) {
		place(h, h->nodes[at / 2 - 1], at);
		at /= 2;
	}
	return at;
}

static uint32_t sink(struct heap *h, struct heap_node *node, uint32_t at)
{
	for (;;) {
		uint32_t below = 2 * at;

		if (below < h->n && h->before(h->nodes[below], h->nodes[below - 1]))
			below++;
		if (below > h->n || !h->before(h->nodes[below - 1], node))
			return at;
		place(h, h->nodes[below - 1], at);
		at = below;
	}
}

void heap_put(struct heap *h, struct heap_node *node)
{
	uint32_t at = node->at;

	if (at == 0) {
		assert(h->n < h->room);
		at = ++h->n;
	}
	at = rise(h, node, at);
	place(h, node, at); /* sink compares with what is below only */
	place(h, node, sink(h, node, at));
}

void heap_drop(struct heap *h, struct heap_node *node)
{
	struct heap_node *last;
	uint32_t at = node->at;

	if (at == 0)
		return;
	node->at = 0;
	last = h->nodes[--h->n];
	if (last == node)
		return;
	last->at = at;
	heap_put(h, last);
}
