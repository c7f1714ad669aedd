/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_fork_memfd.c - what a process that its guest took over hands over as a snapshot: played here
 * on what an honest one wrote. It is refused, or becomes a layer that is well formed.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/pages.h"
#include "snapshot/digest.h"
#include "snapshot/fork_memfd.h"
#include "snapshot/format.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

/* As fork_memfd.c has it. */
struct head {
	uint64_t state_size, nruns, npages, disk_sizes[MANIFEST_MAX_DRIVES];
};

/* What an honest process wrote. */
static struct frozen f;
static struct clone c;
static int fd;
static uint8_t *honest;
static size_t size;
static struct head head;
static const struct fork_run *runs;

static void honest_fork(void)
{
	struct pages pages;
	struct err err = { 0 };

	frozen_make(&f, guest_path("tests/counter"));
	clone_make(&c, &f, &tier_map);
	free(machine_ask(&c.machine, "dirty 40"));
	free(machine_ask(&c.machine, "add 5"));
	fd = fork_memfd(&f.template, &err);
	cr_assert(ge(int, fd, 0), "%s", err.text);
	cr_assert(eq(int, pages_open(&pages, &err), 0), "%s", err.text);
	cr_assert(eq(int, fork_send(&c.machine, &pages, fd, &err), 0), "%s", err.text);
	pages_close(&pages);
	cr_assert(eq(sz, (size_t)pread(fd, &head, sizeof(head), 0), sizeof(head)));
	size = sizeof(head) + head.state_size + head.nruns * sizeof(struct fork_run) +
	       head.npages * MEM_PAGE_SIZE;
	honest = malloc(size);
	cr_assert(eq(sz, (size_t)pread(fd, honest, size, 0), size));
	runs = (const void *)(honest + sizeof(head) + head.state_size);
	cr_assert(ge(u64, head.nruns, 3));
}

static void end(void)
{
	free(honest);
	close(fd);
	clone_free(&c);
	frozen_free(&f);
}

/* @bytes, as if they had been sent. */
static int receive(const void *bytes, size_t len, struct fork *fork, struct err *err)
{
	cr_assert(eq(sz, (size_t)pwrite(fd, bytes, len, 0), len));
	return fork_receive(fork, &f.kvm, &f.template, fd, err);
}

/* If it was received, it is a layer as good as any. */
static void expect_layer(struct fork *fork, const char *why)
{
	const char *dir = scratch_path(f.scratch, "layer");
	struct template template = { .memory_fd = -1 };
	struct image image;
	struct err err = { 0 };

	cr_assert(eq(int, fork_write(fork, dir, false, &err), 0), "%s: %s", why, err.text);
	cr_assert(eq(int, image_open(&image, dir, &err), 0), "%s: %s", why, err.text);
	cr_expect(eq(int, image_verify(&image, NULL, NULL, &err), 0), "%s: %s", why, err.text);
	cr_expect(eq(int, template_open(&template, &image, &f.kvm, &err), 0), "%s: %s", why,
		  err.text);
	template_close(&template);
	image_close(&image);
}

Test(fork_memfd, what_was_received_leaves_nothing_and_does_not_change_any_more, .timeout = 60)
{
	struct err err = { 0 };
	struct fork fork;
	struct stat st;

	honest_fork();
	cr_expect(eq(int, ftruncate(fd, 0), -1), "its size is what it is");
	cr_expect(eq(int, ftruncate(fd, (off_t)1 << 40), -1));
	cr_assert(eq(int, receive(honest, size, &fork, &err), 0), "%s", err.text);
	cr_assert(eq(int, fstat(fd, &st), 0));
	cr_expect(eq(long, st.st_blocks, 0));
	memset(honest, 0xff, size); /* it goes on writing */
	cr_assert(eq(sz, (size_t)pwrite(fd, honest, size, 0), size));
	expect_layer(&fork, "honest");
	cr_expect(ge(u64, fork.stats.pages_stored, 40));
	fork_close(&fork);
	end();
}

/* ---- heads and runs ---- */

