/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/kind.h"
#include "tests/helpers_kvm.h"

#include <cpuid.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "guest/abi.h"
#include "snapshot/record.h"
#include "snapshot/restore.h"
#include "snapshot/save.h"
#include "tests/helpers_image.h"
#include "tools/thaw/blob.h"

#define TEST_TIMEOUT (slow() * 10 * NSEC_PER_SEC)

extern const uint8_t kindling_elf_start[], kindling_elf_end[];

static uint64_t ram_size = 64u << 20;
static const struct kind *kind = &kind_kindling;
static const struct disks *disks;

void booted_ram(uint64_t size)
{
	ram_size = size;
}

void booted_kind(const struct kind *wanted)
{
	kind = wanted;
}

void booted_disks(const struct disks *d)
{
	disks = d;
}

unsigned int slow(void)
{
	const char *text = getenv("THAW_SLOW");
	unsigned long n = text ? strtoul(text, NULL, 10) : 1;

	cr_assert(n >= 1 && n <= 1000, "THAW_SLOW is '%s', expected 1 to 1000", text);
	return (unsigned int)n;
}

bool host_is_tcg(void)
{
	unsigned int id[4];

	__cpuid(0x40000000, id[0], id[1], id[2], id[3]); /* the leaf that hypervisors name */
	return memcmp(id + 1, "TCGTCGTCGTCG", 12) == 0;
}

const char *guest_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "build/guest/%s", name);
	return path;
}

void booted_shell(struct booted *b)
{
	struct shape shape;
	struct err err = { 0 };

	cr_assert(eq(int, kvm_open(&b->kvm, &err), 0), "%s", err.text);
	kind_shape(kind, &b->kvm, &b->kvm.cpuid, ram_size, disks ? disks->n : 0, &shape);
	b->mailbox_fd = mailbox_memfd(&err);
	cr_assert(ge(int, b->mailbox_fd, 0), "%s", err.text);
	cr_assert(eq(int, machine_create(&b->machine, &b->kvm, &shape, b->mailbox_fd, &err), 0),
		  "%s", err.text);
	if (disks)
		cr_assert(eq(int, machine_attach(&b->machine, disks, &err), 0), "%s", err.text);
}

void booted_make(struct booted *b, const char *program, const char *const *argv)
{
	static const char *const no_env[] = { NULL };
	struct blob file = { 0 };
	struct err err = { 0 };
	struct boot_config cfg = {
		.kernel = { kindling_elf_start,
			    (size_t)(kindling_elf_end - kindling_elf_start) },
		.argv = argv,
		.envp = no_env,
		.mode = ABI_MODE_EVENTS,
	};

	booted_shell(b);
	cr_assert(eq(int, blob_read(&file, program, ram_size, &err), 0), "%s", err.text);
	cfg.program = (struct boot_blob){ file.data, file.size };
	cr_assert(eq(int, machine_boot(&b->machine, &cfg, &err), 0), "%s", err.text);
	blob_free(&file);
}

void booted_kernel(struct booted *b, const char *name, const char *arg)
{
	static const char *const no_env[] = { NULL };
	const char *const argv[] = { arg, NULL };
	struct blob kernel = { 0 };
	struct err err = { 0 };
	struct boot_config cfg = { .argv = argv, .envp = no_env };

	cr_assert(eq(int, blob_read(&kernel, guest_path(name), 1 << 20, &err), 0), "%s",
		  err.text);
	cfg.kernel = (struct boot_blob){ kernel.data, kernel.size };
	booted_shell(b);
	cr_assert(eq(int, machine_boot(&b->machine, &cfg, &err), 0), "%s", err.text);
	blob_free(&kernel);
	cr_assert(eq(int, machine_wait(&b->machine, clock_monotonic() + TEST_TIMEOUT, &err), 0),
		  "%s", err.text);
}

void booted_free(struct booted *b)
{
	machine_destroy(&b->machine);
	close(b->mailbox_fd);
	kvm_close(&b->kvm);
}

