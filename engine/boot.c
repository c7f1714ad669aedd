/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engine/elf.h"
#include "engine/err.h"
#include "engine/identity_map.h"
#include "engine/segments.h"
#include "engine/x86.h"
#include "guest/abi.h"

/* Modules are laid down from the top of RAM, each at a page. */
struct module_area {
	uint8_t *ram;
	uint64_t top;	/* bytes of RAM not yet given away */
	uint64_t floor; /* below is the kernel's */
};

static int module_take(struct module_area *a, const char *what, uint64_t size, uint64_t *gpa,
		       struct err *err)
{
	uint64_t room = a->top - a->floor;
	uint64_t need = ALIGN_UP(size, MEM_PAGE_SIZE);

	if (size > room || need > room)
		return err_set(err, E2BIG,
			       "%s has %" PRIu64 " bytes, guest memory has room for %" PRIu64,
			       what, size, room);
	a->top -= need;
	*gpa = a->top;
	return 0;
}

static int module_copy(struct module_area *a, const char *what, const struct boot_blob *blob,
		       uint64_t *gpa, struct err *err)
{
	int ret = module_take(a, what, blob->size, gpa, err);

	if (ret == 0 && blob->size > 0)
		memcpy(a->ram + *gpa, blob->data, blob->size);
	return ret;
}

/* Bytes of all strings of @list with their NULs; @n gets how many. */
static uint64_t strings_size(const char *const *list, uint32_t *n)
{
	uint64_t size = 0;

	for (*n = 0; list[*n]; (*n)++)
		size += strlen(list[*n]) + 1;
	return size;
}

static char *strings_copy(char *to, const char *const *list)
{
	for (; *list; list++)
		to = stpcpy(to, *list) + 1;
	return to;
}

static int write_boot_info(const struct mem *mem, const struct boot_config *cfg, gpa_t floor,
			   struct err *err)
{
	const struct mem_region *ram = &mem->regions[0];
	struct abi_boot_info *info = mem_at(mem, ABI_BOOT_INFO_GPA, sizeof(*info));
	struct module_area area = { .ram = ram->host, .top = ram->size, .floor = floor };
	uint64_t size;
	int ret;

	*info = (struct abi_boot_info){
		.magic = ABI_BOOT_MAGIC,
		.version = ABI_BOOT_VERSION,
		.mode = cfg->mode,
		.ram_size = ram->size,
		.program_size = cfg->program.size,
		.files_size = cfg->files.size,
	};
	size = strings_size(cfg->argv, &info->argc);
	info->strings_size = size + strings_size(cfg->envp, &info->envc);
	/* The program lowest: kindling loads it, and gives its pages to the heap below. */
	ret = module_copy(&area, "the file archive", &cfg->files, &info->files_gpa, err);
	if (ret == 0)
		ret = module_take(&area, "the argument list", info->strings_size,
				  &info->strings_gpa, err);
	if (ret == 0)
		ret = module_copy(&area, "the program", &cfg->program, &info->program_gpa, err);
	if (ret == 0)
		strings_copy(strings_copy((char *)ram->host + info->strings_gpa, cfg->argv),
			     cfg->envp);
	return ret;
}

static int set_sregs(int fd, struct err *err)
{
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	segments_set_flat(&sregs, 0);
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	sregs.cr3 = IDENTITY_MAP_GPA;
	sregs.cr4 =
		CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE;
	sregs.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS (64-bit mode, FSGSBASE, OSXSAVE)");
	return 0;
}

static int set_vcpu(const struct vm *vm, gpa_t entry, struct err *err)
{
	struct kvm_regs regs = { .rip = entry,
				 .rsi = ABI_BOOT_INFO_GPA,
				 .rflags = RFLAGS_FIXED };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = vm->kvm->xcr0 };
	int fd = vm->vcpus[0].fd;
	int ret = set_sregs(fd, err);

	if (ret < 0)
		return ret;
	if (ioctl(fd, KVM_SET_XCRS, &xcrs) < 0)
		return err_sys(err, "KVM_SET_XCRS 0x%llx", xcrs.xcrs[0].value);
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}

int boot_kindling(struct vm *vm, const struct boot_config *cfg, struct err *err)
{
	struct elf_loaded kernel;
	int ret;

	if (vm->mem.nregions != 1 || vm->mem.regions[0].gpa != 0 ||
	    vm->mem.regions[0].size < ABI_RAM_MIN_SIZE ||
	    vm->mem.regions[0].size > ABI_RAM_MAX_SIZE)
		return err_set(err, EINVAL,
			       "kindling needs one region of RAM of %u to %u MiB at 0",
			       ABI_RAM_MIN_SIZE >> 20, ABI_RAM_MAX_SIZE >> 20);
	ret = elf_load(&vm->mem, cfg->kernel.data, cfg->kernel.size, &kernel, err);
	if (ret < 0)
		return err_wrap(err, ret, "kernel");
	if (kernel.end > ABI_KERNEL_MAX_GPA)
		return err_set(err, ENOEXEC, "kernel ends at 0x%" PRIx64 ", expected 0x%x",
			       kernel.end, ABI_KERNEL_MAX_GPA);
	identity_map_write(&vm->mem, 1);
	ret = write_boot_info(&vm->mem, cfg, ABI_KERNEL_MAX_GPA, err);
	if (ret < 0)
		return ret;
	return set_vcpu(vm, kernel.entry, err);
}