/* The numbers that are lied about. */
enum number {
	NONE,
	STATE_SIZE,
	NRUNS,
	NPAGES,
	DISK0_SIZE,
	RUN0_AT,
	RUN0_PAGES,
	RUN1_AT,
	RUN1_PAGES
};

#define RAM  (UINT64_C(64) << 20)
#define PAGE UINT64_C(4096)

static const struct {
	const char *why, *says; /* a part of the sentence */
	struct {
		enum number number;
		uint64_t value;
	} told[5]; /* NONE at the end */
} lies[] = {
	{ "no state", "expected at least 64", { { STATE_SIZE, 0 } } },
	{ "a state that ends early", "its header says", { { STATE_SIZE, 4096 } } },
	{ "a state of more than there may be",
	  "largest allowed",
	  { { STATE_SIZE, 1u << 30 } } },
	{ "an endless state", "largest allowed", { { STATE_SIZE, UINT64_MAX } } },
	{ "no run", "are of no run", { { NRUNS, 0 } } },
	{ "fewer runs", "are of no run", { { NRUNS, 1 } } },
	{ "more runs than pages", "largest allowed", { { NRUNS, 1u << 20 } } },
	{ "endless runs", "largest allowed", { { NRUNS, UINT64_MAX } } },
	{ "runs whose size overflows", "largest allowed", { { NRUNS, UINT64_MAX / 16 + 1 } } },
	{ "fewer pages than runs", "largest allowed", { { NPAGES, 2 } } },
	{ "more pages", "are of no run", { { NPAGES, 4000 } } },
	{ "more pages than memory", "largest allowed", { { NPAGES, RAM / PAGE + 1 } } },
	{ "endless pages", "largest allowed", { { NPAGES, UINT64_MAX } } },
	{ "blocks of a drive that is not there", "of drive 0", { { DISK0_SIZE, 1 } } },
	{ "a run of nothing", "run 0: 0 pages", { { RUN0_PAGES, 0 } } },
	{ "a run that is not at a page", "run 0", { { RUN0_AT, PAGE + 1 } } },
	{ "a run behind memory", "run 0", { { RUN0_AT, RAM } } },
	{ "a run out of memory", "run 0", { { RUN0_AT, RAM - PAGE }, { RUN0_PAGES, 2 } } },
	{ "a run that wraps", "run 0", { { RUN0_AT, -PAGE }, { RUN0_PAGES, 2 } } },
	{ "a run whose size overflows", "run 0", { { RUN0_PAGES, UINT64_C(1) << 52 } } },
	{ "an endless run", "run 0", { { RUN0_PAGES, UINT64_MAX } } },
	{ "the same run again", "run 1", { { RUN0_AT, PAGE }, { RUN1_AT, PAGE } } },
	{ "runs that overlap",
	  "run 1",
	  { { RUN0_AT, PAGE }, { RUN0_PAGES, 2 }, { RUN1_AT, 2 * PAGE }, { RUN1_PAGES, 1 } } },
	{ "runs in falling order", "run 1", { { RUN0_AT, 9 * PAGE }, { RUN1_AT, PAGE } } },
};

static void tell(uint8_t *bytes, enum number number, uint64_t value)
{
	struct head *h = (void *)bytes;
	struct fork_run *r = (void *)(bytes + sizeof(head) + head.state_size);
	uint64_t *const places[] = {
		[STATE_SIZE] = &h->state_size, [NRUNS] = &h->nruns,
		[NPAGES] = &h->npages,	       [DISK0_SIZE] = &h->disk_sizes[0],
		[RUN0_AT] = &r[0].gpa,	       [RUN0_PAGES] = &r[0].npages,
		[RUN1_AT] = &r[1].gpa,	       [RUN1_PAGES] = &r[1].npages,
	};

	*places[number] = value;
}

