/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/wset.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/digest.h"
#include "snapshot/io.h"

uint32_t wset_header_crc(const struct wset_header *h)
{
	struct wset_header copy = *h;

	copy.crc32c = 0;
	return digest_crc32c(0, &copy, sizeof(copy));
}

void wset_fini(struct wset *w)
{
	free(w->runs);
	*w = (struct wset){ 0 };
}

struct wset_counts wset_count(const struct wset *w)
{
	struct wset_counts n = { 0 };

	for (uint32_t i = 0; i < w->nruns; i++) {
		const struct wset_run *r = &w->runs[i];

		n.touched += r->pages;
		n.always += r->seen == w->record_runs ? r->pages : 0;
		n.dirtied += r->flags & WSET_DIRTIED ? r->pages : 0;
	}
	return n;
}

/* ---- reading ---- */

static int check_header(const struct wset_header *h, size_t len, uint64_t ram_size,
			struct err *err)
{
	if (memcmp(h->magic, WSET_MAGIC, sizeof(h->magic)) != 0)
		return err_set(err, ERR_DAMAGED, "offset 0: magic is not " WSET_MAGIC);
	if (h->crc32c != wset_header_crc(h))
		return err_set(err, ERR_DAMAGED,
			       "header at offset 0: crc32c is 0x%08x, expected 0x%08x",
			       wset_header_crc(h), h->crc32c);
	if (h->version != WSET_VERSION)
		return err_set(err, ERR_UNFIT, "format version %u, this thaw reads %u",
			       h->version, WSET_VERSION);
	if (h->ram_size != ram_size)
		return err_set(err, ERR_DAMAGED,
			       "ram size is %" PRIu64 ", the machine has %" PRIu64, h->ram_size,
			       ram_size);
	if (h->record_runs == 0 || h->record_runs > WSET_MAX_RECORD_RUNS)
		return err_set(err, ERR_DAMAGED, "%u record runs, expected 1..%u",
			       h->record_runs, WSET_MAX_RECORD_RUNS);
	if (h->nruns == 0 || h->nruns > WSET_MAX_RUNS)
		return err_set(err, ERR_DAMAGED, "%u runs of pages, expected 1..%u", h->nruns,
			       WSET_MAX_RUNS);
	if (len != sizeof(*h) + h->nruns * sizeof(struct wset_run))
		return err_set(err, ERR_DAMAGED,
			       "%zu bytes, expected %zu for a header and %u runs", len,
			       sizeof(*h) + h->nruns * sizeof(struct wset_run), h->nruns);
	if (!io_is_zero(h->reserved, sizeof(h->reserved)))
		return err_set(err, ERR_DAMAGED, "reserved bytes at offset 32: expected zeros");
	return 0;
}

static int check_run(const struct wset *w, uint32_t i, const struct mem *ram, struct err *err)
{
	const struct wset_run *r = &w->runs[i];

	if (r->gpa % MEM_PAGE_SIZE != 0 || r->pages == 0 ||
	    !mem_holds(ram, r->gpa, wset_run_size(r)))
		return err_set(err, ERR_DAMAGED,
			       "run %u at guest address 0x%" PRIx64
			       ": %u pages are not whole pages of the machine's memory",
			       i, r->gpa, r->pages);
	if (r->seen == 0 || r->seen > w->record_runs)
		return err_set(err, ERR_DAMAGED,
			       "run %u at guest address 0x%" PRIx64
			       ": seen in %u record runs, expected 1..%u",
			       i, r->gpa, r->seen, w->record_runs);
	if (r->flags & ~WSET_DIRTIED)
		return err_set(err, ERR_DAMAGED,
			       "run %u at guest address 0x%" PRIx64 ": unknown flags 0x%x", i,
			       r->gpa, r->flags);
	return 0;
}

static int by_gpa(const void *a, const void *b)
{
	const struct wset_run *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* A page in two runs would be loaded twice: over what the guest may have written by then. */
static int check_overlap(const struct wset *w, struct err *err)
{
	size_t size = w->nruns * sizeof(*w->runs);
	auto_free struct wset_run *sorted = NULL;

	if (w->nruns < 2)
		return 0;
	sorted = malloc(size);
	if (!sorted)
		return err_set(err, ENOMEM, "%u runs: out of memory", w->nruns);
	memcpy(sorted, w->runs, size);
	qsort(sorted, w->nruns, sizeof(*sorted), by_gpa);
	for (uint32_t i = 1; i < w->nruns; i++) {
		const struct wset_run *before = &sorted[i - 1];

		if (sorted[i].gpa < before->gpa + wset_run_size(before))
			return err_set(err, ERR_DAMAGED,
				       "the page at guest address 0x%" PRIx64 " is in two runs",
				       sorted[i].gpa);
	}
	return 0;
}

static int read_runs(struct wset *w, const struct wset_header *h, const void *runs,
		     const struct mem *ram, struct err *err)
{
	size_t size = h->nruns * sizeof(*w->runs);
	uint32_t crc = digest_crc32c(0, runs, size);
	int ret = 0;

	assert(size > 0); /* check_header has seen to it */
	if (crc != h->runs_crc32c)
		return err_set(err, ERR_DAMAGED,
			       "runs at offset %zu: crc32c is 0x%08x, expected 0x%08x",
			       sizeof(*h), crc, h->runs_crc32c);
	*w = (struct wset){ .record_runs = h->record_runs, .nruns = h->nruns };
	w->runs = malloc(size);
	if (!w->runs)
		return err_set(err, ENOMEM, "%u runs: out of memory", h->nruns);
	memcpy(w->runs, runs, size);
	for (uint32_t i = 0; ret == 0 && i < w->nruns; i++)
		ret = check_run(w, i, ram, err);
	return ret < 0 ? ret : check_overlap(w, err);
}

int wset_parse(struct wset *w, const void *buf, size_t len, const struct mem *ram,
	       struct err *err)
{
	struct wset_header h;
	int ret;

	*w = (struct wset){ 0 };
	if (len < sizeof(h))
		return err_set(err, ERR_DAMAGED, "%zu bytes, the header alone has %zu", len,
			       sizeof(h));
	memcpy(&h, buf, sizeof(h));
	ret = check_header(&h, len, mem_size(ram), err);
	if (ret == 0)
		ret = read_runs(w, &h, (const uint8_t *)buf + sizeof(h), ram, err);
	if (ret < 0)
		wset_fini(w);
	return ret;
}

/* ---- writing ---- */

int wset_encode(const struct wset *w, const struct mem *ram, void **buf, size_t *len,
		struct err *err)
{
	size_t size = w->nruns * sizeof(*w->runs);
	struct wset_header h = {
		.magic = WSET_MAGIC,
		.version = WSET_VERSION,
		.nruns = w->nruns,
		.ram_size = mem_size(ram),
		.record_runs = w->record_runs,
	};
	uint8_t *bytes;

	if (w->nruns > WSET_MAX_RUNS)
		return err_set(err, EFBIG, "working set of %u runs, largest allowed is %u",
			       w->nruns, WSET_MAX_RUNS);
	bytes = malloc(sizeof(h) + size);
	if (!bytes)
		return err_set(err, ENOMEM, "working set of %u runs: out of memory", w->nruns);
	h.runs_crc32c = digest_crc32c(0, w->runs, size);
	h.crc32c = wset_header_crc(&h);
	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), w->runs, size);
	*buf = bytes;
	*len = sizeof(h) + size;
	return 0;
}
