/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/fork.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "engine/err.h"
#include "engine/pages.h"
#include "snapshot/compat.h"
#include "snapshot/disks.h"
#include "snapshot/frames.h"
#include "snapshot/image_writer.h"
#include "snapshot/machine.h"
#include "snapshot/template.h"
#include "snapshot/version.h"

#define HUGE_FROM 128u /* copies; measured: docs/design-notes.md, live forks */

/* ---- while the machine stands still ---- */

int fork_check(const struct template *t, struct err *err)
{
	if (t->memory_fd < 0)
		return err_set(err, EINVAL,
			       "a machine of this tier cannot be forked: its template's memory "
			       "is not mapped");
	if (image_layers(t->image) >= IMAGE_MAX_LAYERS)
		return err_set(err, E2BIG,
			       "%s has %u layers, largest allowed is %u: flatten it first",
			       t->image->name, image_layers(t->image), IMAGE_MAX_LAYERS);
	return 0;
}

struct note {
	struct fork *fork;
	gpa_t gpa; /* of the region that is looked through */
};

static int note_run(void *arg, uint64_t first, uint64_t n, struct err *err)
{
	const struct note *note = arg;
	struct fork *f = note->fork;

	if (f->nruns == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 256;
		struct fork_run *runs = realloc(f->runs, cap * sizeof(*runs));

		if (!runs)
			return err_set(err, ENOMEM, "no memory for a list of %zu runs", cap);
		f->runs = runs;
		f->cap = cap;
	}
	f->runs[f->nruns++] = (struct fork_run){ note->gpa + first * MEM_PAGE_SIZE, n };
	f->stats.pages_copied += n;
	return 0;
}

static int find_changed(struct fork *f, const struct mem *mem, const struct pages *pages,
			struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < mem->nregions && ret == 0; i++) {
		const struct mem_region *r = &mem->regions[i];
		struct note note = { f, r->gpa };
		const struct pages_search search = {
			.base = r->host, .size = r->size, .run = note_run, .arg = &note
		};

		ret = pages_each(pages, &search, err);
	}
	return ret;
}

/* All of its page faults at once: one by one they would take longer than copying. A huge page
 * takes as long as some hundred small ones, and holds 512. */
int fork_map_copies(struct fork *f, struct err *err)
{
	struct mem_region *r = &f->copies.regions[0];
	size_t size = f->stats.pages_copied * MEM_PAGE_SIZE;
	int ret;

	f->copies.nregions = 1;
	r->size = MAX(ALIGN_UP(size, MEM_HUGE_SIZE), MEM_HUGE_SIZE);
	ret = mem_map(&f->copies, err);
	if (ret < 0)
		return ret;
	if (f->stats.pages_copied >= HUGE_FROM)
		mem_advise_huge(&f->copies);
	/* Where that is not possible, the faults come one by one. */
	madvise(r->host, size, MADV_POPULATE_WRITE);
	return 0;
}

static int copy_changed(struct fork *f, const struct mem *mem, struct err *err)
{
	int ret = fork_map_copies(f, err);
	uint8_t *to;

	to = f->copies.regions[0].host;
	for (size_t i = 0; i < f->nruns && ret == 0; i++) {
		size_t size = f->runs[i].npages * MEM_PAGE_SIZE;

		memcpy(to, mem_at(mem, f->runs[i].gpa, size), size);
		to += size;
	}
	return ret;
}

int fork_look(struct fork *f, struct machine *m, const struct pages *pages, struct err *err)
{
	int ret;

	*f = (struct fork){ .kvm = m->vm.kvm };
	if (!m->mailbox->waiting)
		return err_set(err, EBUSY, "the machine does not wait for an event");
	ret = machine_state_init_for(&f->state, m, err);
	/* Before the memory: a pending exit is completed. */
	if (ret == 0)
		ret = machine_state_save(&f->state, m, err);
	return ret < 0 ? ret : find_changed(f, &m->vm.mem, pages, err);
}

static int take_disks(struct fork *f, struct machine *m, struct err *err)
{
	int ret = disk_files_take(f->disk_files, &m->vm, err);

	f->has_disks = ret == 0;
	return ret;
}

/* All of @m, whose devices rest. */
static int take(struct fork *f, struct machine *m, const struct pages *pages, struct err *err)
{
	int ret = fork_look(f, m, pages, err);

	if (ret == 0)
		ret = copy_changed(f, &m->vm.mem, err);
	return ret < 0 ? ret : take_disks(f, m, err);
}

int fork_begin(struct fork *f, struct machine *m, const struct template *t, struct err *err)
{
	nsec_t start = clock_monotonic();
	struct pages pages;
	int ret;

	*f = (struct fork){ 0 };
	ret = fork_check(t, err);
	if (ret == 0)
		ret = pages_open(&pages, err);
	if (ret < 0)
		return ret;
	worker_lock(&m->vm.worker);
	ret = take(f, m, &pages, err);
	worker_unlock(&m->vm.worker);
	f->template = t;
	pages_close(&pages);
	f->stats.pause_ns = clock_monotonic() - start;
	return ret;
}

void fork_close(struct fork *f)
{
	mem_unmap(&f->copies);
	free(f->runs);
	free(f->different);
	machine_state_fini(&f->state);
	if (f->has_disks)
		disk_files_close(f->disk_files);
	*f = (struct fork){ 0 };
}

/* ---- while it may run ---- */

