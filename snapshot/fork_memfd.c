/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/fork_memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/format.h"
#include "snapshot/io.h"
#include "snapshot/machine.h"
#include "snapshot/template.h"

/* What the memfd begins with. */
struct head {
	uint64_t state_size; /* bytes */
	uint64_t nruns;
	uint64_t npages;
};

#define STATE_ROOM 65536u /* ours: for the headers of its sections, and devices */

/* Bytes before the pages. */
static uint64_t head_size(const struct head *h)
{
	return sizeof(*h) + h->state_size + h->nruns * sizeof(struct fork_run);
}

/* The largest there can be: every page has changed, and is a run of its own. */
static struct head head_max(const struct shape *shape)
{
	uint64_t n = mem_size(&shape->mem) / MEM_PAGE_SIZE;

	return (struct head){ .state_size =
				      shape->nvcpus * sizeof(struct vcpu_state) + STATE_ROOM,
			      .nruns = n,
			      .npages = n };
}

int fork_memfd(const struct shape *shape, struct err *err)
{
	auto_close int fd = memfd_create("thaw-fork", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const struct head max = head_max(shape);

	if (fd < 0)
		return err_sys(err, "memfd_create for a snapshot");
	if (ftruncate(fd, (off_t)(head_size(&max) + max.npages * MEM_PAGE_SIZE)) < 0)
		return err_sys(err, "size memory for a snapshot");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return err_sys(err, "seal memory for a snapshot");
	return fd_take(&fd);
}

/* ---- the sender ---- */

/* By write(2), where @fd is at: a shell may make no other call that writes to a file. */
static int put(int fd, const void *data, size_t len, struct err *err)
{
	const uint8_t *from = data;

	while (len > 0) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "hand over a snapshot");
		if (n == 0)
			return err_set(err, EIO, "hand over a snapshot: no more is taken");
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_head(const struct fork *f, const struct state_writer *state, int fd,
		    struct err *err)
{
	const struct head h = { .state_size = state->len,
				.nruns = f->nruns,
				.npages = f->stats.pages_copied };
	int ret = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		ret = err_sys(err, "lseek to where a snapshot begins");
	if (ret == 0)
		ret = put(fd, &h, sizeof(h), err);
	if (ret == 0)
		ret = put(fd, state->buf, state->len, err);
	return ret < 0 ? ret : put(fd, f->runs, f->nruns * sizeof(*f->runs), err);
}

static int put_pages(const struct fork *f, const struct mem *mem, int fd, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < f->nruns && ret == 0; i++) {
		size_t size = f->runs[i].npages * MEM_PAGE_SIZE;

		ret = put(fd, mem_at(mem, f->runs[i].gpa, size), size, err);
	}
	return ret;
}

int fork_send(struct machine *m, const struct pages *pages, int fd, struct err *err)
{
	struct state_writer state = { 0 };
	struct fork f;
	int ret;

	worker_lock(&m->vm.worker);
	ret = fork_look(&f, m, pages, err);
	if (ret == 0)
		ret = machine_state_encode(&f.state, &state, err);
	if (ret == 0)
		ret = put_head(&f, &state, fd, err);
	if (ret == 0)
		ret = put_pages(&f, &m->vm.mem, fd, err);
	worker_unlock(&m->vm.worker);
	state_writer_fini(&state);
	fork_close(&f);
	return ret;
}

/* ---- the receiver: hostile input ---- */

static int read_head(struct head *h, const struct shape *shape, int fd, struct err *err)
{
	const struct head max = head_max(shape);
	int ret = io_read(fd, h, sizeof(*h), 0, err);

	if (ret < 0)
		return ret;
	if (h->state_size > max.state_size || h->nruns > h->npages || h->npages > max.npages)
		return err_set(err, ERR_DAMAGED,
			       "%" PRIu64 " bytes of state, %" PRIu64 " pages in %" PRIu64
			       " runs; largest allowed are %" PRIu64 " and %" PRIu64,
			       h->state_size, h->npages, h->nruns, max.state_size, max.npages);
	return 0;
}