static void frozen_open(struct frozen *f)
{
	struct err err = { 0 };

	cr_assert(eq(int, kvm_open(&f->kvm, &err), 0), "%s", err.text);
	cr_assert(eq(int, image_open(&f->image, f->dir, &err), 0), "%s", err.text);
	cr_assert(eq(int, template_open(&f->template, &f->image, &f->kvm, &err), 0), "%s",
		  err.text);
	cr_assert(eq(int, template_fill(&f->template, &err), 0), "%s", err.text);
}

/* @plan: NULL: the image has no working set. */
static void frozen_save(struct frozen *f, struct machine *m, const struct record_plan *plan)
{
	static const char *const args[] = { "test", NULL };
	const struct save_options opt = {
		.kind = kind->name, .program = "test", .args = args, .record = plan
	};
	struct err err = { 0 };

	scratch_make(f->scratch);
	f->dir = strdup(scratch_path(f->scratch, "image"));
	cr_assert(eq(int, save(m, f->dir, &opt, NULL, &err), 0), "%s", err.text);
	frozen_open(f);
}

/* Kernels of tests may do anything with an empty event, and for ever. */
void frozen_from(struct frozen *f, struct machine *m)
{
	frozen_save(f, m, NULL);
}

static void frozen_program(struct frozen *f, const char *program,
			   const struct record_plan *plan)
{
	const char *const argv[] = { program, NULL };
	static struct booted b;
	struct err err = { 0 };

	booted_make(&b, program, argv);
	cr_assert(eq(int, machine_wait(&b.machine, clock_monotonic() + TEST_TIMEOUT, &err), 0),
		  "%s", err.text);
	frozen_save(f, &b.machine, plan);
	booted_free(&b);
}

void frozen_bare(struct frozen *f, const char *program)
{
	frozen_program(f, program, NULL);
}

void frozen_make(struct frozen *f, const char *program)
{
	static const struct record_event empty;
	/* Some programs have no answer to an empty event: their image has no working set. */
	const struct record_plan plan = {
		.runs = 1, .nevents = 1, .events = &empty, .timeout = slow() * NSEC_PER_SEC
	};

	frozen_program(f, program, &plan);
}

void frozen_free(struct frozen *f)
{
	template_close(&f->template);
	image_close(&f->image);
	kvm_close(&f->kvm);
	scratch_remove(f->scratch);
	free((char *)(uintptr_t)f->dir);
}

const struct tier *const *frozen_tiers(void)
{
	static const struct tier *some[16];
	unsigned int n = 0;

	for (const struct tier *const *t = tiers; *t; t++) {
		if (!(*t)->needs_raw)
			some[n++] = *t;
	}
	cr_assert(lt(u32, n, ARRAY_SIZE(some)));
	return some;
}

void clone_make(struct clone *c, const struct frozen *f, const struct tier *tier)
{
	struct err err = { 0 };

	c->mailbox_fd = mailbox_memfd(&err);
	cr_assert(ge(int, c->mailbox_fd, 0), "%s", err.text);
	cr_assert(eq(int,
		     machine_create(&c->machine, &f->kvm, &f->template.shape, c->mailbox_fd,
				    &err),
		     0),
		  "%s", err.text);
	cr_assert(eq(int, restore(&c->machine, &f->template, tier, NULL, &err), 0), "%s",
		  err.text);
}

void clone_free(struct clone *c)
{
	machine_destroy(&c->machine);
	close(c->mailbox_fd);
}

char *machine_ask(struct machine *m, const char *event)
{
	struct invocation inv = { .event = event,
				  .len = strlen(event),
				  .deadline = clock_monotonic() + TEST_TIMEOUT };
	struct mailbox_reply reply;
	struct err err = { 0 };

	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	return strndup((const char *)reply.data, reply.len);
}

void machine_expect(struct machine *m, const char *event, const char *wanted)
{
	char *reply = machine_ask(m, event);

	cr_expect(eq(str, reply, (char *)(uintptr_t)wanted), "event '%s'", event);
	free(reply);
}

int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	cr_assert(ne(ptr, dir, NULL));
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
