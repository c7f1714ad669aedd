/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/fds.h"

#define HANDOVER_SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Followed by the vCPUs' state, then the devices'. */
struct flat {
	uint64_t size; /* of all; tells versions apart as well as anything */
	uint32_t nvcpus;
	uint32_t tsc_khz;
	uint32_t xsave_size;
	uint32_t nregions;
	uint32_t ndevices;
	uint32_t devices[VM_MAX_DEVICES]; /* of device_types */
	uint64_t xcr0;
	struct {
		uint64_t gpa, size;
	} regions[MEM_MAX_REGIONS];
	uint32_t ndrives;
	struct {
		char id[sizeof(((struct disk *)NULL)->id)];
		uint64_t size;
		uint32_t mode; /* enum drive_mode */
		uint32_t has_frozen;
		struct rate_limit bytes, ops;
	} drives[MANIFEST_MAX_DRIVES];
	struct vm_state vm;
	char name[sizeof(((struct image *)NULL)->name)];
};

#define VCPUS_OFF ALIGN_UP(sizeof(struct flat), 64)

static size_t devices_off(uint32_t nvcpus)
{
	return VCPUS_OFF + ALIGN_UP(nvcpus * sizeof(struct vcpu_state), 64);
}

static size_t flat_size(uint32_t nvcpus, const struct device_list *devices)
{
	return devices_off(nvcpus) + machine_state_devices_size(devices);
}

static uint32_t type_number(const struct device_type *type)
{
	uint32_t n = 0;

	while (device_types[n] != type)
		n++;
	return n;
}

static int flat_devices(const struct flat *f, struct device_list *list, struct err *err)
{
	uint32_t ntypes = type_number(NULL);
	int ret = 0;

	*list = (struct device_list){ 0 };
	for (uint32_t i = 0; i < MIN(f->ndevices, VM_MAX_DEVICES) && ret == 0; i++) {
		if (f->devices[i] >= ntypes)
			return err_set(err, EINVAL,
				       "a state that was handed over has a device %u",
				       f->devices[i]);
		ret = device_list_add(list, device_types[f->devices[i]], 1, err);
	}
	return ret;
}

static void flat_fill(struct flat *f, const struct template *t)
{
	const struct shape *s = &t->shape;

	*f = (struct flat){ .size = flat_size(s->nvcpus, &s->devices),
			    .nvcpus = s->nvcpus,
			    .tsc_khz = s->tsc_khz,
			    .xsave_size = s->xsave_size,
			    .nregions = s->mem.nregions,
			    .ndevices = s->devices.n,
			    .xcr0 = s->xcr0,
			    .vm = t->state.vm };
	for (uint32_t i = 0; i < s->mem.nregions; i++) {
		f->regions[i].gpa = s->mem.regions[i].gpa;
		f->regions[i].size = s->mem.regions[i].size;
	}
	for (uint32_t i = 0; i < s->devices.n; i++)
		f->devices[i] = type_number(s->devices.types[i]);
	f->ndrives = t->disks.n;
	for (uint32_t i = 0; i < t->disks.n; i++) {
		const struct disk *disk = &t->disks.disk[i];

		memcpy(f->drives[i].id, disk->id, sizeof(f->drives[i].id));
		f->drives[i].size = disk->drive.size;
		f->drives[i].mode = disk->drive.mode;
		f->drives[i].has_frozen = disk->frozen_fd >= 0;
		f->drives[i].bytes = disk->bytes;
		f->drives[i].ops = disk->ops;
	}
	memcpy(f->name, t->name, strnlen(t->name, sizeof(f->name) - 1));
}

