/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vcpu_exit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "engine/assist.h"
#include "engine/err.h"
#include "engine/vcpu.h"
#include "engine/vm.h"
#include "engine/x86.h"

/* Longest x86 instruction: SDM vol. 2A, 2.3.11 */
#define INSN_MAX 15u

static int from_bus(int ret)
{
	if (ret == BUS_STOP)
		return VCPU_STOP_DEVICE;
	return ret < 0 ? ret : -EINTR;
}

static int exit_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	int ret = -EINTR;

	v->stats.pio++;
	/* A string instruction comes as several elements at one port. */
	for (uint32_t i = 0; i < run->io.count && ret == -EINTR; i++) {
		ret = from_bus(bus_access(&v->vm->pio, run->io.port, data, run->io.size,
					  run->io.direction == KVM_EXIT_IO_OUT));
		data += run->io.size;
	}
	return ret;
}

/*
 * An access to RAM is none of ours: KVM's emulator makes it one when it cannot reach the memory
 * (there is none behind it any more, or a signal came while it waited for a page). Going on
 * would give the guest bytes that are not there.
 */
static int exit_mmio(struct vcpu *v, struct err *err)
{
	struct kvm_run *run = v->run;

	v->stats.mmio++;
	if (mem_holds(&v->vm->mem, run->mmio.phys_addr, 1))
		return err_set(err, ERR_CRASHED, "KVM could not reach guest memory at 0x%llx",
			       (unsigned long long)run->mmio.phys_addr);
	return from_bus(bus_access(&v->vm->mmio, run->mmio.phys_addr, run->mmio.data,
				   run->mmio.len, run->mmio.is_write));
}

/* The bytes at RIP, where KVM tells them. */
static struct insn insn_of(const struct kvm_run *run)
{
	struct insn insn = { .bytes = run->emulation_failure.insn_bytes };

	/* <linux/kvm.h>: ndata covers the flags word, then size and 15 bytes in two more */
	if (run->internal.ndata >= 3 && (run->emulation_failure.flags &
					 KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		insn.n = MIN((uint32_t)run->emulation_failure.insn_size, INSN_MAX);
	return insn;
}

static void insn_hex(const struct insn *insn, char *hex, size_t size)
{
	snprintf(hex, size, "unknown");
	for (uint32_t i = 0; i < insn->n; i++)
		snprintf(hex + (size_t)i * 3, size - (size_t)i * 3, "%02x ", insn->bytes[i]);
	if (insn->n > 0)
		hex[insn->n * 3 - 1] = '\0';
}

static int exit_unknown_insn(const struct insn *insn, const struct kvm_regs *regs,
			     const struct kvm_sregs *sregs, struct err *err)
{
	const char *hint = assist_hint(insn);
	char hex[INSN_MAX * 3 + 8];

	insn_hex(insn, hex, sizeof(hex));
	return err_set(err, ERR_CRASHED,
		       "KVM cannot emulate the instruction at RIP 0x%llx, ring %u, %s-bit "
		       "mode; bytes: %s%s%s",
		       regs->rip, sregs->cs.dpl,
		       sregs->cs.l    ? "64"
		       : sregs->cs.db ? "32"
				      : "16",
		       hex, hint ? "; Linux avoids it with " : "", hint ? hint : "");
}

static int exit_internal_error(struct vcpu *v, struct err *err)
{
	const bool is_emulation = v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
	const struct insn insn = insn_of(v->run);
	struct kvm_regs regs = { 0 };
	struct kvm_sregs sregs = { 0 };
	int ret = is_emulation ? assist_emulate(v, &insn, err) : 0;

	if (ret != 0)
		return ret < 0 ? ret : -EINTR;
	if (ioctl(v->fd, KVM_GET_REGS, &regs) < 0 || ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "read registers after a KVM internal error");
	if (is_emulation)
		return exit_unknown_insn(&insn, &regs, &sregs, err);
	return err_set(err, ERR_CRASHED, "KVM internal error %u at RIP 0x%llx, ring %u",
		       v->run->internal.suberror, regs.rip, sregs.cs.dpl);
}

int vcpu_exit(struct vcpu *v, struct err *err)
{
	struct kvm_run *run = v->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return exit_io(v);
	case KVM_EXIT_MMIO:
		return exit_mmio(v, err);
	case KVM_EXIT_INTR:
		return -EINTR;
	case KVM_EXIT_IOAPIC_EOI:
		irq_eoi(v->vm, run->eoi.vector);
		return -EINTR;
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_SYSTEM_EVENT:
		return VCPU_STOP_SHUTDOWN;
	case KVM_EXIT_INTERNAL_ERROR:
		return exit_internal_error(v, err);
	case KVM_EXIT_FAIL_ENTRY:
		return err_set(err, ERR_CRASHED,
			       "the CPU refuses to enter the guest (reason 0x%llx)",
			       run->fail_entry.hardware_entry_failure_reason);
	default:
		return err_set(err, ERR_CRASHED, "unexpected KVM exit reason %u",
			       run->exit_reason);
	}
}
