/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_state.c - the KVM ioctls that make up a vCPU's state, and their order.
 *
 * The parts that are one struct and one ioctl each way are rows of a table; the two orders are
 * lists, and every position that matters carries its reason. CPUID, XSAVE, MSRs and the TSC
 * take a list or a value and have functions of their own. CPUID is not loaded here: KVM takes
 * it only before the first KVM_RUN, so it belongs to the making of the VM.
 */
#include "engine/vcpu_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#define LOG "vcpu"
#include "engine/clock.h"
#include "engine/err.h"
#include "engine/log.h"
#include "engine/vcpu_msrs.h"
#include "engine/x86.h"

struct vcpu_part {
	const char *name;
	unsigned long get, set;
	size_t off;
};

/* clang-format off */
/* A row whose struct is not what the ioctl copies does not compile. */
#define SAME(GET, SET, m) (_IOC_SIZE(GET) == sizeof(((struct vcpu_state *)0)->m) && \
			   _IOC_SIZE(SET) == sizeof(((struct vcpu_state *)0)->m))
#define PART(m, what) { \
	.name = #what, .get = KVM_GET_##what, .set = KVM_SET_##what, \
	.off = __builtin_choose_expr(SAME(KVM_GET_##what, KVM_SET_##what, m), \
				     offsetof(struct vcpu_state, m), (void)0) }

enum part { MP_STATE, REGS, SREGS, XCRS, DEBUGREGS, LAPIC, EVENTS, NPARTS, XSAVE, MSRS };

static const struct vcpu_part parts[NPARTS] = {
	[MP_STATE]  = PART(mp_state,  MP_STATE),
	[REGS]	    = PART(regs,      REGS),
	[SREGS]	    = PART(sregs,     SREGS),
	[XCRS]	    = PART(xcrs,      XCRS),
	[DEBUGREGS] = PART(debugregs, DEBUGREGS),
	[LAPIC]	    = PART(lapic,     LAPIC),
	[EVENTS]    = PART(events,    VCPU_EVENTS),
};

static const enum part save_order[] = {
	MP_STATE,  /* first: KVM accepts pending INIT/SIPI here, which changes the rest */
	REGS,
	SREGS,
	XSAVE,
	XCRS,
	DEBUGREGS,
	LAPIC,
	MSRS,	   /* after LAPIC: reading the APIC may move the timer on */
	EVENTS,	   /* last: the reads above may still move a pending event */
};

static const enum part load_order[] = {
	MP_STATE,
	SREGS,	   /* before LAPIC: carries the APIC base; before XCRS: CR4.OSXSAVE */
	XCRS,	   /* before XSAVE: says which components exist */
	XSAVE,
	DEBUGREGS,
	LAPIC,	   /* before MSRs: the TSC deadline needs the timer's mode */
	MSRS,
	REGS,
	EVENTS,	   /* last: KVM_SET_REGS drops pending exceptions */
};
/* clang-format on */

/* What an exit shows, and MP_STATE, which it implies. */
static const uint32_t shown_parts = 1u << MP_STATE | 1u << REGS | 1u << SREGS | 1u << EVENTS;

_Static_assert(ARRAY_SIZE(save_order) == NPARTS + 2, "every part is saved");
_Static_assert(ARRAY_SIZE(load_order) == NPARTS + 2, "every part is loaded");

static int xsave_get(const struct kvm *kvm, int fd, struct vcpu_state *s, struct err *err)
{
	unsigned long request = kvm->xsave2 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;

	if (ioctl(fd, request, s->xsave) < 0)
		return err_sys(err, "KVM_GET_XSAVE");
	s->nxsave = kvm->xsave_size / 8;
	return 0;
}

static int xsave_set(int fd, const struct vcpu_state *s, struct err *err)
{
	/* KVM copies as many bytes as it thinks right. The array has room for any of its
	 * sizes, and zeros beyond what was saved mean components in their initial state. */
	if (ioctl(fd, KVM_SET_XSAVE, s->xsave) < 0)
		return err_sys(err, "KVM_SET_XSAVE");
	return 0;
}

static int part_save(const struct kvm *kvm, int fd, enum part part, struct vcpu_state *s,
		     struct err *err)
{
	if (part == XSAVE)
		return xsave_get(kvm, fd, s, err);
	if (part == MSRS)
		return vcpu_msrs_save(kvm, fd, s, err);
	if (ioctl(fd, parts[part].get, (uint8_t *)s + parts[part].off) < 0)
		return err_sys(err, "KVM_GET_%s", parts[part].name);
	return 0;
}

int vcpu_state_save(const struct kvm *kvm, int fd, struct vcpu_state *s, struct err *err)
{
	int ret, khz;

	memset(s, 0, sizeof(*s)); /* padding inside KVM structs must not leak host bytes */
	for (size_t i = 0; i < ARRAY_SIZE(save_order); i++) {
		ret = part_save(kvm, fd, save_order[i], s, err);
		if (ret < 0)
			return ret;
	}
	khz = ioctl(fd, KVM_GET_TSC_KHZ, 0);
	if (khz < 0)
		return err_sys(err, "KVM_GET_TSC_KHZ");
	s->tsc.khz = (uint32_t)khz;
	return vcpu_cpuid_save(fd, &s->cpuid, err);
}