int handover_memfd(const struct template *t, struct err *err)
{
	auto_close int fd = memfd_create("thaw-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint32_t n = t->shape.nvcpus;
	size_t size = flat_size(n, &t->shape.devices);
	struct flat head;
	uint8_t *map;

	if (fd < 0)
		return err_sys(err, "memfd_create for a state");
	if (ftruncate(fd, (off_t)size) < 0)
		return err_sys(err, "size a state of %zu bytes", size);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_sys(err, "map a state");
	flat_fill(&head, t);
	memcpy(map, &head, sizeof(head));
	memcpy(map + VCPUS_OFF, t->state.vcpus, n * sizeof(*t->state.vcpus));
	memcpy(map + devices_off(n), t->state.devices,
	       machine_state_devices_size(&t->shape.devices));
	munmap(map, size);
	if (fds_seal(fd, HANDOVER_SEALS) < 0)
		return err_sys(err, "seal a state");
	return fd_take(&fd);
}

static int check(int fd, const struct flat *f, size_t size, struct device_list *devices,
		 struct err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	int ret = flat_devices(f, devices, err);

	if (ret < 0)
		return ret;
	if (seals < 0 || (seals & HANDOVER_SEALS) != HANDOVER_SEALS)
		return err_set(err, EINVAL, "a state that was handed over is not sealed");
	if (f->nvcpus == 0 || f->nvcpus > VM_MAX_VCPUS || f->nregions > MEM_MAX_REGIONS ||
	    f->size != size || flat_size(f->nvcpus, devices) != size)
		return err_set(err, EINVAL,
			       "a state that was handed over has %zu bytes, expected %zu for "
			       "%u vCPUs",
			       size, flat_size(MIN(f->nvcpus, VM_MAX_VCPUS), devices),
			       f->nvcpus);
	return 0;
}

static void flat_read(struct template *t, uint8_t *map, const struct device_list *devices)
{
	const struct flat *f = (const void *)map;
	struct vcpu_state *vcpus = (void *)(map + VCPUS_OFF);

	*t = (struct template){
		.name = f->name,
		.memory_fd = -1,
		.shape = { .nvcpus = f->nvcpus,
			   .tsc_khz = f->tsc_khz,
			   .xsave_size = f->xsave_size,
			   .xcr0 = f->xcr0,
			   .mem.nregions = f->nregions,
			   .cpuid = &vcpus[0].cpuid,
			   .devices = *devices },
		.state = { .vm = f->vm,
			   .nvcpus = f->nvcpus,
			   .vcpus = vcpus,
			   .list = *devices,
			   .devices = map + devices_off(f->nvcpus) },
	};
	t->disks.n = MIN(f->ndrives, MANIFEST_MAX_DRIVES);
	for (uint32_t i = 0; i < t->disks.n; i++) {
		struct disk *disk = &t->disks.disk[i];

		memcpy(disk->id, f->drives[i].id, sizeof(disk->id) - 1);
		disk->drive = (struct drive){ .fd = -1,
					      .size = f->drives[i].size,
					      .mode = (enum drive_mode)f->drives[i].mode };
		disk->frozen_fd = f->drives[i].has_frozen ? 0 : -1;
		disk->bytes = f->drives[i].bytes;
		disk->ops = f->drives[i].ops;
	}
	for (uint32_t i = 0; i < f->nregions; i++)
		t->shape.mem.regions[i] = (struct mem_region){ .gpa = f->regions[i].gpa,
							       .size = f->regions[i].size };
}

int handover_map(struct handover *h, int fd, struct err *err)
{
	/* Not fstat(2), which is made of a call that looks up paths: a shell may not do that. */
	off_t end = lseek(fd, 0, SEEK_END);
	struct device_list devices;
	void *map;
	int ret;

	*h = (struct handover){ .template.memory_fd = -1 };
	if (end < 0)
		return err_sys(err, "lseek in a state that was handed over");
	if ((size_t)end < sizeof(struct flat))
		return err_set(err, EINVAL,
			       "a state that was handed over has %zu bytes, at least %zu are "
			       "expected",
			       (size_t)end, sizeof(struct flat));
	map = mmap(NULL, (size_t)end, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_sys(err, "map a state that was handed over");
	h->map = map;
	h->size = (size_t)end;
	ret = check(fd, map, h->size, &devices, err);
	if (ret < 0)
		handover_unmap(h);
	else
		flat_read(&h->template, map, &devices);
	return ret;
}

void handover_unmap(struct handover *h)
{
	if (h->map)
		munmap((void *)(uintptr_t)h->map, h->size);
	*h = (struct handover){ .template.memory_fd = -1 };
}

bool handover_same_shape(const struct template *a, const struct template *b)
{
	const struct shape *x = &a->shape, *y = &b->shape;

	if (x->nvcpus != y->nvcpus || x->tsc_khz != y->tsc_khz ||
	    x->xsave_size != y->xsave_size || x->xcr0 != y->xcr0 ||
	    x->mem.nregions != y->mem.nregions || x->cpuid->n != y->cpuid->n ||
	    !device_list_equal(&x->devices, &y->devices))
		return false;
	for (uint32_t i = 0; i < x->mem.nregions; i++) {
		if (x->mem.regions[i].gpa != y->mem.regions[i].gpa ||
		    x->mem.regions[i].size != y->mem.regions[i].size)
			return false;
	}
	return memcmp(x->cpuid->entries, y->cpuid->entries,
		      x->cpuid->n * sizeof(x->cpuid->entries[0])) == 0;
}
