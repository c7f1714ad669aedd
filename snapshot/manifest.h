/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - manifest.json: what an image is, what it needs, and the digests of its other
 * files. docs/image-format.md has the keys. A manifest is a plain struct here; JSON stays
 * inside manifest*.c. Keys that this version does not know are kept when a manifest is read
 * and written again.
 *
 * Zeroed to begin with; manifest_fini gives back what it owns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/rate.h"
#include "engine/mem.h"
#include "engine/util.h"
#include "snapshot/digest.h"

struct err;
struct json_t; /* jansson's */

#define MANIFEST_NAME	      "manifest.json"
#define MANIFEST_VERSION      1
#define MANIFEST_MAX_SIZE     (1u << 20)   /* bytes of the file; ours */
#define MANIFEST_MAX_VCPUS    64	   /* ours */
#define MANIFEST_MAX_RAM_END  (1ull << 46) /* ours: largest guest address, 64 TiB */
#define MANIFEST_MAX_FEATURES 64u	   /* ours */
#define MANIFEST_MAX_DEVICES  32u	   /* ours */
#define MANIFEST_MAX_ARGS     256u	   /* ours */
#define MANIFEST_MAX_DRIVES   8u	   /* ours */
#define MANIFEST_PATH_SIZE    1024u	   /* ours: bytes of a drive's path with its NUL */
#define MANIFEST_ID_SIZE      33u	   /* 32 lower-case hex digits and a NUL */

/* The members that a manifest describes. From the third on they are optional. */
enum manifest_member {
	MANIFEST_STATE,
	MANIFEST_MEMORY,
	MANIFEST_RAW,
	MANIFEST_WSET,
	MANIFEST_DISK, /* what was written to drive 0 before the freeze; then those of others */
	MANIFEST_NMEMBERS = MANIFEST_DISK + MANIFEST_MAX_DRIVES
};

struct manifest_file {
	uint64_t size;	      /* bytes; 0: the image has no such file */
	struct digest sha256; /* of the file; of memory.lz4: of its header and table */
};

/* One drive: the file below is not in the image, and must be what it was. */
struct manifest_drive {
	char id[32];		       /* by which a start may give another path */
	char path[MANIFEST_PATH_SIZE]; /* where it was at the freeze, absolute */
	uint64_t size;		       /* bytes */
	struct digest sha256;	       /* of all of it */
	uint32_t read_only;
	struct rate_limit bytes, ops; /* .size 0: none; .is_new is not kept */
};

/* One word of the CPUID leaves that the machine needs: its bits are the features. */
struct manifest_feature {
	char name[20]; /* "LEAF.REGISTER" or "LEAF.SUBLEAF.REGISTER", in hex: "7.ebx" */
	uint32_t value;
};

struct manifest {
	char id[MANIFEST_ID_SIZE];
	char parent[MANIFEST_ID_SIZE]; /* image that this one is a layer on; "": none */
	struct digest parent_sha256;   /* its manifest_content_digest; zero: no parent */
	char created[32];	       /* RFC 3339, UTC: "2026-01-31T12:00:00Z" */
	char thaw_version[32];

	char guest_kind[16];
	char guest_program[256];
	uint32_t nargs;
	char *args; /* owned: nargs strings one after the other, each with its NUL */

	uint32_t vcpus;
	uint32_t nregions;
	struct {
		gpa_t gpa;
		uint64_t size; /* bytes */
	} regions[MEM_MAX_REGIONS];
	struct digest cpuid_sha256;
	uint32_t tsc_khz;
	uint64_t xcr0;
	uint32_t xsave_size; /* bytes */

	uint32_t ndevices;
	char devices[MANIFEST_MAX_DEVICES][32]; /* in restore order */

	uint32_t ndrives;
	struct manifest_drive *drives; /* owned: in the order of their devices */

	char cpu_vendor[16];
	uint32_t nfeatures;
	struct manifest_feature features[MANIFEST_MAX_FEATURES];

	char host_kernel[64];
	char host_kvm[32];

	struct manifest_file files[MANIFEST_NMEMBERS];

	uint64_t ram_size;     /* bytes of all regions */
	uint64_t stored_pages; /* guest pages in memory.lz4 */
	uint64_t nonzero_size; /* bytes of them */

	struct json_t *doc; /* owned: as it was read, with unknown keys; NULL: new */
};

/* "state.bin" and so on. */
const char *manifest_member_name(enum manifest_member member);

/*
 * manifest_parse - read the bytes of a manifest.json, its own digest first.
 * Errors: -ERR_DAMAGED, naming the key; -ERR_UNFIT an intact manifest of another format
 * version; -ENOMEM. @m is zeroed after an error.
 */
int manifest_parse(struct manifest *m, const char *text, size_t len,
		   struct err *err) must_check;

/*
 * manifest_format - the bytes of the manifest.json that says what @m says.
 * @text: gets memory for free(3); not NUL-terminated. What is written was read back first.
 * Errors: -EINVAL a value that may not be in a manifest, naming the key; -ENOMEM.
 */
int manifest_format(const struct manifest *m, char **text, size_t *len,
		    struct err *err) must_check;

/* A new random id, and now as time of creation. Errors: what getrandom says. */
int manifest_stamp(struct manifest *m, struct err *err) must_check;

/* Copy the program's arguments. Errors: -E2BIG more than MANIFEST_MAX_ARGS;
 * -EINVAL one is not UTF-8; -ENOMEM. */
int manifest_set_args(struct manifest *m, size_t n, const char *const *args,
		      struct err *err) must_check;

/* Copy the drives. Errors: -E2BIG more than MANIFEST_MAX_DRIVES; -ENOMEM. */
int manifest_set_drives(struct manifest *m, uint32_t n, const struct manifest_drive *drives,
			struct err *err) must_check;

/* The RAM layout, host pointers NULL: for mem_map, or to check frames against. */
void manifest_get_mem(const struct manifest *m, struct mem *out);
void manifest_set_mem(struct manifest *m, const struct mem *mem);

/* Is this the manifest of a layer? */
static inline bool manifest_is_layer(const struct manifest *m)
{
	return m->parent[0] != '\0';
}

/*
 * manifest_content_digest - what a layer on this image depends on: SHA-256 over the digests of
 * state.bin and of memory.lz4's table, and over parent_sha256 where the image is a layer itself.
 * Errors: -ENOMEM.
 */
int manifest_content_digest(const struct manifest *m, struct digest *out,
			    struct err *err) must_check;

void manifest_fini(struct manifest *m);
