/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/pager_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/vcpu.h"
#include "snapshot/image.h"
#include "snapshot/io.h"
#include "snapshot/plan.h"
#include "snapshot/reader.h"

uint64_t pager_fault_point;

/* ---- placing and pushing ---- */

#define COUNT(counter, n) __atomic_fetch_add(&(counter), (n), __ATOMIC_RELAXED)

static int fault_point(const struct pager *p, struct err *err)
{
	if (pager_fault_point == 0 || p->stats.served + p->stats.pushed < pager_fault_point)
		return 0;
	return err_set(err, EIO, "fault point after %" PRIu64 " frames", pager_fault_point);
}

static int place(struct pager *p, uint64_t frame, const void *stored, struct err *err)
{
	const struct frames_entry *e = &p->f->table[frame];
	int ret = fault_point(p, err);

	if (ret == 0)
		ret = frames_unpack(p->f, frame, stored, p->pages, err);
	if (ret == 0)
		ret = uffd_copy(&p->uffd, mem_at(p->cfg.mem, e->gpa, frames_size(e)), p->pages,
				frames_size(e), UFFD_MISSING, err);
	if (ret < 0)
		return ret;
	p->in[frame] = true;
	p->missing--;
	return 0;
}

/* The next frame of the list, unless it is in. */
static int push_one(struct pager *p, struct err *err)
{
	const void *stored;
	uint64_t frame;
	uint64_t before = reader_bytes(p->reader);
	int ret = reader_next(p->reader, &frame, &stored, err);

	COUNT(p->stats.read_bytes, reader_bytes(p->reader) - before);
	if (ret > 0) {
		p->pos++;
		if (p->in[frame])
			return 0;
		COUNT(p->stats.pushed, 1);
		return place(p, frame, stored, err);
	}
	reader_close(p->reader);
	p->reader = NULL;
	return ret;
}

static int push_begin(struct pager *p, uint64_t end, struct err *err)
{
	if (end <= p->pos)
		return 0;
	p->base = p->pos;
	p->push =
		(struct reader_list){ .frames = p->cfg.plan->list + p->pos, .n = end - p->pos };
	p->reader = reader_open(p->f, &p->push, err);
	return p->reader ? 0 : -ENOMEM;
}

/* ---- serving ---- */

/* Will the frame be pushed? What has been read for that, or is being read, is not read again. */
static bool is_coming(const struct pager *p, uint64_t frame)
{
	uint64_t place = p->cfg.plan->place[frame];

	return p->reader && place >= p->pos && place < p->base + p->push.n;
}

static bool is_near(const struct pager *p, uint64_t frame)
{
	return is_coming(p, frame) && p->cfg.plan->place[frame] < p->base + p->push.taken;
}

/* Somebody waits for @frame. */
static int serve_frame(struct pager *p, uint64_t frame, struct err *err)
{
	const struct frames_entry *e = &p->f->table[frame];
	int ret = 0;

	while (ret == 0 && !p->in[frame] && is_near(p, frame))
		ret = push_one(p, err);
	if (ret < 0 || p->in[frame])
		return ret;
	ret = io_read(p->f->fd, p->stored, e->stored, e->offset, err);
	if (ret < 0)
		return ret;
	COUNT(p->stats.served, 1);
	COUNT(p->stats.read_bytes, e->stored);
	return place(p, frame, p->stored, err);
}

/* Pages that no frame holds, between @from and @to. */
static int serve_zeros(struct pager *p, gpa_t from, gpa_t to, struct err *err)
{
	if (from >= to)
		return 0;
	COUNT(p->stats.zero_pages, (to - from) / MEM_PAGE_SIZE);
	return uffd_zero(&p->uffd, mem_at(p->cfg.mem, from, to - from), to - from, err);
}

/*
 * What is missing in the 64 KiB around a page that no frame of the working set holds, and which
 * no frame crosses. Frames are read with the one that is waited for (@frames), zeros always placed;
 * what is coming anyway is left to come.
 */
static int serve_window(struct pager *p, gpa_t gpa, bool frames, struct err *err)
{
	gpa_t at = gpa - gpa % FRAMES_MAX_SIZE, end = at + FRAMES_MAX_SIZE;
	int ret = 0;

	for (uint64_t i = frames_find(p->f, at); ret == 0 && i < p->f->header.nframes; i++) {
		const struct frames_entry *e = &p->f->table[i];

		if (e->gpa >= end)
			break;
		ret = serve_zeros(p, at, e->gpa, err);
		if (ret == 0 && frames && !is_coming(p, i))
			ret = serve_frame(p, i, err);
		at = e->gpa + frames_size(e);
	}
	return ret < 0 ? ret : serve_zeros(p, at, end, err);
}

