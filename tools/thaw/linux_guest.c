/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/linux_guest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/board.h"
#include "engine/err.h"
#include "tools/thaw/initrd.h"

#define FILE_MAX (4ull << 30) /* ours: of a kernel or an initrd */

/* ---- options ---- */

static const struct drive_option *find_drive(const struct linux_guest *g, const char *id)
{
	for (uint32_t i = 0; i < g->ndrives; i++) {
		if (strcmp(g->drives[i].spec.id, id) == 0)
			return &g->drives[i];
	}
	return NULL;
}

static int take_drive(struct linux_guest *g, const struct cmd *cmd,
		      const struct drive_option *d)
{
	if (find_drive(g, d->spec.id))
		return cmd_usage(cmd, "two drives are named %s", d->spec.id);
	g->drives[g->ndrives++] = *d;
	return 0;
}

static int add_drive(struct linux_guest *g, const struct cmd *cmd, const char *value,
		     enum drive_mode writable)
{
	struct drive_option d = { .spec.mode = writable };
	int code;

	if (g->ndrives == MANIFEST_MAX_DRIVES)
		return cmd_usage(cmd, "more than %u drives", MANIFEST_MAX_DRIVES);
	code = drive_option_parse(&d, cmd, value, DRIVE_TO_BOOT);
	if (code == 0)
		code = take_drive(g, cmd, &d);
	if (code != 0)
		drive_option_free(&d);
	return code;
}

static int set_rootfs(struct linux_guest *g, const struct cmd *cmd, const char *path)
{
	char *value = NULL;
	int code;

	if (asprintf(&value, "root=%s,ro", path) < 0)
		return cmd_usage(cmd, "no memory for --rootfs");
	code = add_drive(g, cmd, value, DRIVE_RO);
	free(value);
	return code;
}

static int set_entry(struct linux_guest *g, const struct cmd *cmd, const char *value)
{
	if (strcmp(value, "pvh") == 0)
		g->entry = LINUX_ENTRY_PVH;
	else if (strcmp(value, "64") == 0)
		g->entry = LINUX_ENTRY_64;
	else
		return cmd_usage(cmd, "--entry is '%s', expected pvh or 64", value);
	return 0;
}

int linux_guest_option(struct linux_guest *g, const struct cmd *cmd, int opt, const char *value,
		       enum drive_mode writable)
{
	g->wanted = true;
	switch (opt) {
	case OPT_LINUX:
		return 0;
	case OPT_KERNEL:
		g->kernel = value;
		return 0;
	case OPT_INITRD:
		g->initrd = value;
		return 0;
	case OPT_ROOTFS:
		return set_rootfs(g, cmd, value);
	case OPT_CMDLINE:
		g->cmdline = value;
		return 0;
	case OPT_DRIVE:
		return add_drive(g, cmd, value, writable);
	case OPT_ENTRY:
		return set_entry(g, cmd, value);
	default:
		return cmd_usage(cmd, "unknown option");
	}
}

void linux_guest_fini(struct linux_guest *g)
{
	for (uint32_t i = 0; i < g->ndrives; i++)
		drive_option_free(&g->drives[i]);
	*g = (struct linux_guest){ 0 };
}

/* ---- files ---- */

/* Where ours are: beside the program, as it was built or installed. */
static int find_ours(char *path, size_t size, const char *name, struct err *err)
{
	static const char *const beside[] = { "../build/linux", "../lib/thaw/linux" };
	const char *dir = getenv("THAW_LINUX");
	char self[PATH_MAX] = "";
	char *slash;

	if (dir) {
		snprintf(path, size, "%s/%s", dir, name);
		return 0;
	}
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return err_sys(err, "/proc/self/exe");
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < ARRAY_SIZE(beside); i++) {
		snprintf(path, size, "%.*s/%s/%s", (int)(slash - self), self, beside[i], name);
		if (access(path, F_OK) == 0)
			return 0;
	}
	return err_set(err, ENOENT, "no %s of ours: run 'make linux-guest', or set THAW_LINUX",
		       name);
}

static int read_kernel(const struct linux_guest *g, bool slow, struct blob *out,
		       struct err *err)
{
	char path[PATH_MAX];
	int ret;

