/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/boot_linux.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/err.h"
#include "engine/pc_memory.h"

/* Where the BIOS looks for how to boot: IBM PC/AT Technical Reference, 40:72. */
#define RESET_FLAG_GPA	0x472u
#define RESET_FLAG_WARM 0x1234u

static int check_memory(const struct mem *mem, struct err *err)
{
	if (mem->nregions > 0 && mem->regions[0].gpa == 0 &&
	    mem->regions[0].size > PC_MIDDLE_GPA && mem->regions[0].size <= PC_HOLE_GPA)
		return 0;
	return err_set(err, EINVAL, "Linux needs RAM from 0 to beyond 0x%x, and none at 0x%llx",
		       PC_MIDDLE_GPA, PC_HOLE_GPA);
}

static int put_cmdline(const struct mem *mem, const char *cmdline, struct linux_start *start,
		       struct err *err)
{
	const uint64_t room = LINUX_CMDLINE_END - LINUX_CMDLINE_GPA - 1;
	const uint64_t most = MIN(start->kernel->cmdline_max, room);
	const size_t len = strlen(cmdline);

	if (len > most)
		return err_set(err, E2BIG,
			       "command line has %zu bytes, the kernel takes %" PRIu64, len,
			       most);
	start->cmdline = LINUX_CMDLINE_GPA;
	memcpy(mem_at(mem, start->cmdline, len + 1), cmdline, len + 1);
	return 0;
}

/* As high as may be: kernels unpack themselves upwards. */
static int put_initrd(const struct mem *mem, const struct boot_blob *initrd,
		      struct linux_start *start, struct err *err)
{
	const gpa_t floor = ALIGN_UP(start->kernel->end, MEM_PAGE_SIZE);
	const gpa_t top =
		MIN(mem->regions[0].size, start->kernel->initrd_end) & ~(MEM_PAGE_SIZE - 1ull);
	const uint64_t room = top > floor ? top - floor : 0;

	if (initrd->size == 0)
		return 0;
	if (initrd->size > room)
		return err_set(err, E2BIG,
			       "initrd has %zu bytes, guest memory has room for %" PRIu64,
			       initrd->size, room);
	start->initrd_size = initrd->size;
	start->initrd = (top - initrd->size) & ~(MEM_PAGE_SIZE - 1ull);
	memcpy(mem_at(mem, start->initrd, initrd->size), initrd->data, initrd->size);
	return 0;
}

int boot_linux(struct vm *vm, const struct linux_boot *boot, struct err *err)
{
	struct linux_kernel kernel;
	struct linux_start start = { .kernel = &kernel, .rsdp = boot->rsdp };
	int ret = check_memory(&vm->mem, err);

	if (ret < 0)
		return ret;
	ret = linux_kernel_load(&vm->mem, &boot->kernel, boot->entry, &kernel, err);
	if (ret < 0)
		return err_wrap(err, ret, "kernel");
	ret = put_cmdline(&vm->mem, boot->cmdline, &start, err);
	if (ret == 0)
		ret = put_initrd(&vm->mem, &boot->initrd, &start, err);
	if (ret < 0)
		return ret;
	return kernel.is_pvh ? linux_start_pvh(vm, &start, err)
			     : linux_start_64(vm, &start, err);
}

bool boot_linux_panicked(const struct mem *mem)
{
	const void *flag = mem_at(mem, RESET_FLAG_GPA, sizeof(uint16_t));
	uint16_t how = 0;

	if (flag)
		memcpy(&how, flag, sizeof(how));
	return how == RESET_FLAG_WARM;
}