/* Somebody waits for the page at @gpa: its frame first, then what lies around it. */
static int serve_page(struct pager *p, gpa_t gpa, struct err *err)
{
	uint64_t i = frames_find(p->f, gpa);
	bool stored = i < p->f->header.nframes && p->f->table[i].gpa <= gpa;
	bool pushed = stored && is_coming(p, i);
	int ret = stored ? serve_frame(p, i, err) : 0;

	return ret < 0 || pushed ? ret : serve_window(p, gpa, stored, err);
}

/* Returns 1: somebody was served; 0: nobody waits; or -errno. */
static int serve_one(struct pager *p, struct err *err)
{
	struct uffd_fault f;
	int ret = uffd_read(&p->uffd, &f, err);

	if (ret <= 0)
		return ret;
	COUNT(p->stats.faults, 1);
	ret = serve_page(p, mem_gpa(p->cfg.mem, f.page), err);
	return ret < 0 ? ret : 1;
}

/* ---- the thread ---- */

static int wait_for_work(const struct pager *p, struct err *err)
{
	struct pollfd fds[] = { { .fd = p->uffd.fd, .events = POLLIN },
				{ .fd = p->ask_fd, .events = POLLIN } };

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
		return err_sys(err, "wait for a fault");
	return 0;
}

/* One step of what nobody waits for. Returns -errno, or 0. */
static int work_ahead(struct pager *p, enum pager_ask ask, struct err *err)
{
	if (p->reader)
		return push_one(p, err);
	if (ask == ASK_FINISH)
		return push_begin(p, p->cfg.plan->nframes, err);
	return wait_for_work(p, err);
}

static int serve_until_done(struct pager *p, struct err *err)
{
	int ret = push_begin(p, p->cfg.push, err);

	while (ret == 0 && p->missing > 0) {
		enum pager_ask ask = __atomic_load_n(&p->ask, __ATOMIC_ACQUIRE);

		if (ask == ASK_STOP)
			return 0;
		while ((ret = serve_one(p, err)) > 0)
			;
		if (ret == 0 && p->missing > 0)
			ret = work_ahead(p, ask, err);
	}
	return ret;
}

int pager_each_served(const struct pager *p,
		      int (*use)(const struct pager *p, uint8_t *host, size_t len,
				 struct err *err),
		      struct err *err)
{
	struct plan_run run = { 0 };
	int ret = 0;

	while (ret == 0 && plan_next_run(p->cfg.plan, p->cfg.mem, p->cfg.blocks, &run))
		ret = use(p, run.host, run.size, err);
	return ret;
}

static int serve_no_more(const struct pager *p, uint8_t *host, size_t len, struct err *err)
{
	return uffd_unregister(&p->uffd, host, len, err);
}

/*
 * Whoever waits must wait no longer, and the guest must not run on. Zeros wake them all: vCPUs, KVM's own
 * threads and ours, those of devices, who would die of memory that has no access. The kick comes
 * before that: KVM looks for signals when it has got its page, and then does not enter the guest.
 */
static void give_up(struct pager *p)
{
	vcpu_kick(p->cfg.vcpu);
	uffd_close(&p->uffd);
}

static void set_state(struct pager *p, enum pager_state state)
{
	__atomic_store_n(&p->state, state, __ATOMIC_RELEASE);
}

void *pager_thread(void *arg)
{
	struct pager *p = arg;
	int ret = serve_until_done(p, &p->err);

	if (ret == 0 && p->missing > 0) {
		set_state(p, PAGER_STOPPED);
		return NULL;
	}
	/* All that is stored is in: what is missing now is zero, and needs nobody. */
	if (ret == 0)
		ret = pager_each_served(p, serve_no_more, &p->err);
	if (ret == 0) {
		set_state(p, PAGER_DONE);
		return NULL;
	}
	p->ret = err_wrap(&p->err, ret, "guest memory stopped: %s/memory.lz4",
			  p->cfg.plan->image->name);
	/* Before anything else: from here on nothing that the machine does is believed. */
	set_state(p, PAGER_FAILED);
	give_up(p);
	return NULL;
}
