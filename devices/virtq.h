/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtq.h - one split virtqueue, the device's side (virtio 1.2, 2.7): indirect descriptors, event
 * index. The guest is an enemy: a descriptor is copied once, then checked, and what was checked is
 * used; chains and sums are bounded. What the driver breaks comes back as -EPROTO.
 *
 * The state of a queue lies in its device's state struct; the rest is rebuilt by virtq_start. All
 * functions run with the lock of the VM's worker held.
 */
#pragma once

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine/mem.h"
#include "engine/state.h"

struct err;

#define VIRTQ_MAX_SIZE 256u /* entries at most that we offer; a power of two (2.7) */
#define VIRTQ_MAX_SEGS 256u /* segments of a request; ours: 512 KiB in pages and more */

/* What survives a freeze. Addresses are guest-physical. */
struct virtq_state {
	uint64_t desc, avail, used;
	uint16_t size;	     /* entries; 0 until the driver sets it */
	uint16_t ready;	     /* 0 or 1 */
	uint16_t next_avail; /* free-running index of the next entry to take */
	uint16_t next_used;  /* free-running index of the next entry to give back */
};
extern const struct state_desc virtq_state_desc;

struct virtq {
	struct virtq_state *s;
	const struct mem *mem;
	uint16_t max;		  /* entries at most */
	bool indirect, event_idx; /* negotiated */
	bool is_other;	    /* than at the last load: something was taken, or it was away */
	bool has_signalled; /* since virtq_start: the first time always */
	uint16_t signalled; /* next_used when the driver was last interrupted */
	const struct vring_desc *desc; /* host views of the three parts; NULL: not ready */
	struct vring_avail *avail;
	struct vring_used *used;
};

/* One request: host views of the guest's buffers, valid until virtq_push(). None is empty. */
struct virtq_req {
	uint16_t head;			   /* by which it is given back */
	uint32_t nout, nin;		   /* segments to read, then segments to write */
	uint32_t out_size, in_size;	   /* bytes in them; together at most UINT32_MAX */
	struct iovec segs[VIRTQ_MAX_SEGS]; /* nout of them, then nin */
};

/* The segments that the device writes. */
static inline const struct iovec *virtq_in(const struct virtq_req *req)
{
	return req->segs + req->nout;
}

/*
 * virtq_start - the driver says, or a state says, that the queue is ready: look up its three parts.
 * @features: negotiated. Errors: -ERANGE size; -EINVAL a part is not aligned or not in one region.
 */
int virtq_start(struct virtq *q, uint64_t features, struct err *err) must_check;

/* Forget the host views. The state is the caller's. */
void virtq_stop(struct virtq *q);

/*
 * virtq_pop - take the next request. Returns 1 with @req filled; 0: there is none, and the driver is
 * asked to notify when there is; -EPROTO: the driver broke the rules, nothing was taken.
 * An -EPROTO goes to virtio_break, or is returned by a kick, which does that.
 */
int virtq_pop(struct virtq *q, struct virtq_req *req) must_check;

/* Undo the last virtq_pop that returned 1. */
void virtq_unpop(struct virtq *q);

/* Give the request of @head back, in any order, with @written bytes written to it. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/* After some virtq_push: does the driver want an interrupt for them? It is asked once for each. */
bool virtq_wants_signal(struct virtq *q);

/* Are there requests to take? -EPROTO counts as one. Says nothing to the driver. */
bool virtq_has_more(const struct virtq *q);

/* Copy from what the driver wrote, from its byte @off on. Returns bytes, fewer at its end. */
size_t virtq_read(const struct virtq_req *req, size_t off, void *to, size_t len);

/* Copy to what the device writes, from its byte @off on. Returns bytes, fewer at its end. */
size_t virtq_write(const struct virtq_req *req, size_t off, const void *from, size_t len);
