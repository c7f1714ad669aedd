/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/save.h"

#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/compat.h"
#include "snapshot/image_writer.h"
#include "snapshot/machine.h"
#include "snapshot/machine_state.h"
#include "snapshot/manifest.h"
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
	snprintf(man->guest_kind, sizeof(man->guest_kind), "kindling");
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

/* The vCPU's own CPUID and XCR0, not the shell's: they are what the image needs. */
static int describe(struct manifest *man, const struct machine *m,
		    const struct machine_state *s, const struct save_options *opt,
		    struct err *err)
{
	const struct vcpu_state *v = &s->vcpus[0];
	struct shape shape = {
		.mem = m->vm.mem,
		.nvcpus = s->nvcpus,
		.tsc_khz = v->tsc.khz,
		.xsave_size = v->nxsave * 8,
		.xcr0 = v->xcrs.xcrs[0].value,
		.cpuid = &v->cpuid,
	};
	int ret = manifest_stamp(man, err);

	if (ret == 0)
		ret = compat_describe(man, m->vm.kvm, &shape, err);
	if (ret == 0)
		ret = describe_guest(man, opt, err);
	return ret;
}

int save(struct machine *m, const char *dir, const struct save_options *opt, struct err *err)
{
	struct manifest *man = calloc(1, sizeof(*man));
	struct machine_state state = { 0 };
	struct state_writer writer = { 0 };
	struct image_content content = {
		.manifest = man,
		.state = &writer,
		.mem = &m->vm.mem,
		.raw = opt->raw,
		.sync = opt->sync,
		.progress = opt->progress,
	};
	int ret;

	if (!man)
		return err_set(err, ENOMEM, "no memory for a manifest");
	ret = machine_state_init(&state, m->vm.nvcpus, err);
	if (ret == 0)
		ret = machine_state_save(&state, m, err);
	if (ret == 0)
		ret = machine_state_encode(&state, &writer, err);
	if (ret == 0)
		ret = describe(man, m, &state, opt, err);
	if (ret == 0)
		ret = image_write(dir, &content, err);
	state_writer_fini(&writer);
	machine_state_fini(&state);
	manifest_fini(man);
	free(man);
	return ret;
}
