/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_kvm.h - what tests with real machines share: a guest program, frozen into an image
 * in a scratch directory, and clones of it. Helpers assert. tests/run.sh skips these tests as a
 * whole where there is no /dev/kvm.
 */
#pragma once

#include <stdbool.h>

#include "snapshot/kind.h"
#include "snapshot/machine.h"
#include "snapshot/template.h"
#include "snapshot/tier.h"

/* How many times slower this host is than one of its own: THAW_SLOW, else 1. Limits in time are
 * multiplied with it, numbers of repetitions divided by it. */
unsigned int slow(void);

/* Is this host's CPU QEMU's TCG? */
bool host_is_tcg(void);

/* The guest programs that the Makefile built: "echo", "sql", "tests/barrier". */
const char *guest_path(const char *name);

/* A program, booted and run to its first wait for an event. */
struct booted {
	struct kvm kvm;
	int mailbox_fd;
	struct machine machine;
};
/* RAM in bytes of machines booted from here on; 64 MiB to begin with. */
void booted_ram(uint64_t size);
/* Machines booted and frozen from here on have the devices of this kind; kindling's to begin with. */
void booted_kind(const struct kind *kind);
/* They have these drives, too. */
void booted_disks(const struct disks *disks);
/* A shell with nothing in it. */
void booted_shell(struct booted *b);
void booted_make(struct booted *b, const char *program, const char *const *argv);
/* A kernel of tests/guest/kernels in place of kindling, run to its first wait for an event. */
void booted_kernel(struct booted *b, const char *name, const char *arg);
void booted_free(struct booted *b);

/* An image in a scratch directory, and its template. */
struct frozen {
	char scratch[256];
	const char *dir; /* the image */
	struct kvm kvm;
	struct image image;
	struct template template;
};

/* Boot @program (a guest_path), freeze it, record a working set, open the image, fill the template. */
void frozen_make(struct frozen *f, const char *program);
/* The same without a working set, which takes a while for a program that touches much. */
void frozen_bare(struct frozen *f, const char *program);
/* That from a machine that is stopped at NEXT. */
void frozen_from(struct frozen *f, struct machine *m);
void frozen_free(struct frozen *f);

/* A machine restored from it. */
struct clone {
	int mailbox_fd;
	struct machine machine;
};
/* Tiers for what is frozen here: all but those that need memory.raw. NULL at the end. */
const struct tier *const *frozen_tiers(void);
void clone_make(struct clone *c, const struct frozen *f, const struct tier *tier);
void clone_free(struct clone *c);

/* Hand over @event, run to the reply, return it as a string that the caller frees. Asserts
 * that there is a reply within ten seconds times slow(). */
char *machine_ask(struct machine *m, const char *event);
/* Expects that @wanted is the reply to @event. */
void machine_expect(struct machine *m, const char *event, const char *wanted);

/* Names in a directory, as those of /proc/self/fd: descriptors that are open. */
int count_entries(const char *path);