Test(fork_memfd, numbers_that_cannot_be_are_refused, .timeout = 60)
{
	uint8_t *bytes;
	int before;

	honest_fork();
	bytes = malloc(size);
	before = count_entries("/proc/self/fd");
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct err err = { 0 };
		struct fork fork;

		memcpy(bytes, honest, size);
		for (size_t k = 0; lies[i].told[k].number != NONE; k++)
			tell(bytes, lies[i].told[k].number, lies[i].told[k].value);
		cr_expect(eq(int, receive(bytes, size, &fork, &err), -EPROTO), "%s",
			  lies[i].why);
		cr_expect(ne(ptr, strstr(err.text, lies[i].says), NULL), "%s: %s", lies[i].why,
			  err.text);
		fork_close(&fork);
	}
	cr_expect(eq(int, count_entries("/proc/self/fd"), before));
	free(bytes);
	end();
}

Test(fork_memfd, nothing_and_noise_are_refused, .timeout = 60)
{
	static uint8_t noise[8192];
	struct err err = { 0 };
	struct fork fork;

	honest_fork();
	cr_assert(eq(int, receive(honest, size, &fork, &err), 0), "%s", err.text);
	fork_close(&fork);
	cr_expect(eq(int, fork_receive(&fork, &f.kvm, &f.template, fd, &err), -EPROTO),
		  "what is there no more");
	fork_close(&fork);
	srand(1);
	for (int i = 0; i < 1000; i++) {
		for (size_t at = 0; at < sizeof(noise); at++)
			noise[at] = (uint8_t)rand();
		memset(noise + 3, 0, 5 * (size_t)(i % 2));
		cr_expect(eq(int, receive(noise, sizeof(noise), &fork, &err), -EPROTO));
		fork_close(&fork);
	}
	end();
}

/* ---- states ---- */

static void no_xcr(struct machine_state *s)
{
	s->vcpus[0].xcrs.nr_xcrs = 0;
}

static void two_xcrs(struct machine_state *s)
{
	s->vcpus[0].xcrs.nr_xcrs = 2;
}

static void unknown_component(struct machine_state *s)
{
	s->vcpus[0].xcrs.xcrs[0].value |= UINT64_C(1) << 62;
}

static void less_xsave(struct machine_state *s)
{
	s->vcpus[0].nxsave--;
}

static void no_xsave(struct machine_state *s)
{
	s->vcpus[0].nxsave = 0;
}

static void two_vcpus(struct machine_state *s)
{
	s->vcpus = realloc(s->vcpus, 2 * sizeof(s->vcpus[0]));
	s->vcpus[1] = s->vcpus[0];
	s->nvcpus = 2;
}

static void fast_tsc(struct machine_state *s)
{
	if (f.kvm.tsc_scaling) /* which makes it fit, and something else has to be wrong */
		no_xcr(s);
	s->vcpus[0].tsc.khz *= 3;
}

static const struct {
	const char *why;
	void (*lie)(struct machine_state *s);
} states[] = {
	{ "no XCR", no_xcr },
	{ "two XCRs", two_xcrs },
	{ "an XSAVE component that is none", unknown_component },
	{ "less XSAVE than the shape has", less_xsave },
	{ "no XSAVE", no_xsave },
	{ "two vCPUs", two_vcpus },
	{ "a TSC that ticks otherwise than here", fast_tsc },
};

/* What was handed over, with @state. Returns its size. */
static size_t with_state(const struct machine_state *state, uint8_t **bytes)
{
	struct state_writer w = { 0 };
	struct head h = head;
	size_t rest = size - sizeof(head) - head.state_size;

	cr_assert(eq(int, machine_state_encode(state, &w, NULL), 0));
	h.state_size = w.len;
	*bytes = malloc(sizeof(h) + w.len + rest);
	memcpy(*bytes, &h, sizeof(h));
	memcpy(*bytes + sizeof(h), w.buf, w.len);
	memcpy(*bytes + sizeof(h) + w.len, runs, rest);
	rest += sizeof(h) + w.len;
	state_writer_fini(&w);
	return rest;
}

