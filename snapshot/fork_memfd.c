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
#include "snapshot/disks.h"
#include "snapshot/format.h"
#include "snapshot/io.h"
#include "snapshot/machine.h"
#include "snapshot/overlay_file.h"
#include "snapshot/template.h"

/* What the memfd begins with. */
struct head {
	uint64_t state_size; /* bytes */
	uint64_t nruns;
	uint64_t npages;
	uint64_t disk_sizes[MANIFEST_MAX_DRIVES]; /* bytes; 0: nothing was written */
};

#define STATE_ROOM 65536u /* ours: for the headers of its sections, and devices */

/* Bytes before the pages. */
static uint64_t head_size(const struct head *h)
{
	return sizeof(*h) + h->state_size + h->nruns * sizeof(struct fork_run);
}

/* Where the blocks of the @n-th drive are. */
static uint64_t disk_offset(const struct head *h, uint32_t n)
{
	uint64_t off = head_size(h) + h->npages * MEM_PAGE_SIZE;

	for (uint32_t i = 0; i < n; i++)
		off += h->disk_sizes[i];
	return off;
}

/* The largest there can be: every page has changed, and is a run of its own; every drive that can
 * be written is. */
static struct head head_max(const struct template *t)
{
	uint64_t n = mem_size(&t->shape.mem) / MEM_PAGE_SIZE;
	struct head max = { .state_size =
				    t->shape.nvcpus * sizeof(struct vcpu_state) + STATE_ROOM,
			    .nruns = n,
			    .npages = n };

	for (uint32_t i = 0; i < t->disks.n; i++) {
		const struct drive *d = &t->disks.disk[i].drive;

		max.disk_sizes[i] = d->mode == DRIVE_OVERLAY ? overlay_file_max(d->size) : 0;
	}
	return max;
}

int fork_memfd(const struct template *t, struct err *err)
{
	auto_close int fd = memfd_create("thaw-fork", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const struct head max = head_max(t);

	if (fd < 0)
		return err_sys(err, "memfd_create for a snapshot");
	if (ftruncate(fd, (off_t)disk_offset(&max, MANIFEST_MAX_DRIVES)) < 0)
		return err_sys(err, "size memory for a snapshot");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return err_sys(err, "seal memory for a snapshot");
	return fd_take(&fd);
}

/* ---- the sender ---- */

static int put_runs(const struct fork *f, const struct head *h, int fd, struct err *err)
{
	return io_write(fd, f->runs, h->nruns * sizeof(*f->runs), sizeof(*h) + h->state_size,
			err);
}

static int put_pages(const struct fork *f, const struct mem *mem, uint64_t off, int fd,
		     struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < f->nruns && ret == 0; i++) {
		size_t size = f->runs[i].npages * MEM_PAGE_SIZE;

		ret = io_write(fd, mem_at(mem, f->runs[i].gpa, size), size, off, err);
		off += size;
	}
	return ret;
}

static int put_disks(const struct vm *vm, struct head *h, int fd, struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES && ret == 0; i++) {
		const struct overlay *o = disk_written(vm, i);

		if (o)
			ret = overlay_file_write(fd, disk_offset(h, i), o, &h->disk_sizes[i],
						 err);
	}
	return ret;
}

/* All of @m, whose devices rest. */
static int put(struct fork *f, struct machine *m, const struct pages *pages, int fd,
	       struct err *err)
{
	struct state_writer state = { 0 };
	int ret = fork_look(f, m, pages, err);
	struct head h;

	if (ret == 0)
		ret = machine_state_encode(&f->state, &state, err);
	h = (struct head){ .state_size = state.len,
			   .nruns = f->nruns,
			   .npages = f->stats.pages_copied };
	if (ret == 0)
		ret = io_write(fd, state.buf, state.len, sizeof(h), err);
	if (ret == 0)
		ret = put_runs(f, &h, fd, err);
	if (ret == 0)
		ret = put_pages(f, &m->vm.mem, head_size(&h), fd, err);
	if (ret == 0)
		ret = put_disks(&m->vm, &h, fd, err);
	if (ret == 0)
		ret = io_write(fd, &h, sizeof(h), 0, err);
	state_writer_fini(&state);
	return ret;
}