	if (g->kernel)
		return blob_read(out, g->kernel, FILE_MAX, err);
	ret = find_ours(path, sizeof(path), slow ? "vmlinux-minimal" : "vmlinux-full", err);
	return ret < 0 ? ret : blob_read(out, path, FILE_MAX, err);
}

static int make_initrd(const struct linux_guest *g, const struct linux_program *p,
		       struct blob *out, struct err *err)
{
	const char *argv[MANIFEST_MAX_ARGS + 2];
	struct initrd in = { .argv = argv, .envp = p->envp, .files = p->files };
	char path[PATH_MAX];
	uint32_t n = 0;
	int ret;

	if (g->initrd)
		return blob_read(out, g->initrd, FILE_MAX, err);
	while (p->argv[n] && n <= MANIFEST_MAX_ARGS) {
		argv[n] = p->argv[n];
		n++;
	}
	if (p->argv[n])
		return err_set(err, E2BIG, "more than %u arguments", MANIFEST_MAX_ARGS);
	argv[n] = NULL;
	ret = find_ours(path, sizeof(path), "initramfs.cpio", err);
	in.base = path;
	if (!find_drive(g, "root") && n > 0) {
		in.program = argv[0];
		argv[0] = "/program";
	}
	return ret < 0 ? ret : initrd_make(out, &in, FILE_MAX, err);
}

/* ---- the command line ---- */

/* ptp_kvm asks by a hypercall whether it is of use. Where ring 0 is emulated, KVM patches the
 * instruction for its CPU and emulates it again, for ever. */
#define NO_HYPERCALL " initcall_blacklist=ptp_kvm_init"

/* Drives that our init knows what to do with. */
static void put_drives(FILE *out, const struct linux_guest *g)
{
	static const char *const known[] = { "root", "upper", "data" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct drive_option *d = find_drive(g, known[i]);

		if (d)
			fprintf(out, " thaw.%s=/dev/vd%c", known[i],
				(char)('a' + (int)(d - g->drives)));
	}
}

/* Our kernel for slow hosts has no ACPI, whose tables are slow to read there. */
static void put_virtio(FILE *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, " virtio_mmio.device=4K@0x%x:%u",
			BOARD_VIRTIO_GPA + i * BOARD_VIRTIO_SIZE, BOARD_VIRTIO_GSI + i);
}

static int make_cmdline(const struct linux_guest *g, const struct linux_program *p,
			const struct linux_host *host, char **text, struct err *err)
{
	size_t size;
	FILE *out = open_memstream(text, &size);

	if (!out)
		return err_set(err, ENOMEM, "no memory for a command line");
	/* Our kernel's own words go to the mailbox: a line is one exit, not one for each byte. */
	fprintf(out, "console=%s " LINUX_RESETS "%s%s%s",
		p->terminal || g->kernel ? "ttyS0" : "thaw", p->terminal ? "" : " quiet",
		*host->quirks ? " " : "", host->quirks);
	if (!g->kernel && host->is_slow)
		put_virtio(out, host->nvirtio);
	else if (host->is_slow)
		fputs(NO_HYPERCALL, out);
	if (!g->initrd) {
		fputs(p->terminal ? " thaw.terminal" : "", out);
		put_drives(out, g);
	}
	if (g->cmdline)
		fprintf(out, " %s", g->cmdline);
	return fclose(out) == 0 ? 0 : err_set(err, ENOMEM, "no memory for a command line");
}

int linux_guest_files(const struct linux_guest *g, const struct linux_program *p,
		      const struct linux_host *host, struct linux_files *out, struct err *err)
{
	int ret = read_kernel(g, host->is_slow, &out->kernel, err);

	if (ret == 0)
		ret = make_initrd(g, p, &out->initrd, err);
	return ret < 0 ? ret : make_cmdline(g, p, host, &out->cmdline, err);
}

void linux_guest_files_free(struct linux_files *f)
{
	blob_free(&f->kernel);
	blob_free(&f->initrd);
	free(f->cmdline);
	*f = (struct linux_files){ 0 };
}
