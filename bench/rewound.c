/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/rewound.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/measure/origin.h"
#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/machine.h"
#include "snapshot/restore.h"
#include "snapshot/rewind.h"
#include "snapshot/tier.h"
#include "tools/thaw/cmd.h"

/* Everything that is to be taken down; large. */
struct rig {
	struct origin origin;
	bool have_machine;
	int mailbox_fd;
	struct machine machine;
	struct rewind rewind;
	uint8_t *memory; /* the template's */
	uint64_t size;	 /* bytes of it */
};

static int rig_open(struct rig *s, const struct kvm *kvm, const char *dir, struct err *err)
{
	const struct template *t = &s->origin.template;
	int ret = origin_open(&s->origin, dir, kvm, err);

	if (ret < 0)
		return ret;
	s->size = mem_size(&t->shape.mem);
	s->memory = mmap(NULL, s->size, PROT_READ, MAP_SHARED, t->memory_fd, 0);
	if (s->memory == MAP_FAILED)
		return err_sys(err, "map the template");
	s->mailbox_fd = mailbox_memfd(err);
	if (s->mailbox_fd < 0)
		return s->mailbox_fd;
	ret = machine_create(&s->machine, kvm, &t->shape, s->mailbox_fd, err);
	if (ret < 0)
		return ret;
	s->have_machine = true;
	ret = restore(&s->machine, t, &tier_warm, NULL, err);
	return ret < 0 ? ret : rewind_open(&s->rewind, &s->machine, t, err);
}

static void rig_close(struct rig *s)
{
	rewind_close(&s->rewind);
	if (s->have_machine)
		machine_destroy(&s->machine);
	if (s->mailbox_fd > 0)
		close(s->mailbox_fd);
	if (s->memory && s->memory != MAP_FAILED)
		munmap(s->memory, s->size);
	origin_close(&s->origin);
}

/* Pages of guest RAM that are not the template's. */
static uint64_t changed_pages(const struct rig *s)
{
	const struct mem *mem = &s->machine.vm.mem;
	const uint8_t *origin = s->memory;
	uint64_t n = 0;

	for (unsigned int i = 0; i < mem->nregions; i++) {
		for (uint64_t off = 0; off < mem->regions[i].size; off += MEM_PAGE_SIZE) {
			n += memcmp(origin, mem->regions[i].host + off, MEM_PAGE_SIZE) != 0;
			origin += MEM_PAGE_SIZE;
		}
	}
	return n;
}

/* Points, ranges and sorts of growing size: they dirty few pages, and many. */
static void make_event(char *event, size_t size, unsigned int i)
{
	if (i % 3 == 0)
		snprintf(event, size, "select id from orders where id=%u", 1 + i % 1000);
	else
		snprintf(event, size, "select * from orders where id<=%u order by id desc",
			 1 + i * 7 % 400);
}

static int handle(struct rig *s, unsigned int i, struct err *err)
{
	char event[96];
	struct invocation inv = { .event = event };
	struct mailbox_reply reply;
	int ret;

	make_event(event, sizeof(event), i);
	inv.len = strlen(event);
	ret = machine_invoke(&s->machine, &inv, &reply, NULL, err);
	if (ret == 0 && (reply.len < 2 || memcmp(reply.data, "[{", 2) != 0))
		return err_set(err, EIO, "sql did not answer '%s' with rows", event);
	return ret;
}

int rewound_measure(struct rewound *r, const struct kvm *kvm, const char *dir,
		    unsigned int events, unsigned int every, struct thaw_err *err)
{
	static struct rig s;
	int ret;

	*r = (struct rewound){ 0 };
	memset(&s, 0, sizeof(s));
	s.rewind.pages.pagemap_fd = -1;
	ret = rig_open(&s, kvm, dir, cmd_err(err));
	for (unsigned int i = 0; i < events && ret == 0; i++) {
		bool look = i % every == 0;
		uint64_t before = s.rewind.stats.pages_copied;

		ret = handle(&s, i, cmd_err(err));
		if (ret == 0 && look)
			r->changed += changed_pages(&s);
		worker_lock(&s.machine.vm.worker);
		if (ret == 0)
			ret = rewind_machine(&s.rewind, &s.machine, cmd_err(err));
		worker_unlock(&s.machine.vm.worker);
		if (look)
			r->copied += s.rewind.stats.pages_copied - before;
		r->looked += look;
		r->events++;
	}
	rig_close(&s);
	return ret;
}
