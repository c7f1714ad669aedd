/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtq.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"

static const struct state_field virtq_fields[] = {
	STATE_FIELD(struct virtq_state, desc),
	STATE_FIELD(struct virtq_state, avail),
	STATE_FIELD(struct virtq_state, used),
	STATE_FIELD_MAX(struct virtq_state, size, VIRTQ_MAX_SIZE),
	STATE_FIELD_MAX(struct virtq_state, ready, 1),
	STATE_FIELD(struct virtq_state, next_avail),
	STATE_FIELD(struct virtq_state, next_used),
};
const struct state_desc virtq_state_desc =
	STATE_DESC("virtq", 1, struct virtq_state, virtq_fields);

/* ---- the three parts ---- */

static void *find_part(const struct virtq *q, const char *name, gpa_t gpa, uint64_t len,
		       uint64_t align, struct err *err)
{
	void *host = gpa % align == 0 ? mem_at(q->mem, gpa, len) : NULL;

	if (!host)
		err_set(err, EINVAL,
			"%s ring at 0x%" PRIx64 ": expected %" PRIu64
			" bytes of RAM, aligned to %" PRIu64,
			name, gpa, len, align);
	return host;
}

int virtq_start(struct virtq *q, uint64_t features, struct err *err)
{
	const uint64_t n = q->s->size, event = sizeof(uint16_t);

	virtq_stop(q);
	if (n == 0 || n > q->max || (n & (n - 1)) != 0)
		return err_set(err, ERANGE,
			       "a queue of %" PRIu64
			       " entries, expected a power of two up to %u",
			       n, q->max);
	/* Sizes and alignments: virtio 1.2, 2.7. */
	q->desc = find_part(q, "descriptor", q->s->desc, n * sizeof(*q->desc),
			    VRING_DESC_ALIGN_SIZE, err);
	q->avail = find_part(q, "available", q->s->avail,
			     sizeof(*q->avail) + n * sizeof(q->avail->ring[0]) + event,
			     VRING_AVAIL_ALIGN_SIZE, err);
	q->used = find_part(q, "used", q->s->used,
			    sizeof(*q->used) + n * sizeof(q->used->ring[0]) + event,
			    VRING_USED_ALIGN_SIZE, err);
	if (!q->desc || !q->avail || !q->used) {
		virtq_stop(q);
		return -EINVAL;
	}
	q->signalled = q->s->next_used;
	q->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	q->event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	return 0;
}

void virtq_stop(struct virtq *q)
{
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	q->has_signalled = false;
}

/* ---- requests ---- */

/* Copy entry @i of @n, so that it cannot change under our checks. */
static int read_desc(const void *table, uint32_t n, uint32_t i, struct vring_desc *d)
{
	if (i >= n)
		return -EPROTO;
	/* An indirect table may lie anywhere: it is not aligned. */
	memcpy(d, (const char *)table + i * sizeof(*d), sizeof(*d));
	__asm__ volatile("" ::: "memory"); /* and is not read again */
	return 0;
}

static int add_segment(const struct virtq *q, struct virtq_req *req, const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	uint64_t size = (uint64_t)req->out_size + req->in_size + d->len;
	void *host = d->len > 0 ? mem_at(q->mem, d->addr, d->len) : NULL;

	if (!host || size > UINT32_MAX || req->nout + req->nin == VIRTQ_MAX_SEGS)
		return -EPROTO;
	if (!in && req->nin > 0)
		return -EPROTO; /* 2.7.4.2: what the device writes comes last */
	req->segs[req->nout + req->nin] = (struct iovec){ .iov_base = host, .iov_len = d->len };
	*(in ? &req->nin : &req->nout) += 1;
	*(in ? &req->in_size : &req->out_size) += d->len;
	return 0;
}

/*
 * Follow a chain from entry @i on, of a table of @n. Returns 0 at its end; 1: @d names an indirect
 * table, where it goes on.
 */
static int walk(const struct virtq *q, struct virtq_req *req, const void *table, uint32_t n,
		uint32_t i, struct vring_desc *d)
{
	/* A chain is at most as long as its table, so a loop in it ends here. */
	for (uint32_t left = n; left > 0; left--) {
		int ret = read_desc(table, n, i, d);

		if (ret < 0)
			return ret;
		if (d->flags & VRING_DESC_F_INDIRECT)
			return 1;
		ret = add_segment(q, req, d);
		if (ret < 0 || !(d->flags & VRING_DESC_F_NEXT))
			return ret;
		i = d->next;
	}
	return -EPROTO;
}

