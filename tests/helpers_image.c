/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_image.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util.h"

/* A test that cannot be set up fails by this and nothing else. */
_Noreturn static void die(const char *what)
{
	perror(what);
	abort();
}

void scratch_make(char path[256])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, 256, "%s/thaw-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(path))
		die("mkdtemp");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_remove(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(const char *dir, const char *name)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

uint8_t *bytes_read(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *buf;

	if (fd < 0 || fstat(fd, &st) < 0)
		die("open");
	buf = malloc((size_t)st.st_size + 1);
	assert(buf);
	if (read(fd, buf, (size_t)st.st_size) != st.st_size)
		die("read");
	close(fd);
	*len = (size_t)st.st_size;
	return buf;
}

static void write_all(int fd, const void *buf, size_t len)
{
	if (fd < 0 || write(fd, buf, len) != (ssize_t)len)
		die("write");
}

void bytes_write(const char *path, const void *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	write_all(fd, buf, len);
	close(fd);
}

int bytes_memfd(const void *buf, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	write_all(fd, buf, len);
	return fd;
}

int entries_in(const char *dir)
{
	DIR *stream = opendir(dir);
	int n = 0;

	assert(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n - 2;
}

void sample_mem_empty(struct mem *m)
{
	*m = (struct mem){ .nregions = 2,
			   .regions = { { .gpa = 0, .size = MEM_HUGE_SIZE },
					{ .gpa = 0x800000, .size = MEM_HUGE_SIZE } } };
	if (mem_map(m, NULL) < 0)
		die("mem_map");
}

/* xorshift64*: bytes that no compressor makes smaller, the same in every run. */
static void fill_random(uint8_t *page, uint64_t seed)
{
	for (size_t i = 0; i < MEM_PAGE_SIZE; i++) {
		seed ^= seed >> 12;
		seed ^= seed << 25;
		seed ^= seed >> 27;
		page[i] = (uint8_t)(seed * 0x2545f4914f6cdd1dull >> 56);
	}
}

void sample_mem(struct mem *m)
{
	uint8_t *low, *high;

	sample_mem_empty(m);
	low = m->regions[0].host;
	high = m->regions[1].host;
	low[0] = 1;			 /* page 0: one byte */
	for (size_t i = 10; i < 44; i++) /* 34 pages over three windows of 64 KiB */
		memset(low + i * MEM_PAGE_SIZE, (int)i, MEM_PAGE_SIZE / 2);
	for (size_t i = 100; i < 103; i++)
		fill_random(low + i * MEM_PAGE_SIZE, i);
	fill_random(high + 17 * MEM_PAGE_SIZE, 17);
	high[MEM_HUGE_SIZE - 1] = 0xff; /* the last byte of all */
}

int sample_mem_equal(const struct mem *a, const struct mem *b)
{
	int equal = a->nregions == b->nregions;

	for (unsigned int i = 0; equal && i < a->nregions; i++)
		equal = a->regions[i].gpa == b->regions[i].gpa &&
			a->regions[i].size == b->regions[i].size &&
			memcmp(a->regions[i].host, b->regions[i].host, a->regions[i].size) == 0;
	return equal;
}

void sample_manifest(struct manifest *m)
{
	static const char *const args[] = { "--greeting", "h\u00e9llo \"world\"\n", "" };

	*m = (struct manifest){ .id = "00112233445566778899aabbccddeeff",
				.created = "2026-01-31T12:00:00Z",
				.thaw_version = "0.1.0",
				.guest_kind = "kindling",
				.guest_program = "echo",
				.vcpus = 1,
				.tsc_khz = 2900000,
				.xcr0 = 0xe7,
				.xsave_size = 2696,
				.ndevices = 2,
				.devices = { "mailbox", "serial" },
				.cpu_vendor = "GenuineIntel",
				.nfeatures = 2,
				.features = { { "1.ecx", 0xfffa3203 }, { "7.0.ebx", 0x1 } },
				.host_kernel = "6.1.0",
				.host_kvm = "vmx" };
	m->cpuid_sha256.bytes[0] = 0xab;
	if (manifest_set_args(m, ARRAY_SIZE(args), args, NULL) < 0)
		die("manifest_set_args");
}

static const struct state_field clock_fields[] = {
	STATE_FIELD(struct sample_clock, ns),
	STATE_FIELD(struct sample_clock, flags),
	STATE_FIELD_MAX(struct sample_clock, shift, 32),
};
const struct state_desc sample_clock_desc =
	STATE_DESC("clock", 1, struct sample_clock, clock_fields);

static const struct state_field regs_fields[] = {
	STATE_FIELD(struct sample_regs, rip),
	STATE_ARRAY8(struct sample_regs, bytes),
};
const struct state_desc sample_regs_desc = { .name = "vcpu.regs",
					     .version = 2,
					     .size = sizeof(struct sample_regs),
					     .max_count = 4,
					     .fields = regs_fields,
					     .nfields = ARRAY_SIZE(regs_fields) };

const struct sample_clock sample_clock = { .ns = 123456789, .flags = 1, .shift = 32 };
const struct sample_regs sample_regs[2] = { { 0x1000, "seven77" }, { 0xfff0, "another" } };

void sample_state(struct state_writer *w)
{
	struct state_section note = { .name = "note", .version = 9, .data = "odd", .len = 3 };
	int ret;

	*w = (struct state_writer){ 0 };
	ret = state_writer_add(w, &sample_clock_desc, 0, &sample_clock, sizeof(sample_clock),
			       NULL);
	ret |= state_writer_add(w, &sample_regs_desc, 0, sample_regs, sizeof(sample_regs),
				NULL);
	ret |= state_writer_put(w, &note, NULL);
	ret |= state_writer_finish(w, NULL);
	if (ret < 0)
		die("sample state");
}
