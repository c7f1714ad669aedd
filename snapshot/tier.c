/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/tier.h"

#include <errno.h>
#include <string.h>

#include "engine/err.h"
#include "engine/uffd.h"
#include "snapshot/machine.h"
#include "snapshot/pager.h"
#include "snapshot/reader.h"
#include "snapshot/template.h"

/* Ours: fewer pages are decoded before they could be waited for. */
#define LAZY_MIN_PAGES 1024u

static int attach_map(struct machine *m, const struct template *t, struct err *err)
{
	if (m->vm.ram_fd >= 0 && m->vm.ram_fd == t->memory_fd)
		return 0; /* by machine_create_mapped */
	/* The addresses stay, and with them KVM's slots. */
	return mem_map_file(&m->vm.mem, t->memory_fd, err);
}

/* Own copies of what starts write to, made now and not when the first of them does. Pages that
 * they only read stay as they are: KVM asks for write access first, so one that is present and
 * read-only costs more than an absent one. */
static int attach_warm(struct machine *m, const struct template *t, struct err *err)
{
	const struct wset *w = &t->image->wset;
	int ret = attach_map(m, t, err);

	for (uint32_t i = 0; i < w->nruns && ret == 0; i++) {
		const struct wset_run *r = &w->runs[i];

		if (r->flags & WSET_DIRTIED)
			ret = mem_prefault(mem_at(&m->vm.mem, r->gpa, wset_run_size(r)),
					   wset_run_size(r), err);
	}
	return ret;
}

static int attach_eager(struct machine *m, const struct template *t, struct err *err)
{
	mem_advise_huge(&m->vm.mem);
	return image_decode_memory(t->image, &m->vm.mem, err);
}

/* ---- ready ---- */

static bool is_refused(int ret)
{
	return ret == -EPERM || ret == -ENOSYS;
}

/* Pages behind all that is decoded at the start: huge ones in dense blocks, else only those that
 * a hot frame has. */
static int prefault(const struct mem *mem, const struct plan *p, struct err *err)
{
	struct plan_run dense = { 0 }, sparse = { 0 };
	int ret = 0;

	while (ret == 0 && plan_next_run(p, mem, PLAN_DENSE, &dense))
		ret = mem_prefault_huge(dense.host, dense.size, err);
	while (plan_next_run(p, mem, PLAN_SPARSE, &sparse))
		mem_refuse_huge(sparse.host, sparse.size);
	for (uint64_t i = 0; ret == 0 && i < p->nhot; i++) {
		const struct frames_entry *e = &p->image->frames.table[p->list[i]];

		if (plan_block_of(p, p->list[i]) == PLAN_SPARSE)
			ret = mem_prefault(mem_at(mem, e->gpa, frames_size(e)), frames_size(e),
					   err);
	}
	return ret;
}

static int prepare_ready(struct machine *m, const struct template *t, struct err *err)
{
	const struct plan *p = &t->plan;
	struct pager_config cfg = {
		.plan = p,
		.mem = &m->vm.mem,
		.vcpu = &m->vm.vcpus[0],
		.blocks = PLAN_COLD | PLAN_SPARSE,
		.from = p->nready,
	};
	int ret = prefault(&m->vm.mem, p, err);

	if (ret < 0 || p->nready == p->nframes)
		return ret;
	ret = pager_start(&m->pager, &cfg, err);
	return is_refused(ret) ? 0 : ret; /* everything is decoded, then */
}

static int attach_ready(struct machine *m, const struct template *t, struct err *err)
{
	const struct plan *p = &t->plan;
	uint64_t n = m->pager ? p->nready : p->nframes;

	return image_decode_list(t->image, p->list, n, &m->vm.mem, err);
}

static bool has_uffd(void)
{
	struct uffd u;
	bool has = uffd_open(&u, UFFD_MISSING, NULL) == 0;

	uffd_close(&u);
	return has;
}

static const char *ready_lacks(void)
{
	if (!mem_has_huge())
		return "no huge pages here (transparent_hugepage/enabled)";
	return has_uffd() ? NULL : "all is decoded: userfaultfd is refused here";
}

/* ---- lazy ---- */

static int attach_lazy(struct machine *m, const struct template *t, struct err *err)
{
	struct pager_config cfg = {
		.plan = &t->plan,
		.mem = &m->vm.mem,
		.vcpu = &m->vm.vcpus[0],
		.blocks = PLAN_COLD | PLAN_SPARSE | PLAN_DENSE,
		.push = t->plan.nhot,
	};

	return pager_start(&m->pager, &cfg, err);
}

/* ---- raw ---- */

