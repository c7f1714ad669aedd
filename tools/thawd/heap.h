/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - a binary heap of things that embed a struct heap_node: the first one at once,
 * anything else in O(log n). Room is made beforehand, so that nothing later can fail.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"

struct heap_node {
	uint32_t at; /* its place, from 1; 0: in no heap */
};

typedef bool heap_before(struct heap_node *a, struct heap_node *b);

struct heap {
	struct heap_node **nodes;
	uint32_t n, room;
	heap_before *before;
};

/* Have room for @n nodes in all. Errors: -ENOMEM; the heap is as it was. */
int heap_reserve(struct heap *h, uint32_t n) must_check;
void heap_fini(struct heap *h);

/* heap_first - the node that comes before all others. NULL: there is none. */
static inline struct heap_node *heap_first(const struct heap *h)
{
	return h->n > 0 ? h->nodes[0] : NULL;
}

/* Add @node, or move it to its place after what it is ordered by has changed: of one node at
 * a time. */
void heap_put(struct heap *h, struct heap_node *node);

/* Nothing happens if @node is in no heap. */
void heap_drop(struct heap *h, struct heap_node *node);
