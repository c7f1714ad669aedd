/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/cpuid_linux.h"
#include "guest/abi.h"
#include "snapshot/kind.h"
#include "tools/thaw/archive.h"
#include "tools/thaw/blob.h"
#include "tools/thaw/guest_io.h"

/* kindling, put into the program by the Makefile. */
extern const uint8_t kindling_elf_start[], kindling_elf_end[];

void launch_init(struct launch *l)
{
	memset(l, 0, sizeof(*l)); /* too large to be copied from the stack */
	l->mailbox_fd = -1;
	l->kvm.fd = -1;
	l->machine.vm.fd = -1;
}

static int set_mem(struct launch *l, const struct cmd *cmd, const char *value)
{
	l->mem_text = value;
	return opt_size(cmd, "--mem", value, &l->mem_size);
}

static const struct kind *kind_of(const struct launch *l)
{
	return l->linux_guest.wanted ? &kind_linux : &kind_kindling;
}

const char *launch_kind(const struct launch *l)
{
	return kind_of(l)->name;
}

int launch_check(struct launch *l, const struct cmd *cmd)
{
	const struct kind *k = kind_of(l);

	if (l->linux_guest.initrd && (l->files || l->nenv > 0))
		return cmd_usage(cmd, "%s is for our init, and --initrd has its own",
				 l->files ? "--files" : "--env");
	if (!l->mem_text)
		l->mem_size = k->ram_default;
	if (l->mem_size < k->ram_min || l->mem_size > k->ram_max ||
	    l->mem_size % MEM_HUGE_SIZE != 0)
		return cmd_usage(cmd,
				 "--mem is %s, expected %lluM to %lluG in steps of 2M for %s",
				 l->mem_text, (unsigned long long)k->ram_min >> 20,
				 (unsigned long long)k->ram_max >> 30, k->name);
	return 0;
}

int launch_option(struct launch *l, const struct cmd *cmd, int opt, const char *value)
{
	switch (opt) {
	case 'm':
		return set_mem(l, cmd, value);
	case 'f':
		l->files = value;
		return 0;
	case 'e':
		if (!strchr(value, '=') || value[0] == '=')
			return cmd_usage(cmd, "--env is '%s', expected NAME=VALUE", value);
		if (l->nenv == LAUNCH_MAX_ENV)
			return cmd_usage(cmd, "more than %u --env options", LAUNCH_MAX_ENV);
		l->env[l->nenv++] = value;
		return 0;
	default:
		return linux_guest_option(&l->linux_guest, cmd, opt, value, l->drive_mode);
	}
}

const char *launch_name(const struct launch *l)
{
	const char *path = l->argv[0] ? l->argv[0] : l->linux_guest.initrd;
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int open_host(struct launch *l, struct err *err)
{
	const struct linux_guest *g = &l->linux_guest;
	int ret = kvm_open(&l->kvm, err);

	for (uint32_t i = 0; i < g->ndrives && ret == 0; i++)
		ret = disks_add(&l->disks, &g->drives[i].spec, err);
	if (ret < 0)
		return ret;
	l->mailbox_fd = mailbox_memfd(err);
	return MIN(l->mailbox_fd, 0);
}

static int make_machine(struct launch *l, const struct cpuid *cpuid, struct err *err)
{
	struct shape shape;
	int ret;

	kind_shape(kind_of(l), &l->kvm, cpuid, l->mem_size, l->linux_guest.ndrives, &shape);
	ret = machine_create(&l->machine, &l->kvm, &shape, l->mailbox_fd, err);
	return ret < 0 ? ret : machine_attach(&l->machine, &l->disks, err);
}

static int boot_kindling_program(struct launch *l, uint32_t mode, const struct blob *program,
				 const struct blob *files, struct err *err)
{
	const struct boot_config cfg = {
		.kernel = { kindling_elf_start,
			    (size_t)(kindling_elf_end - kindling_elf_start) },
		.program = { program->data, program->size },
		.files = { files->data, files->size },
		.argv = (const char *const *)l->argv,
		.envp = l->env,
		.mode = mode,
	};
	int ret = open_host(l, err);

	l->argv[0] = (char *)(uintptr_t)launch_name(l);
	if (ret == 0)
		ret = make_machine(l, &l->kvm.cpuid, err);
	return ret < 0 ? ret : machine_boot(&l->machine, &cfg, err);
}

static int launch_kindling(struct launch *l, uint32_t mode, struct err *err)
{
	struct blob program = { 0 }, files = { 0 };
	int ret = blob_read(&program, l->argv[0], l->mem_size, err);

	if (ret == 0 && l->files)
		ret = archive_files(&files, l->files, l->mem_size, err);
	if (ret == 0)
		ret = boot_kindling_program(l, mode, &program, &files, err);
	blob_free(&program);
	blob_free(&files);
	return ret;
}

static int boot_linux_files(struct launch *l, const struct linux_files *files, struct err *err)
{
	const struct linux_boot boot = {
		.kernel = { files->kernel.data, files->kernel.size },
		.initrd = { files->initrd.data, files->initrd.size },
		.cmdline = files->cmdline,
		.entry = l->linux_guest.entry,
	};

	return machine_boot_linux(&l->machine, &boot, err);
}

static int launch_linux(struct launch *l, uint32_t mode, struct err *err)
{
	struct linux_program program = {
		.argv = (const char *const *)l->argv,
		.envp = l->env,
		.files = l->files,
		.terminal = mode == ABI_MODE_TERMINAL,
	};
	struct linux_host host = { 0 };
	struct linux_files files = { 0 };
	int ret = open_host(l, err);

	if (ret == 0) {
		cpuid_for_linux(&l->kvm, &l->cpuid);
		ret = make_machine(l, &l->cpuid, err);
	}
	host.is_slow = l->kvm.quirks & QUIRK_SLOW_RING0;
	host.quirks = linux_cmdline_quirks(&l->kvm);
	host.nvirtio = l->machine.vm.nplaces;
	if (ret == 0)
		ret = linux_guest_files(&l->linux_guest, &program, &host, &files, err);
	if (ret == 0)
		ret = boot_linux_files(l, &files, err);
	linux_guest_files_free(&files);
	if (ret == 0 && program.terminal)
		ret = guest_serial_join(&l->serial, &l->machine.vm, err);
	else if (ret == 0)
		machine_log_serial(&l->machine);
	return ret;
}

int launch_boot(struct launch *l, uint32_t mode, const struct mailbox_ops *ops, struct err *err)
{
	int ret = l->linux_guest.wanted ? launch_linux(l, mode, err)
					: launch_kindling(l, mode, err);

	if (ret == 0)
		l->machine.mailbox->ops = *ops;
	return ret;
}

void launch_print_crash(const struct launch *l)
{
	char text[MAILBOX_CRASH_TEXT];

	if (!l->machine.mailbox || l->machine.mailbox->stop != MAILBOX_CRASH)
		return;
	mailbox_crash_text(l->machine.mailbox, text, sizeof(text));
	fprintf(stderr, "%s\n", text);
}

void launch_fini(struct launch *l)
{
	machine_destroy(&l->machine);
	guest_log_end();
	if (l->mailbox_fd >= 0)
		close(l->mailbox_fd);
	disks_close(&l->disks);
	kvm_close(&l->kvm);
	linux_guest_fini(&l->linux_guest);
}
