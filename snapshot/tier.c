/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/tier.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/err.h"
#include "snapshot/machine.h"
#include "snapshot/template.h"

static int attach_map(struct machine *m, const struct template *t, struct err *err)
{
	off_t at = 0;

	for (uint32_t i = 0; i < m->vm.mem.nregions; i++) {
		const struct mem_region *r = &m->vm.mem.regions[i];

		/* MAP_FIXED over the slot's address: the slot itself never changes. */
		if (mmap(r->host, r->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, t->memory_fd,
			 at) == MAP_FAILED)
			return err_sys(err, "map guest memory of the template");
		at += (off_t)r->size;
	}
	return 0;
}

static int attach_eager(struct machine *m, const struct template *t, struct err *err)
{
	mem_advise_huge(&m->vm.mem);
	return image_decode_memory(t->image, &m->vm.mem, err);
}

const struct tier tier_map = {
	.name = "map",
	.meaning = "private mapping of the template, pages come when touched",
	.needs_fill = true,
	.attach = attach_map,
};

const struct tier tier_warm = {
	.name = "warm",
	.meaning = "one machine for all starts, rewound after each",
	.needs_fill = true,
	.rewinds = true,
	.attach = attach_map,
};

const struct tier tier_eager = {
	.name = "eager",
	.meaning = "everything decoded before the first instruction",
	.attach = attach_eager,
};

const struct tier *const tiers[] = { &tier_map, &tier_warm, &tier_eager, NULL };

const struct tier *tier_find(const char *name)
{
	for (const struct tier *const *t = tiers; *t; t++) {
		if (strcmp((*t)->name, name) == 0)
			return *t;
	}
	return NULL;
}

const struct tier *tier_choose(const struct template *t, unsigned int starts, const char **why)
{
	if (t->memory_fd >= 0 || t->image->raw_fd >= 0) {
		*why = "guest memory is there to be mapped";
		return &tier_map;
	}
	if (starts > 1) {
		*why = "the template is decoded once for all starts";
		return &tier_map;
	}
	*why = "one start: decoding into place saves the template";
	return &tier_eager;
}
