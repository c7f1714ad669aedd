/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"

/* The region that holds all of [gpa, gpa+len), or NULL. */
static const struct mem_region *region_of(const struct mem *m, gpa_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < m->nregions; i++) {
		const struct mem_region *r = &m->regions[i];
		uint64_t off = gpa - r->gpa;

		if (gpa >= r->gpa && off <= r->size && len <= r->size - off)
			return r;
	}
	return NULL;
}

void *mem_at(const struct mem *m, gpa_t gpa, uint64_t len)
{
	const struct mem_region *r = region_of(m, gpa, len);

	return r ? r->host + (gpa - r->gpa) : NULL;
}

bool mem_holds(const struct mem *m, gpa_t gpa, uint64_t len)
{
	return region_of(m, gpa, len) != NULL;
}

uint64_t mem_offset(const struct mem *m, gpa_t gpa)
{
	const struct mem_region *r = region_of(m, gpa, 1);
	uint64_t off = 0;

	if (!r)
		return MEM_NOWHERE;
	for (const struct mem_region *before = m->regions; before < r; before++)
		off += before->size;
	return off + (gpa - r->gpa);
}

gpa_t mem_gpa(const struct mem *m, const void *host)
{
	for (unsigned int i = 0; i < m->nregions; i++) {
		const struct mem_region *r = &m->regions[i];
		uint64_t off = (uintptr_t)host - (uintptr_t)r->host;

		if (off < r->size)
			return r->gpa + off;
	}
	return MEM_NOWHERE;
}

bool mem_same_layout(const struct mem *a, const struct mem *b)
{
	bool same = a->nregions == b->nregions;

	for (unsigned int i = 0; same && i < a->nregions; i++)
		same = a->regions[i].gpa == b->regions[i].gpa &&
		       a->regions[i].size == b->regions[i].size;
	return same;
}

uint64_t mem_size(const struct mem *m)
{
	uint64_t size = 0;

	for (unsigned int i = 0; i < m->nregions; i++)
		size += m->regions[i].size;
	return size;
}

static int check_regions(const struct mem *m, struct err *err)
{
	gpa_t end = 0;

	if (m->nregions == 0 || m->nregions > MEM_MAX_REGIONS)
		return err_set(err, EINVAL, "guest memory has %u regions, expected 1..%u",
			       m->nregions, MEM_MAX_REGIONS);
	for (unsigned int i = 0; i < m->nregions; i++) {
		const struct mem_region *r = &m->regions[i];

		if (r->size == 0 || (r->gpa | r->size) % MEM_HUGE_SIZE != 0 || r->gpa < end ||
		    r->gpa + r->size < r->gpa)
			return err_set(err, EINVAL,
				       "guest memory region %u at 0x%" PRIx64 ", 0x%" PRIx64
				       " bytes: expected 2 MiB steps in rising order",
				       i, r->gpa, r->size);
		end = r->gpa + r->size;
	}
	return 0;
}

static uint8_t *map_somewhere(uint64_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Map @size bytes aligned to MEM_HUGE_SIZE. Linux does that by itself from 6.7 on; else take
 * more, and give back both ends. */
static uint8_t *map_aligned(uint64_t size)
{
	uint8_t *p = map_somewhere(size);
	uint64_t head;

	if (p != MAP_FAILED && (uintptr_t)p % MEM_HUGE_SIZE == 0)
		return p;
	if (p != MAP_FAILED)
		munmap(p, size);
	p = map_somewhere(size + MEM_HUGE_SIZE);
	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p % MEM_HUGE_SIZE;
	if (head > 0)
		munmap(p, head);
	if (head < MEM_HUGE_SIZE)
		munmap(p + head + size, MEM_HUGE_SIZE - head);
	return p + head;
}

int mem_map(struct mem *m, struct err *err)
{
	int ret;

	for (unsigned int i = 0; i < m->nregions && i < MEM_MAX_REGIONS; i++)
		m->regions[i].host = NULL;
	ret = check_regions(m, err);
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < m->nregions; i++) {
		m->regions[i].host = map_aligned(m->regions[i].size);
		if (!m->regions[i].host) {
			ret = err_sys(err, "map %" PRIu64 " bytes of guest memory",
				      m->regions[i].size);
			mem_unmap(m);
			return ret;
		}
	}
	return 0;
}

int mem_map_file(struct mem *m, int fd, struct err *err)
{
	off_t at = 0;

	for (unsigned int i = 0; i < m->nregions; i++) {
		struct mem_region *r = &m->regions[i];
		void *p = mmap(r->host, r->size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_NORESERVE | (r->host ? MAP_FIXED : 0), fd, at);

		if (p == MAP_FAILED)
			return err_sys(err, "map guest memory of the template");
		r->host = p;
		at += (off_t)r->size;
	}
	return 0;
}

void mem_unmap(struct mem *m)
{
	for (unsigned int i = 0; i < m->nregions && i < MEM_MAX_REGIONS; i++) {
		if (m->regions[i].host)
			munmap(m->regions[i].host, m->regions[i].size);
		m->regions[i].host = NULL;
	}
}

void mem_advise_huge(const struct mem *m)
{
	for (unsigned int i = 0; i < m->nregions; i++)
		madvise(m->regions[i].host, m->regions[i].size, MADV_HUGEPAGE);
}

int mem_prefault_huge(void *host, size_t len, struct err *err)
{
	madvise(host, len, MADV_HUGEPAGE);
	return mem_prefault(host, len, err);
}

void mem_refuse_huge(void *host, size_t len)
{
	madvise(host, len, MADV_NOHUGEPAGE);
}

int mem_prefault(void *host, size_t len, struct err *err)
{
	if (madvise(host, len, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return err_sys(err, "populate %zu bytes of guest memory", len);
	/* Before Linux 5.14. Nobody else writes to it yet. */
	for (size_t at = 0; at < len; at += MEM_PAGE_SIZE)
		*((volatile uint8_t *)host + at) |= 0;
	return 0;
}

bool mem_has_huge(void)
{
	auto_close int fd =
		open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	char text[64];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return strstr(text, "[never]") == NULL;
}
