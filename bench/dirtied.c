/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/dirtied.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/machine.h"
#include "snapshot/restore.h"
#include "snapshot/template.h"
#include "snapshot/tier.h"
#include "tools/thaw/cmd.h"

/* Slots are numbered as they were made: RAM's come first (vm.c). */
static int log_writes(const struct vm *vm, struct err *err)
{
	for (unsigned int i = 0; i < vm->mem.nregions; i++) {
		const struct mem_region *r = &vm->mem.regions[i];
		const struct kvm_userspace_memory_region region = {
			.slot = i,
			.flags = KVM_MEM_LOG_DIRTY_PAGES,
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (uintptr_t)r->host,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
			return err_sys(err, "KVM_SET_USER_MEMORY_REGION with a dirty log");
	}
	return 0;
}

/* Bytes of the pages in the dirty log of one slot. */
static int slot_written(const struct vm *vm, uint32_t slot, uint64_t *bytes, struct err *err)
{
	size_t words = vm->mem.regions[slot].size / MEM_PAGE_SIZE / 64;
	auto_free uint64_t *bitmap = calloc(words, sizeof(*bitmap));
	const struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	if (!bitmap)
		return err_set(err, ENOMEM, "no memory for a dirty log");
	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0)
		return err_sys(err, "KVM_GET_DIRTY_LOG");
	for (size_t i = 0; i < words; i++)
		*bytes += (uint64_t)__builtin_popcountll(bitmap[i]) * MEM_PAGE_SIZE;
	return 0;
}

static int count_changed(struct dirtied *d, const struct mem *mem, int memory_fd,
			 struct err *err)
{
	uint8_t page[MEM_PAGE_SIZE];
	off_t at = 0;

	for (unsigned int i = 0; i < mem->nregions; i++) {
		const struct mem_region *r = &mem->regions[i];

		for (uint64_t off = 0; off < r->size; off += sizeof(page)) {
			if (pread(memory_fd, page, sizeof(page), at) != sizeof(page))
				return err_sys(err, "read the template");
			if (memcmp(page, r->host + off, sizeof(page)) != 0)
				d->changed += sizeof(page);
			at += (off_t)sizeof(page);
		}
	}
	return 0;
}

static int answer_logged(struct dirtied *d, struct machine *m, const struct template *t,
			 const char *event, struct err *err)
{
	const struct invocation inv = { .event = event, .len = strlen(event) };
	struct mailbox_reply reply;
	int ret = restore(m, t, &tier_map, NULL, err);

	if (ret == 0)
		ret = log_writes(&m->vm, err);
	if (ret == 0)
		ret = machine_invoke(m, &inv, &reply, NULL, err);
	for (uint32_t i = 0; i < m->vm.mem.nregions && ret == 0; i++)
		ret = slot_written(&m->vm, i, &d->written, err);
	return ret < 0 ? ret : count_changed(d, &m->vm.mem, t->memory_fd, err);
}

static int measure(struct dirtied *d, const struct kvm *kvm, const struct image *image,
		   const char *event, struct err *err)
{
	static struct machine machine; /* large */
	static struct template t;
	auto_close int mailbox_fd = mailbox_memfd(err);
	int ret = mailbox_fd < 0 ? mailbox_fd : template_open(&t, image, kvm, err);

	if (ret < 0)
		return ret;
	ret = template_fill(&t, err);
	if (ret == 0)
		ret = machine_create(&machine, kvm, &t.shape, mailbox_fd, err);
	if (ret == 0) {
		ret = answer_logged(d, &machine, &t, event, err);
		machine_destroy(&machine);
	}
	template_close(&t);
	return ret;
}

int dirtied_measure(struct dirtied *d, const struct kvm *kvm, const char *dir,
		    const char *event, struct thaw_err *err)
{
	static struct image image; /* large */
	int ret = image_open(&image, dir, cmd_err(err));

	*d = (struct dirtied){ 0 };
	if (ret < 0)
		return ret;
	ret = measure(d, kvm, &image, event, cmd_err(err));
	image_close(&image);
	return ret;
}