Test(fork_memfd, states_that_no_machine_of_this_shape_and_host_has_are_refused, .timeout = 60)
{
	honest_fork();
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct err err = { 0 };
		struct fork fork;
		uint8_t *bytes;
		size_t len;

		cr_assert(eq(int, receive(honest, size, &fork, &err), 0), "%s", err.text);
		states[i].lie(&fork.state);
		len = with_state(&fork.state, &bytes);
		fork_close(&fork);
		cr_expect(eq(int, receive(bytes, len, &fork, &err), -EPROTO), "%s",
			  states[i].why);
		cr_expect(ne(ptr, strstr(err.text, "as a snapshot is none"), NULL), "%s: %s",
			  states[i].why, err.text);
		fork_close(&fork);
		free(bytes);
	}
	end();
}

/* Its checksums are right: whoever can run code in a shell can compute them. */
static void mend(uint8_t *bytes)
{
	struct state_file file;
	struct state_file_header *h = (void *)bytes;
	struct err err = { 0 };

	for (size_t at = sizeof(*h); at < head.state_size;) {
		struct state_section_header *s = (void *)(bytes + at);

		s->crc32c = 0;
		s->crc32c = digest_crc32c(digest_crc32c(0, s, sizeof(*s)), s + 1, s->size);
		at += sizeof(*s) + ALIGN_UP(s->size, 8);
	}
	h->crc32c = 0;
	h->crc32c = digest_crc32c(0, h, sizeof(*h));
	cr_assert(eq(int, state_file_parse(&file, bytes, head.state_size, &err), 0), "%s",
		  err.text);
}

/* Bytes of the payloads of sections, one after the other; the place of byte @n. */
static size_t payload_at(const uint8_t *state, size_t n)
{
	for (size_t at = sizeof(struct state_file_header); at < head.state_size;) {
		const struct state_section_header *s = (const void *)(state + at);

		at += sizeof(*s);
		if (n < s->size)
			return at + n;
		n -= s->size;
		at += ALIGN_UP(s->size, 8);
	}
	return 0;
}

#define STEP 61u /* flipped is every so many-th byte, another bit each */

Test(fork_memfd, any_state_is_refused_or_becomes_a_layer_that_opens, .timeout = 300)
{
	unsigned int refused = 0, received = 0;
	uint8_t *bytes, *state;

	honest_fork();
	bytes = malloc(size);
	state = bytes + sizeof(head);
	for (size_t n = 0;; n += STEP * slow()) {
		struct err err = { 0 };
		struct fork fork;
		size_t at;
		int ret;

		memcpy(bytes, honest, size);
		at = payload_at(state, n);
		if (at == 0)
			break;
		state[at] ^= (uint8_t)(1u << n % 8);
		mend(state);
		ret = receive(bytes, size, &fork, &err);
		if (ret == 0)
			expect_layer(&fork, "a flipped bit");
		else
			cr_expect(eq(int, ret, -EPROTO), "byte %zu: %s", at, err.text);
		received += ret == 0;
		refused += ret < 0;
		fork_close(&fork);
	}
	fprintf(stderr, "%u states refused, %u received\n", refused, received);
	cr_expect(gt(uint, received, 0));
	free(bytes);
	end();
}

/* ---- while it is looked at ---- */

static bool is_over; /* atomic */

static void *scribble(void *arg)
{
	uint64_t words[64];
	unsigned int n = 0;

	(void)arg;
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = UINT64_MAX >> (n++ % 64);
		if (pwrite(fd, words, sizeof(words), 0) < 0)
			break;
		if (pwrite(fd, honest, sizeof(head) + head.state_size, 0) < 0)
			break;
	}
	return NULL;
}

Test(fork_memfd, who_writes_while_it_is_read_gets_nothing_unchecked_in, .timeout = 120)
{
	unsigned int rounds = MAX(500 / slow(), 50u), received = 0;
	pthread_t thread;

	honest_fork();
	cr_assert(eq(int, pthread_create(&thread, NULL, scribble, NULL), 0));
	for (unsigned int i = 0; i < rounds; i++) {
		struct err err = { 0 };
		struct fork fork;
		int ret = receive(honest, size, &fork, &err);

		if (ret < 0)
			cr_expect(eq(int, ret, -EPROTO), "%s", err.text);
		if (ret == 0 && received++ < 20)
			expect_layer(&fork, "written to while it was read");
		fork_close(&fork);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	fprintf(stderr, "%u of %u received\n", received, rounds);
	end();
}