int fork_send(struct machine *m, const struct pages *pages, int fd, struct err *err)
{
	struct fork f;
	int ret;

	worker_lock(&m->vm.worker);
	ret = put(&f, m, pages, fd, err);
	worker_unlock(&m->vm.worker);
	fork_close(&f);
	return ret < 0 ? err_wrap(err, ret, "hand over a snapshot") : 0;
}

/* ---- the receiver: hostile input ---- */

static int read_head(struct head *h, const struct template *t, int fd, struct err *err)
{
	const struct head max = head_max(t);
	int ret = io_read(fd, h, sizeof(*h), 0, err);

	if (ret < 0)
		return ret;
	if (h->state_size > max.state_size || h->nruns > h->npages || h->npages > max.npages)
		return err_set(err, ERR_DAMAGED,
			       "%" PRIu64 " bytes of state, %" PRIu64 " pages in %" PRIu64
			       " runs; largest allowed are %" PRIu64 " and %" PRIu64,
			       h->state_size, h->npages, h->nruns, max.state_size, max.npages);
	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES; i++) {
		if (h->disk_sizes[i] > max.disk_sizes[i])
			return err_set(err, ERR_DAMAGED,
				       "%" PRIu64
				       " bytes of drive %u, largest allowed is %" PRIu64,
				       h->disk_sizes[i], i, max.disk_sizes[i]);
	}
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

/* @size bytes of @from, at @off, as the file @to. */
static int copy(int to, int from, uint64_t off, uint64_t size, struct err *err)
{
	void *at;
	int ret;

	if (ftruncate(to, (off_t)size) < 0)
		return err_sys(err, "size the blocks of a drive");
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	if (at == MAP_FAILED)
		return err_sys(err, "map the blocks of a drive");
	ret = io_read(from, at, size, off, err);
	munmap(at, size);
	return ret;
}

/* Are these the blocks of such a drive? */
static int check_disk(int file, uint64_t drive_size, struct err *err)
{
	auto_close int memfd = -1;
	struct blocks blocks;
	int ret = overlay_file_load(file, drive_size, NULL, &blocks, &memfd, err);

	blocks_close(&blocks);
	return ret;
}

static int take_disk(const struct disk *disk, int file, int fd, const uint64_t place[2],
		     struct err *err)
{
	int ret = copy(file, fd, place[0], place[1], err);

	return ret < 0 ? ret : check_disk(file, disk->drive.size, err);
}

static int take_disks(struct fork *f, const struct head *h, int fd, struct err *err)
{
	const struct disks *disks = &f->template->disks;
	int ret = 0;

	disk_files_init(f->disk_files);
	f->has_disks = true;
	for (uint32_t i = 0; i < disks->n && ret >= 0; i++) {
		const uint64_t place[2] = { disk_offset(h, i), h->disk_sizes[i] };

		if (place[1] == 0)
			continue;
		ret = f->disk_files[i] = disk_file(err);
		if (ret >= 0)
			ret = take_disk(&disks->disk[i], ret, fd, place, err);
	}
	return MIN(ret, 0);
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
	ret = read_head(&h, t, fd, err);
	if (ret == 0)
		ret = take_state(f, &h, fd, err);
	if (ret == 0)
		ret = take_runs(f, &h, fd, err);
	if (ret == 0)
		ret = take_pages(f, &h, fd, err);
	if (ret == 0)
		ret = take_disks(f, &h, fd, err);
	if (ret == -ERR_DAMAGED || ret == -ERR_UNFIT)
		return err_wrap(err, -EPROTO, "what was handed over as a snapshot is none");
	return ret < 0 ? ret : empty(fd, err);
}
