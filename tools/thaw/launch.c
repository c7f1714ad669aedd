/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest/abi.h"
#include "snapshot/kind.h"
#include "tools/thaw/archive.h"
#include "tools/thaw/blob.h"
#include "tools/thaw/guest_io.h"

#define MEM_DEFAULT (64ull << 20)

/* kindling, put into the program by the Makefile. */
extern const uint8_t kindling_elf_start[], kindling_elf_end[];

void launch_init(struct launch *l)
{
	memset(l, 0, sizeof(*l)); /* too large to be copied from the stack */
	l->mem_size = MEM_DEFAULT;
	l->mailbox_fd = -1;
	l->kvm.fd = -1;
	l->machine.vm.fd = -1;
}

static int set_mem(struct launch *l, const struct cmd *cmd, const char *value)
{
	int code = opt_size(cmd, "--mem", value, &l->mem_size);

	if (code != 0)
		return code;
	if (l->mem_size < ABI_RAM_MIN_SIZE || l->mem_size > ABI_RAM_MAX_SIZE ||
	    l->mem_size % MEM_HUGE_SIZE != 0)
		return cmd_usage(cmd, "--mem is %s, expected 16M to 3G in steps of 2M", value);
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
		return cmd_usage(cmd, "unknown option");
	}
}

const char *launch_name(const struct launch *l)
{
	const char *slash = strrchr(l->argv[0], '/');

	return slash ? slash + 1 : l->argv[0];
}

static int make_machine(struct launch *l, const struct mailbox_ops *ops, struct err *err)
{
	struct shape shape;
	int ret = kvm_open(&l->kvm, err);

	if (ret < 0)
		return ret;
	l->mailbox_fd = mailbox_memfd(err);
	if (l->mailbox_fd < 0)
		return l->mailbox_fd;
	ret = kind_shape(&kind_kindling, &l->kvm, &l->kvm.cpuid, l->mem_size, 0, &shape, err);
	if (ret == 0)
		ret = machine_create(&l->machine, &l->kvm, &shape, l->mailbox_fd, err);
	if (ret == 0)
		l->machine.mailbox->ops = *ops;
	return ret;
}

int launch_boot(struct launch *l, uint32_t mode, const struct mailbox_ops *ops, struct err *err)
{
	struct boot_config cfg = {
		.kernel = { kindling_elf_start,
			    (size_t)(kindling_elf_end - kindling_elf_start) },
		.envp = l->env,
		.mode = mode,
	};
	struct blob program = { 0 }, files = { 0 };
	const char *path = l->argv[0];
	int ret = blob_read(&program, path, l->mem_size, err);

	if (ret == 0 && l->files)
		ret = archive_files(&files, l->files, l->mem_size, err);
	if (ret == 0)
		ret = make_machine(l, ops, err);
	if (ret == 0) {
		cfg.program = (struct boot_blob){ program.data, program.size };
		cfg.files = (struct boot_blob){ files.data, files.size };
		l->argv[0] = (char *)(uintptr_t)launch_name(l);
		cfg.argv = (const char *const *)l->argv;
		ret = machine_boot(&l->machine, &cfg, err);
	}
	blob_free(&program);
	blob_free(&files);
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
	kvm_close(&l->kvm);
}