/* Beyond what tables allow: what a template expects of every state, and a host of every layer. */
static int check_state(const struct fork *f, struct err *err)
{
	const struct vcpu_state *v = &f->state.vcpus[0];
	uint32_t xsave_size = f->template->shape.xsave_size;

	if (v->xcrs.nr_xcrs != 1)
		return err_set(err, ERR_DAMAGED, "state has %u XCRs, expected 1",
			       v->xcrs.nr_xcrs);
	if (v->nxsave * 8 != xsave_size)
		return err_set(err, ERR_DAMAGED, "state has %u bytes of XSAVE, expected %u",
			       v->nxsave * 8, xsave_size);
	return fork_fits(f, err);
}

static int take_state(struct fork *f, const struct head *h, int fd, struct err *err)
{
	auto_free void *buf = malloc(MAX(h->state_size, 1u));
	struct state_file file;
	int ret;

	if (!buf)
		return err_set(err, ENOMEM, "no memory for a state of %" PRIu64 " bytes",
			       h->state_size);
	ret = io_read(fd, buf, h->state_size, sizeof(*h), err);
	if (ret == 0)
		ret = state_file_parse(&file, buf, h->state_size, err);
	if (ret == 0)
		ret = machine_state_init(&f->state, f->template->shape.nvcpus,
					 &f->template->shape.devices, err);
	if (ret == 0)
		ret = machine_state_decode(&f->state, &file, err);
	return ret < 0 ? ret : check_state(f, err);
}

/* In rising order, in memory, and of as many pages as there are. */
static int check_runs(const struct fork *f, uint64_t npages, struct err *err)
{
	const struct mem *mem = &f->template->shape.mem;
	gpa_t end = 0;

	for (size_t i = 0; i < f->nruns; i++) {
		const struct fork_run *r = &f->runs[i];

		if (r->npages == 0 || r->npages > npages || r->gpa % MEM_PAGE_SIZE != 0 ||
		    r->gpa < end || !mem_holds(mem, r->gpa, r->npages * MEM_PAGE_SIZE))
			return err_set(err, ERR_DAMAGED,
				       "run %zu: %" PRIu64 " pages at 0x%" PRIx64
				       " are not in memory, or not after the one before",
				       i, r->npages, r->gpa);
		npages -= r->npages;
		end = r->gpa + r->npages * MEM_PAGE_SIZE;
	}
	return npages == 0
		       ? 0
		       : err_set(err, ERR_DAMAGED, "%" PRIu64 " pages are of no run", npages);
}

static int take_runs(struct fork *f, const struct head *h, int fd, struct err *err)
{
	int ret;

	f->runs = calloc(MAX(h->nruns, 1u), sizeof(*f->runs));
	if (!f->runs)
		return err_set(err, ENOMEM, "no memory for a list of %" PRIu64 " runs",
			       h->nruns);
	f->nruns = f->cap = h->nruns;
	ret = io_read(fd, f->runs, h->nruns * sizeof(*f->runs), sizeof(*h) + h->state_size,
		      err);
	return ret < 0 ? ret : check_runs(f, h->npages, err);
}

static int take_pages(struct fork *f, const struct head *h, int fd, struct err *err)
{
	int ret;

	f->stats.pages_copied = h->npages;
	ret = fork_map_copies(f, err);
	return ret < 0 ? ret
		       : io_read(fd, f->copies.regions[0].host, h->npages * MEM_PAGE_SIZE,
				 head_size(h), err);
}

/* It may hold more than was said, and is of no use any more. */
static int empty(int fd, struct err *err)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0 || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size) < 0)
		return err_sys(err, "empty the memory of a snapshot");
	return 0;
}

int fork_receive(struct fork *f, const struct kvm *kvm, const struct template *t, int fd,
		 struct err *err)
{
	struct head h = { 0 };
	int ret;

	*f = (struct fork){ .kvm = kvm, .template = t };
	ret = read_head(&h, &t->shape, fd, err);
	if (ret == 0)
		ret = take_state(f, &h, fd, err);
	if (ret == 0)
		ret = take_runs(f, &h, fd, err);
	if (ret == 0)
		ret = take_pages(f, &h, fd, err);
	if (ret == -ERR_DAMAGED || ret == -ERR_UNFIT)
		return err_wrap(err, -EPROTO, "what was handed over as a snapshot is none");
	return ret < 0 ? ret : empty(fd, err);
}