/* The copies that differ from @origin, the template's memory region after region. */
static size_t list_different(const struct fork *f, const uint8_t *origin,
			     struct frames_page *list)
{
	const uint8_t *data = f->copies.regions[0].host;
	size_t n = 0;

	for (size_t i = 0; i < f->nruns; i++) {
		const struct fork_run *r = &f->runs[i];
		const uint8_t *from = origin + mem_offset(&f->template->shape.mem, r->gpa);

		for (uint64_t page = 0; page < r->npages; page++) {
			uint64_t off = page * MEM_PAGE_SIZE;

			if (memcmp(data, from + off, MEM_PAGE_SIZE) != 0)
				list[n++] = (struct frames_page){ r->gpa + off, data };
			data += MEM_PAGE_SIZE;
		}
	}
	return n;
}

static int find_different(struct fork *f, struct err *err)
{
	size_t ram = mem_size(&f->template->shape.mem);
	uint8_t *origin;

	if (!f->different)
		f->different = calloc(MAX(f->stats.pages_copied, 1), sizeof(*f->different));
	if (!f->different)
		return err_set(err, ENOMEM, "no memory for a list of %llu pages",
			       (unsigned long long)f->stats.pages_copied);
	origin = mmap(NULL, ram, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, f->template->memory_fd,
		      0);
	if (origin == MAP_FAILED)
		return err_sys(err, "map a template to compare with");
	f->stats.pages_stored = list_different(f, origin, f->different);
	munmap(origin, ram);
	return 0;
}

/* It is the same function that runs in it. */
static int describe_guest(struct manifest *man, const struct manifest *parent, struct err *err)
{
	const char *args[MANIFEST_MAX_ARGS];
	const char *arg = parent->args;

	for (uint32_t i = 0; i < parent->nargs; i++, arg += strlen(arg) + 1)
		args[i] = arg;
	memcpy(man->guest_kind, parent->guest_kind, sizeof(man->guest_kind));
	memcpy(man->guest_program, parent->guest_program, sizeof(man->guest_program));
	snprintf(man->thaw_version, sizeof(man->thaw_version), "%s", THAW_VERSION);
	return manifest_set_args(man, parent->nargs, args, err);
}

/* On the same files, with the limits that the machine has: its start may have said others. */
static int describe_drives(struct manifest *man, const struct template *t, struct err *err)
{
	const struct manifest *parent = &t->image->manifest;
	int ret = manifest_set_drives(man, parent->ndrives, parent->drives, err);

	for (uint32_t i = 0; i < t->disks.n && ret == 0; i++) {
		man->drives[i].bytes = t->disks.disk[i].bytes;
		man->drives[i].ops = t->disks.disk[i].ops;
	}
	return ret;
}

static int describe(struct manifest *man, const struct fork *f, struct err *err)
{
	const struct manifest *parent = &f->template->image->manifest;
	struct shape shape;
	int ret = manifest_stamp(man, err);

	machine_state_shape(&f->state, &f->template->shape.mem, &shape);
	memcpy(man->parent, parent->id, sizeof(man->parent));
	if (ret == 0)
		ret = manifest_content_digest(parent, &man->parent_sha256, err);
	if (ret == 0)
		ret = compat_describe(man, f->kvm, &shape, err);
	if (ret == 0)
		ret = describe_drives(man, f->template, err);
	return ret < 0 ? ret : describe_guest(man, parent, err);
}

int fork_fits(const struct fork *f, struct err *err)
{
	struct manifest *man = calloc(1, sizeof(*man));
	int ret =
		man ? describe(man, f, err) : err_set(err, ENOMEM, "no memory for a manifest");

	if (ret == 0)
		ret = compat_check(man, f->kvm, err);
	if (man)
		manifest_fini(man);
	free(man);
	return ret;
}

static int write_layer(struct fork *f, const char *dir, struct image_content *c,
		       struct err *err)
{
	const struct manifest_file *files = c->manifest->files;
	int ret = machine_state_encode(&f->state, c->state, err);

	if (ret == 0)
		ret = describe(c->manifest, f, err);
	if (ret == 0)
		ret = image_write(dir, c, err);
	f->stats.size = files[MANIFEST_STATE].size + files[MANIFEST_MEMORY].size;
	return ret;
}

/* An image is replaced by a new one of its name: not by one that cannot be without it. */
static int check_target(const struct fork *f, const char *dir, struct err *err)
{
	const struct image *i = f->template->image;
	struct stat is, other;

	if (stat(dir, &is) < 0)
		return 0;
	do {
		if (fstat(i->dirfd, &other) == 0 && is.st_dev == other.st_dev &&
		    is.st_ino == other.st_ino)
			return err_set(err, EEXIST,
				       "%s is the image that the layer is to lie on", dir);
		i = i->parent;
	} while (i);
	return 0;
}

int fork_write(struct fork *f, const char *dir, bool sync, struct err *err)
{
	struct manifest *man = calloc(1, sizeof(*man));
	struct state_writer writer = { 0 };
	struct image_content content = {
		.manifest = man, .state = &writer, .mem = &f->template->shape.mem, .sync = sync
	};
	int ret;

	if (!man)
		return err_set(err, ENOMEM, "no memory for a manifest");
	ret = check_target(f, dir, err);
	if (ret == 0)
		ret = find_different(f, err);
	content.pages = f->different;
	content.npages = f->stats.pages_stored;
	content.disk_fds = f->has_disks ? f->disk_files : NULL;
	if (ret == 0)
		ret = write_layer(f, dir, &content, err);
	state_writer_fini(&writer);
	manifest_fini(man);
	free(man);
	return ret;
}