static int part_load(const struct kvm *kvm, int fd, enum part part, const struct vcpu_state *s,
		     struct vcpu_tsc_now *now, struct err *err)
{
	if (part == XSAVE)
		return xsave_set(fd, s, err);
	if (part == MSRS)
		return vcpu_msrs_load(kvm, fd, s, now, err);
	if (ioctl(fd, parts[part].set, (const uint8_t *)s + parts[part].off) < 0)
		return err_sys(err, "KVM_SET_%s", parts[part].name);
	return 0;
}

/* The parts that @s has as a new vCPU has them. */
static uint32_t born_parts(const struct kvm *kvm, const struct vcpu_state *s)
{
	const struct kvm_born *b = &kvm->born;
	uint32_t same = 0;

	/* The first processor starts as runnable, the others do not. */
	if (s->mp_state.mp_state == KVM_MP_STATE_RUNNABLE && s->sregs.apic_base & APIC_BASE_BSP)
		same |= 1u << MP_STATE;
	if (memcmp(&s->debugregs, &b->debugregs, sizeof(b->debugregs)) == 0)
		same |= 1u << DEBUGREGS;
	if (memcmp(&s->lapic, &b->lapic, sizeof(b->lapic)) == 0)
		same |= 1u << LAPIC;
	return same;
}

/* All parts but those of which @skip has the bit. */
static int parts_load(const struct kvm *kvm, int fd, uint32_t skip, const struct vcpu_state *s,
		      struct vcpu_tsc_now *now, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(load_order) && ret == 0; i++) {
		if (!(skip >> load_order[i] & 1))
			ret = part_load(kvm, fd, load_order[i], s, now, err);
	}
	return ret;
}

static int load_but(const struct kvm *kvm, int fd, uint32_t skip, const struct vcpu_state *s,
		    struct vcpu_tsc_now *now, struct err *err)
{
	int ret;

	if (kvm->tsc_scaling && s->tsc.khz != kvm->tsc_khz &&
	    ioctl(fd, KVM_SET_TSC_KHZ, (unsigned long)s->tsc.khz) < 0)
		return err_sys(err, "KVM_SET_TSC_KHZ %u", s->tsc.khz);
	ret = parts_load(kvm, fd, skip, s, now, err);
	if (ret < 0)
		return ret;
	/* Tells the guest not to take the gap for a lockup. */
	if (kvm->kvmclock_ctrl && vcpu_msrs_have_kvmclock(&s->msrs) &&
	    ioctl(fd, KVM_KVMCLOCK_CTRL, 0) < 0)
		log_debug("KVM_KVMCLOCK_CTRL: %s", strerrordesc_np(errno));
	return 0;
}

int vcpu_state_load(const struct kvm *kvm, int fd, const struct vcpu_state *s,
		    struct vcpu_tsc_now *now, struct err *err)
{
	return load_but(kvm, fd, 0, s, now, err);
}

int vcpu_state_load_new(const struct kvm *kvm, int fd, const struct vcpu_state *s,
			struct vcpu_tsc_now *now, struct err *err)
{
	return load_but(kvm, fd, born_parts(kvm, s) | 1u << REGS | 1u << EVENTS, s, now, err);
}

/* No timer runs and no interrupt is on its way: the local APIC changes only when it is accessed. */
static bool apic_rests(const struct vcpu_state *s)
{
	uint8_t busy = 0;

	for (uint32_t reg = APIC_ISR; reg < APIC_IRR + APIC_VECTORS_SIZE; reg++)
		busy |= reg % 16 < 4 ? s->lapic.regs[reg] : 0;
	for (uint32_t reg = APIC_TMICT; reg < APIC_TMICT + 4; reg++)
		busy |= s->lapic.regs[reg];
	return busy == 0 && s->tsc.deadline == 0;
}

/* What a quiet guest (vcpu_counts.h) has left as it was in @s. */
static uint32_t quiet_parts(const struct kvm *kvm, const struct vcpu_state *s)
{
	uint32_t same = 1u << XCRS;

	if (!(s->debugregs.dr7 & DR7_ENABLED))
		same |= 1u << DEBUGREGS;
	if (!(kvm->quirks & QUIRK_SLOW_RING0) || !apic_rests(s))
		return same;
	same |= 1u << LAPIC;
	if (kvm->quirks & QUIRK_TSC_FIXED && vcpu_msrs_rest(kvm, &s->msrs))
		same |= 1u << MSRS;
	return same;
}

int vcpu_state_load_hidden(const struct kvm *kvm, int fd, bool quiet,
			   const struct vcpu_state *s, struct vcpu_tsc_now *now,
			   struct err *err)
{
	uint32_t skip = shown_parts | (quiet ? quiet_parts(kvm, s) : 0);
	int ret = parts_load(kvm, fd, skip, s, now, err);

	/* Else it came with the MSRs. */
	return ret == 0 && skip & 1u << MSRS ? vcpu_tsc_after(kvm, fd, now, err) : ret;
}

/* The lengths are asserted above: with no part twice, every part is there once. */
static int order_check(const char *name, const enum part *order, size_t n, struct err *err)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < n; i++) {
		if (seen >> order[i] & 1)
			return err_set(err, EINVAL, "%s order moves part %d twice", name,
				       (int)order[i]);
		seen |= 1u << order[i];
	}
	if (seen != (((1u << NPARTS) - 1) | 1u << XSAVE | 1u << MSRS))
		return err_set(err, EINVAL, "%s order moves parts 0x%x", name, seen);
	return 0;
}

int vcpu_state_orders_check(struct err *err)
{
	int ret = order_check("save", save_order, ARRAY_SIZE(save_order), err);

	return ret < 0 ? ret : order_check("load", load_order, ARRAY_SIZE(load_order), err);
}
