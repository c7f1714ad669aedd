/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/save.h"

#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/compat.h"
#include "snapshot/disks.h"
#include "snapshot/image_writer.h"
#include "snapshot/machine.h"
#include "snapshot/machine_state.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"
#include "snapshot/version.h"

static int describe_guest(struct manifest *man, const struct save_options *opt, struct err *err)
{
	size_t n = 0;

	for (const char *c = opt->program; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, EINVAL,
				       "the program's name has control character 0x%02x",
				       (unsigned char)*c);
	}
	snprintf(man->thaw_version, sizeof(man->thaw_version), "%s", THAW_VERSION);
	snprintf(man->guest_kind, sizeof(man->guest_kind), "%s", opt->kind);
	snprintf(man->guest_program, sizeof(man->guest_program), "%s", opt->program);
	while (opt->args[n])
		n++;
	return manifest_set_args(man, n, opt->args, err);
}

int save_check(const struct save_options *opt, struct err *err)
{
	struct manifest *man = calloc(1, sizeof(*man));
	int ret;

	if (!man)
		return err_set(err, ENOMEM, "no memory for a manifest");
	ret = describe_guest(man, opt, err);
	manifest_fini(man);
	free(man);
	return ret;
}

static int describe(struct manifest *man, const struct kvm *kvm, const struct shape *shape,
		    const struct save_options *opt, struct err *err)
{
	int ret = manifest_stamp(man, err);

	if (ret == 0)
		ret = compat_describe(man, kvm, shape, err);
	if (ret == 0)
		ret = describe_guest(man, opt, err);
	return ret;
}

/* A guest that cannot answer an event now may do so later, and a host without userfaultfd makes
 * good images: neither is an error of save. */
static void find_wset(const struct record_source *src, const struct save_options *opt,
		      struct wset *wset, struct save_report *report)
{
	nsec_t start = clock_monotonic();

	*report = (struct save_report){ 0 };
	if (!opt->record)
		return;
	report->record_ret = record(src, opt->record, wset, &report->record_err);
	report->record_ns = clock_monotonic() - start;
}

/* What was written to drives, for the image and for clones. */
static int take_disks(const struct machine *m, struct manifest *man, int *files,
		      struct disks *clones, struct err *err)
{
	int ret = disk_files_take(files, &m->vm, err);

	if (ret == 0 && m->disks)
		ret = disks_describe(m->disks, man, err);
	return ret == 0 && m->disks ? disks_clone(clones, m->disks, files, err) : ret;
}

/* Everything but the memory is in @state. */
static int write_image(struct machine *m, const char *dir, const struct machine_state *state,
		       const struct save_options *opt, struct save_report *report,
		       struct err *err)
{
	struct manifest *man = calloc(1, sizeof(*man));
	struct shape shape;
	struct record_source src = {
		.kvm = m->vm.kvm, .shape = &shape, .state = state, .mem = &m->vm.mem
	};
	struct state_writer writer = { 0 };
	int files[MANIFEST_MAX_DRIVES];
	struct disks disks = { 0 }; /* for the machines of record runs */
	struct wset wset = { 0 };
	struct image_content content = {
		.manifest = man,
		.state = &writer,
		.mem = &m->vm.mem,
		.wset = &wset,
		.disk_fds = files,
		.raw = opt->raw,
		.sync = opt->sync,
		.progress = opt->progress,
	};
	int ret;

	if (!man)
		return err_set(err, ENOMEM, "no memory for a manifest");
	disk_files_init(files);
	machine_state_shape(state, &m->vm.mem, &shape);
	ret = machine_state_encode(state, &writer, err);
	if (ret == 0)
		ret = describe(man, m->vm.kvm, &shape, opt, err);
	if (ret == 0)
		ret = take_disks(m, man, files, &disks, err);
	if (ret == 0) {
		src.disks = &disks;
		find_wset(&src, opt, &wset, report);
		ret = image_write(dir, &content, err);
	}
	wset_fini(&wset);
	disks_close(&disks);
	disk_files_close(files);
	state_writer_fini(&writer);
	manifest_fini(man);
	free(man);
	return ret;
}

int save(struct machine *m, const char *dir, const struct save_options *opt,
	 struct save_report *report, struct err *err)
{
	struct machine_state state = { 0 };
	struct save_report unread;
	int ret = machine_finish(m, err);

	if (ret == 0)
		ret = machine_state_init_for(&state, m, err);
	if (ret < 0)
		return ret;
	worker_lock(&m->vm.worker);
	ret = machine_state_save(&state, m, err);
	if (ret == 0)
		ret = write_image(m, dir, &state, opt, report ? report : &unread, err);
	worker_unlock(&m->vm.worker);
	machine_state_fini(&state);
	return ret;
}
