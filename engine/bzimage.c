/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/bzimage.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/err.h"
#include "engine/pc_memory.h"

/* All of these: boot.rst, "The Real-Mode Kernel Header" and "64-bit Boot Protocol". */
#define SECTOR		  512u
#define SETUP_GPA	  offsetof(struct boot_params, hdr) /* and its place in the file */
#define MAGIC		  0x53726448u			    /* "HdrS" */
#define BOOT_FLAG	  0xaa55u
#define VERSION_MIN	  0x20cu /* the first with xloadflags */
#define SETUP_SECTS_USUAL 4u	 /* what 0 means */
#define ENTRY_64	  0x200u /* from where the kernel was put */
#define SETUP_END	  0x202u /* where the header ends that the byte before tells of */

static struct setup_header read_header(const struct boot_blob *file)
{
	struct setup_header h = { 0 };

	if (file->size > SETUP_GPA)
		memcpy(&h, (const uint8_t *)file->data + SETUP_GPA,
		       MIN(sizeof(h), file->size - SETUP_GPA));
	return h;
}

bool bzimage_is(const struct boot_blob *file)
{
	const struct setup_header h = read_header(file);

	return h.header == MAGIC && h.boot_flag == BOOT_FLAG;
}

static int check_header(const struct setup_header *h, struct err *err)
{
	if (h->version < VERSION_MIN)
		return err_set(err, ENOEXEC, "boot protocol %u.%02u, expected 2.12 or later",
			       h->version >> 8, h->version & 0xffu);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return err_set(err, ENOEXEC, "a 32-bit kernel, expected a 64-bit one");
	if (h->pref_address < PC_MIDDLE_GPA)
		return err_set(err, ENOEXEC,
			       "kernel prefers to be at 0x%llx, expected 0x%x or above",
			       h->pref_address, PC_MIDDLE_GPA);
	return 0;
}

static uint64_t payload_size(const struct setup_header *h)
{
	return (uint64_t)h->syssize * 16;
}

/* What follows the setup code, the kernel itself; NULL and @err where it is not all there. */
static const uint8_t *find_payload(const struct boot_blob *file, const struct setup_header *h,
				   struct err *err)
{
	const uint32_t sectors = 1 + (h->setup_sects ? h->setup_sects : SETUP_SECTS_USUAL);
	const uint64_t at = (uint64_t)sectors * SECTOR;
	const uint64_t size = payload_size(h);

	if (size <= ENTRY_64) {
		err_set(err, ENOEXEC, "kernel of %" PRIu64 " bytes has no entry point", size);
		return NULL;
	}
	if (at > file->size || size > file->size - at) {
		err_set(err, ENOEXEC, "file of %zu bytes, expected %" PRIu64, file->size,
			at + size);
		return NULL;
	}
	return (const uint8_t *)file->data + at;
}

/* The kernel needs init_size bytes to unpack itself in. Below its preferred place it would move
 * there, and above is no more room: so there, relocatable or not. */
static int place(const struct mem *mem, const struct setup_header *h, const uint8_t *payload,
		 struct linux_kernel *kernel, struct err *err)
{
	const uint64_t need = MAX((uint64_t)h->init_size, payload_size(h));
	const uint64_t low = mem->regions[0].size;

	if (h->pref_address > low || need > low - h->pref_address)
		return err_set(err, E2BIG,
			       "kernel needs %" PRIu64 " bytes of memory at 0x%llx, which ends "
			       "at 0x%" PRIx64,
			       need, h->pref_address, low);
	memcpy(mem_at(mem, h->pref_address, need), payload, payload_size(h));
	kernel->entry = h->pref_address + ENTRY_64;
	kernel->end = h->pref_address + need;
	return 0;
}

int bzimage_load(const struct mem *mem, const struct boot_blob *file,
		 struct linux_kernel *kernel, struct err *err)
{
	const struct setup_header h = read_header(file);
	const uint8_t *bytes = file->data, *payload;
	int ret = check_header(&h, err);

	if (ret < 0)
		return ret;
	payload = find_payload(file, &h, err);
	if (!payload)
		return -ENOEXEC;
	*kernel = (struct linux_kernel){
		.cmdline_max = h.cmdline_size,
		.initrd_end = MIN((gpa_t)h.initrd_addr_max + 1, PC_HOLE_GPA),
		.setup = bytes + SETUP_GPA,
		.setup_size = MIN(SETUP_END + bytes[SETUP_END - 1] - SETUP_GPA, sizeof(h)),
	};
	return place(mem, &h, payload, kernel, err);
}
