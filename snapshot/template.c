/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/template.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/fds.h"
#include "snapshot/compat.h"
#include "snapshot/digest.h"

/* The manifest speaks of what state.bin holds: both must say the same. */
static int check_shape(const struct template *t, struct err *err)
{
	const struct manifest *m = &t->image->manifest;
	const struct vcpu_state *v = &t->state.vcpus[0];
	struct digest cpuid;
	int ret = digest_of(&cpuid, v->cpuid.entries, v->cpuid.n * sizeof(v->cpuid.entries[0]),
			    err);

	if (ret < 0)
		return ret;
	if (!digest_equal(&cpuid, &m->cpuid_sha256))
		return err_set(err, ERR_DAMAGED, "shape.cpuid_sha256 is not that of state.bin");
	if (v->tsc.khz != m->tsc_khz)
		return err_set(err, ERR_DAMAGED, "shape.tsc_khz is %u, state.bin has %u",
			       m->tsc_khz, v->tsc.khz);
	if (v->nxsave * 8 != m->xsave_size)
		return err_set(err, ERR_DAMAGED,
			       "shape.xsave_size_bytes is %u, state.bin has %u", m->xsave_size,
			       v->nxsave * 8);
	if (v->xcrs.nr_xcrs != 1 || v->xcrs.xcrs[0].value & ~m->xcr0)
		return err_set(err, ERR_DAMAGED, "shape.xcr0 is not what state.bin has");
	return 0;
}

static int open_state(struct template *t, struct err *err)
{
	const struct manifest *m = &t->image->manifest;
	struct state_file file = t->image->state; /* a copy: decoding marks what it used */
	struct device_list devices = { 0 };
	int ret = 0;

	for (uint32_t i = 0; i < m->ndevices && ret == 0; i++)
		ret = device_list_add(&devices, device_type_find(m->devices[i]), 1, err);
	if (ret == 0)
		ret = machine_state_init(&t->state, m->vcpus, &devices, err);
	if (ret == 0)
		ret = machine_state_decode(&t->state, &file, err);
	if (ret < 0)
		return image_wrap(t->image, MANIFEST_STATE, ret, err);
	ret = check_shape(t, err);
	return ret < 0 ? err_wrap(err, ret, "%s/" MANIFEST_NAME, t->image->name) : 0;
}

int template_open(struct template *t, const struct image *image, const struct kvm *kvm,
		  struct err *err)
{
	const struct manifest *m = &image->manifest;
	int ret;

	*t = (struct template){ .image = image, .name = image->name, .memory_fd = -1 };
	ret = compat_check(m, kvm, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s", image->name);
	ret = open_state(t, err);
	if (ret == 0)
		ret = plan_init(&t->plan, image, err);
	if (ret == 0)
		ret = disks_open(&t->disks, image, image->choices, err);
	if (ret < 0) {
		template_close(t);
		return ret;
	}
	t->shape = (struct shape){
		.mem = image->ram,
		.nvcpus = m->vcpus,
		.tsc_khz = m->tsc_khz,
		.xsave_size = m->xsave_size,
		.xcr0 = m->xcr0,
		.cpuid = &t->state.vcpus[0].cpuid,
		.devices = t->state.list,
	};
	return 0;
}

/* Map all of @fd and decode the frames into it, then take the mapping away again: a template
 * that is mapped writable could not be sealed. */
static int decode_into(int fd, const struct template *t, struct err *err)
{
	uint64_t size = mem_size(&t->shape.mem);
	struct mem mem = t->shape.mem;
	uint64_t at = 0;
	uint8_t *base;
	int ret;

	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return err_sys(err, "map a template");
	for (uint32_t i = 0; i < mem.nregions; i++) {
		mem.regions[i].host = base + at;
		at += mem.regions[i].size;
	}
	ret = image_decode_memory(t->image, &mem, err);
	munmap(base, size);
	return ret;
}

int template_fill(struct template *t, struct err *err)
{
	auto_close int fd = -1;
	int ret;

	if (t->memory_fd >= 0)
		return 0;
	fd = memfd_create("thaw-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, "memfd_create for a template");
	if (ftruncate(fd, (off_t)mem_size(&t->shape.mem)) < 0)
		return err_sys(err, "size a template");
	ret = decode_into(fd, t, err);
	if (ret < 0)
		return ret;
	if (fds_seal(fd, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, "seal a template");
	t->memory_fd = fd_take(&fd);
	return 0;
}

void template_close(struct template *t)
{
	machine_state_fini(&t->state);
	plan_fini(&t->plan);
	disks_close(&t->disks);
	if (t->memory_fd >= 0)
		close(t->memory_fd);
	t->memory_fd = -1;
}
