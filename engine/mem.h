/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h - guest memory: regions of RAM, and the only way from a guest address to a host
 * pointer. The regions are fixed when the VM is made; what lies behind them (anonymous
 * memory, a private mapping of a template) may be replaced while no vCPU runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

typedef uint64_t gpa_t; /* guest-physical address; never cast to a pointer */

#define MEM_PAGE_SIZE 4096u
#define MEM_HUGE_SIZE                                                                          \
	(2u << 20)	   /* regions are multiples of this, and aligned to it on the host */
#define MEM_MAX_REGIONS 4u /* ours: RAM below and above the hole, and room */

struct mem_region {
	gpa_t gpa;     /* first guest address; a multiple of MEM_HUGE_SIZE */
	uint64_t size; /* bytes; a multiple of MEM_HUGE_SIZE */
	uint8_t *host; /* first host address */
};

/* Sorted by gpa, not overlapping. */
struct mem {
	struct mem_region regions[MEM_MAX_REGIONS];
	unsigned int nregions;
};

/* Host pointer to guest bytes [gpa, gpa+len), or NULL if any byte is outside one region. */
void *mem_at(const struct mem *m, gpa_t gpa, uint64_t len);

/* Are all guest bytes [gpa, gpa+len) in one region? Host pointers are not looked at. */
bool mem_holds(const struct mem *m, gpa_t gpa, uint64_t len);

/* Where @gpa is when the regions lie one behind the other, in bytes; MEM_NOWHERE: not in RAM. */
#define MEM_NOWHERE UINT64_MAX
uint64_t mem_offset(const struct mem *m, gpa_t gpa);

/* The guest address of @host, which points into a mapped region. */
gpa_t mem_gpa(const struct mem *m, const void *host);

/* Do both have the same regions? Host pointers are not looked at. */
bool mem_same_layout(const struct mem *a, const struct mem *b);

/* Bytes of RAM in all regions. */
uint64_t mem_size(const struct mem *m);

/*
 * mem_map - give every region of @m anonymous, demand-zero memory, aligned to MEM_HUGE_SIZE.
 * @m: gpa and size set; host is written. mem_unmap gives it back and is safe on a failed map.
 * Errors: -EINVAL regions unaligned, empty, unsorted or overlapping; -ENOMEM and what mmap says.
 */
int mem_map(struct mem *m, struct err *err) must_check;

/*
 * mem_map_file - put private copies of @fd's bytes behind the regions, one after the other: in
 * place of what is mapped there, where something is. @fd: stays the caller's.
 */
int mem_map_file(struct mem *m, int fd, struct err *err) must_check;
void mem_unmap(struct mem *m);

/* Ask for huge pages behind anonymous memory that will be filled soon. Best effort. */
void mem_advise_huge(const struct mem *m);

/*
 * mem_prefault - have writable pages behind @len bytes at @host now. Zero where there was nothing.
 * mem_prefault_huge: huge ones if there are any.
 * Errors: -ENOMEM and what MADV_POPULATE_WRITE says.
 */
int mem_prefault(void *host, size_t len, struct err *err) must_check;
int mem_prefault_huge(void *host, size_t len, struct err *err) must_check;

/* Nothing but small pages there: a huge one would bring zeros beside what was asked for. */
void mem_refuse_huge(void *host, size_t len);

/* Does this host give huge pages to who asks for them (transparent_hugepage/enabled)? */
bool mem_has_huge(void);