/* 2.7.5.3: one table, which is the end of its chain, and none in it. */
static int walk_indirect(const struct virtq *q, struct virtq_req *req, struct vring_desc *d)
{
	uint32_t n = d->len / (uint32_t)sizeof(*d);
	const void *table;

	if (!q->indirect || d->flags & VRING_DESC_F_NEXT || d->len % sizeof(*d) != 0 ||
	    n == 0 || n > VIRTQ_MAX_SEGS)
		return -EPROTO;
	table = mem_at(q->mem, d->addr, d->len);
	if (!table || walk(q, req, table, n, 0, d) != 0)
		return -EPROTO;
	return 0;
}

/* Entries to be taken, or -EPROTO. */
static int pending(const struct virtq *q)
{
	uint16_t n = (uint16_t)(__atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE) -
				q->s->next_avail);

	return n > q->s->size ? -EPROTO : n;
}

/* Ask to be notified of the next entry; there may have been one since we looked. */
static int pending_or_notify(const struct virtq *q)
{
	int n = pending(q);

	if (n != 0 || !q->event_idx)
		return n;
	__atomic_store_n((uint16_t *)&q->used->ring[q->s->size], q->s->next_avail,
			 __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return pending(q);
}

int virtq_pop(struct virtq *q, struct virtq_req *req)
{
	int ret = q->used ? pending_or_notify(q) : 0;
	struct vring_desc d;

	if (ret <= 0)
		return ret;
	req->head = __atomic_load_n(&q->avail->ring[q->s->next_avail % q->s->size],
				    __ATOMIC_RELAXED);
	req->nout = req->nin = req->out_size = req->in_size = 0;
	ret = walk(q, req, q->desc, q->s->size, req->head, &d);
	if (ret == 1)
		ret = walk_indirect(q, req, &d);
	if (ret < 0)
		return ret;
	q->s->next_avail++;
	q->is_other = true;
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	q->s->next_avail--;
}

bool virtq_has_more(const struct virtq *q)
{
	return q->used && pending(q) != 0;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	if (!q->used)
		return;
	q->used->ring[q->s->next_used % q->s->size] =
		(struct vring_used_elem){ .id = head, .len = written };
	__atomic_store_n(&q->used->idx, ++q->s->next_used, __ATOMIC_RELEASE);
}

bool virtq_wants_signal(struct virtq *q)
{
	const uint16_t now = q->s->next_used, old = q->signalled;
	const bool known = q->has_signalled;

	if (!q->used || now == old)
		return false;
	q->signalled = now;
	q->has_signalled = true;
	/* The driver writes what it wants, then looks at used->idx. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(__atomic_load_n(&q->avail->flags, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	return !known ||
	       vring_need_event(__atomic_load_n(&q->avail->ring[q->s->size], __ATOMIC_RELAXED),
				now, old);
}

/* ---- bytes ---- */

/* The part of @seg from byte *@off of a request on, at most @len long; *@off goes on behind it. */
static struct iovec part_of(const struct iovec *seg, size_t *off, size_t len)
{
	size_t skip = MIN(*off, seg->iov_len);

	*off -= skip;
	return (struct iovec){ .iov_base = (char *)seg->iov_base + skip,
			       .iov_len = MIN(seg->iov_len - skip, len) };
}

size_t virtq_read(const struct virtq_req *req, size_t off, void *to, size_t len)
{
	size_t done = 0;

	for (uint32_t i = 0; i < req->nout && done < len; i++) {
		struct iovec part = part_of(&req->segs[i], &off, len - done);

		memcpy((char *)to + done, part.iov_base, part.iov_len);
		done += part.iov_len;
	}
	return done;
}

size_t virtq_write(const struct virtq_req *req, size_t off, const void *from, size_t len)
{
	size_t done = 0;

	for (uint32_t i = 0; i < req->nin && done < len; i++) {
		struct iovec part = part_of(&virtq_in(req)[i], &off, len - done);

		memcpy(part.iov_base, (const char *)from + done, part.iov_len);
		done += part.iov_len;
	}
	return done;
}