static int recheck_raw(const struct template *t, struct err *err)
{
	return identity_check_fd(&t->image->identity, MANIFEST_RAW, t->image->raw_fd, err);
}

/* First whether it is what was opened: its digest is known for that file. */
static int check_raw(const struct template *t, struct err *err)
{
	int ret = recheck_raw(t, err);

	return ret < 0 ? ret : image_check_raw(t->image, NULL, err);
}

/* Looked at after it is mapped: what was written before that is noticed here. */
static int attach_raw(struct machine *m, const struct template *t, struct err *err)
{
	int ret = mem_map_file(&m->vm.mem, t->image->raw_fd, err);

	return ret < 0 ? ret : recheck_raw(t, err);
}

/* ---- the table ---- */

const struct tier tier_map = {
	.name = "map",
	.meaning = "private mapping of the template, pages come when touched",
	.needs_fill = true,
	.maps = true,
	.attach = attach_map,
};

const struct tier tier_warm = {
	.name = "warm",
	.meaning = "one machine for all starts, rewound after each",
	.needs_fill = true,
	.maps = true,
	.rewinds = true,
	.attach = attach_warm,
};

/* No template, so nothing to rewind to or to compare a fork with: those would read a file that
 * may have become shorter. */
const struct tier tier_raw = {
	.name = "raw",
	.meaning = "private mapping of memory.raw, pages come from the page cache when touched",
	.whole_only = true,
	.needs_raw = true,
	.check = check_raw,
	.recheck = recheck_raw,
	.attach = attach_raw,
};

const struct tier tier_ready = {
	.name = "ready",
	.meaning = "working set decoded into huge pages of the shell, the rest when touched",
	.whole_only = true,
	.prepare = prepare_ready,
	.attach = attach_ready,
	.lacks = ready_lacks,
};

const struct tier tier_lazy = {
	.name = "lazy",
	.meaning =
		"starts at once; frames come in the order of the working set, and when touched",
	.whole_only = true,
	.attach = attach_lazy,
};

const struct tier tier_eager = {
	.name = "eager",
	.meaning = "everything decoded before the first instruction",
	.attach = attach_eager,
};

const struct tier *const tiers[] = { &tier_map,	 &tier_warm,  &tier_raw, &tier_ready,
				     &tier_lazy, &tier_eager, NULL };

const struct tier *tier_find(const char *name)
{
	for (const struct tier *const *t = tiers; *t; t++) {
		if (strcmp((*t)->name, name) == 0)
			return *t;
	}
	return NULL;
}

int tier_check(const struct tier *tier, const struct template *t, struct err *err)
{
	if (tier->whole_only && t->image->parent)
		return err_set(err, EINVAL,
			       "%s is a layer, and tier %s is of whole images: expected map, "
			       "warm or eager",
			       t->image->name, tier->name);
	if (tier->needs_raw && t->image->raw_fd < 0)
		return err_set(
			err, EINVAL,
			"%s has no memory.raw, which tier %s maps: expected an image made "
			"with --raw",
			t->image->name, tier->name);
	return 0;
}

int tier_open(const struct tier *tier, const struct template *t, struct err *err)
{
	int ret = tier_check(tier, t, err);

	return ret == 0 && tier->check ? tier->check(t, err) : ret;
}

int tier_recheck(const struct tier *tier, const struct template *t, struct err *err)
{
	return tier->recheck ? tier->recheck(t, err) : 0;
}

/* An image that is decoded once, for one start. */
static const struct tier *choose_one_shot(const struct plan *p, const char **why)
{
	bool cold = reader_is_cold(&p->image->frames, p->list, p->nhot);
	bool has_rest = p->nready < p->nframes; /* outside of the working set */

	if (p->hot_pages >= LAZY_MIN_PAGES && (cold || !has_rest) && has_uffd()) {
		*why = cold ? "one start from a cold disk: it runs while its memory is read"
			    : "one start: it runs while its memory is decoded";
		return &tier_lazy;
	}
	if (has_rest && has_uffd()) {
		*why = cold ? "one start from a cold disk: only its working set is read"
			    : "one start: only its working set is decoded";
		return &tier_ready;
	}
	*why = "one start: decoding into place saves the template";
	return &tier_eager;
}

const struct tier *tier_choose(const struct template *t, unsigned int starts, const char **why)
{
	if (t->memory_fd >= 0) {
		*why = "guest memory is there to be mapped";
		return &tier_map;
	}
	if (starts > 1) {
		*why = "the template is decoded once for all starts";
		return &tier_map;
	}
	if (t->image->parent) {
		*why = "one start of a layer: decoding into place saves the template";
		return &tier_eager;
	}
	return choose_one_shot(&t->plan, why);
}
