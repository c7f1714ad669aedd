/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - an image made ready in memory on this host, shared by all its clones: decoded
 * state, and a descriptor of guest memory that nobody can change any more.
 * Opened and filled once; read-only afterwards, so any number of clones may use it.
 */
#pragma once

#include "engine/kvm.h"
#include "snapshot/disks.h"
#include "snapshot/image.h"
#include "snapshot/machine.h"
#include "snapshot/machine_state.h"
#include "snapshot/plan.h"

struct err;

struct template
{
	const struct image *image; /* not owned; open for as long as the template. NULL: of a
				    * template that was handed over (handover.h) */
	const char *name;	   /* the image's, for sentences */
	struct shape shape;
	struct machine_state state;
	struct plan plan;
	struct disks disks; /* of the drives that machines have */
	int memory_fd;	    /* sealed guest memory, region after region; -1: not filled */
};

/*
 * template_open - check that @image fits this host, decode its state, and plan
 * how its memory is to come.
 * Errors: -ERR_UNFIT; -ERR_DAMAGED state that contradicts itself or the manifest; -ENOMEM.
 */
int template_open(struct template *t, const struct image *image, const struct kvm *kvm,
		  struct err *err) must_check;

/*
 * template_fill - make guest memory available for mapping: a sealed memfd, decoded from
 * memory.lz4. Does nothing the second time.
 */
int template_fill(struct template *t, struct err *err) must_check;

void template_close(struct template *t);
