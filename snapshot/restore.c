/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/restore.h"

#include "engine/err.h"
#include "snapshot/machine.h"
#include "snapshot/pager.h"
#include "snapshot/template.h"
#include "snapshot/tier.h"

int restore_prepare(struct machine *m, const struct template *t, const struct tier *tier,
		    struct err *err)
{
	int ret = tier_check(tier, t, err);

	if (ret == 0 && tier->prepare && m->prepared != tier)
		ret = tier->prepare(m, t, err);
	if (ret == 0)
		m->prepared = tier;
	return ret;
}

int restore(struct machine *m, const struct template *t, const struct tier *tier,
	    struct phases *phases, struct err *err)
{
	struct vcpu_tsc_now now;
	int ret = restore_prepare(m, t, tier, err);

	if (ret == 0)
		ret = tier->attach(m, t, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s", t->name);
	phase_mark(phases, PHASE_MEMORY);
	ret = machine_attach(m, &t->disks, err);
	/* After the memory: some MSRs make KVM write to it. */
	if (ret == 0)
		ret = machine_state_load(&t->state, m, &now, err);
	/* After the devices: the clock goes on from what the mailbox kept. */
	if (ret == 0)
		ret = machine_renew(m, &now, err);
	phase_mark(phases, PHASE_STATE);
	if (ret < 0 && pager_check(m->pager, err) == 0)
		return err_wrap(err, ret, "%s", t->name);
	return ret;
}
