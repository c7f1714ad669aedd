/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOG "machine"
#include "devices/acpi.h"
#include "devices/ged.h"
#include "devices/generation.h"
#include "devices/mptable.h"
#include "devices/serial.h"
#include "devices/types.h"
#include "devices/vmclock.h"
#include "devices/vmgenid.h"
#include "engine/err.h"
#include "engine/log.h"
#include "snapshot/disks.h"
#include "snapshot/pager.h"
#include "snapshot/template.h"

static int create(struct machine *m, const struct kvm *kvm, const struct shape *shape,
		  int ram_fd, int mailbox_fd, struct err *err)
{
	struct device_spec specs[VM_MAX_DEVICES];
	struct vm_config cfg = {
		.mem = shape->mem,
		.nvcpus = shape->nvcpus,
		.cpuid = shape->cpuid,
		.devices = specs,
		.ndevices = shape->devices.n,
		.ram_fd = ram_fd,
	};
	int ret;

	for (uint32_t i = 0; i < shape->devices.n; i++)
		specs[i] = (struct device_spec){ shape->devices.types[i],
						 shape->devices.types[i] == &mailbox_type
							 ? &mailbox_fd
							 : NULL };
	ret = vm_create(&m->vm, kvm, &cfg, err);

	m->pager = NULL;
	m->disks = NULL;
	m->prepared = NULL;
	if (ret < 0)
		return ret;
	/* Without scaling the guest's TSC ticks as the host's does, whatever the image says. */
	m->tsc_khz = kvm->tsc_scaling ? shape->tsc_khz : kvm->tsc_khz;
	m->mailbox = mailbox_of(&m->vm);
	return 0;
}

static void log_serial(void *arg, const void *data, size_t len)
{
	const struct mailbox_ops *ops = &((struct mailbox *)arg)->ops;

	if (ops->log)
		ops->log(ops->arg, ABI_LOG_STDOUT, data, len);
}

void machine_log_serial(struct machine *m)
{
	struct serial *port = serial_of(&m->vm);

	if (port)
		port->ops = (struct serial_ops){ .out = log_serial, .arg = m->mailbox };
}

int machine_create(struct machine *m, const struct kvm *kvm, const struct shape *shape,
		   int mailbox_fd, struct err *err)
{
	return create(m, kvm, shape, -1, mailbox_fd, err);
}

int machine_create_mapped(struct machine *m, const struct kvm *kvm, const struct template *t,
			  int mailbox_fd, struct err *err)
{
	return create(m, kvm, &t->shape, t->memory_fd, mailbox_fd, err);
}

int machine_attach(struct machine *m, const struct disks *disks, struct err *err)
{
	if (disks->n == 0)
		return 0;
	m->disks = disks;
	return disks_attach(disks, &m->vm, err);
}

static void log_counters(const struct machine *m)
{
	const struct vcpu_stats *s = &m->vm.vcpus[0].stats;

	log_debug("%" PRIu64 " exits, %" PRIu64 " MMIO, %" PRIu64 " PIO, %" PRIu64
		  " interrupted, %" PRIu64 " assisted; %" PRIu64
		  " accesses to nothing; mailbox: %" PRIu64 " bytes logged, %" PRIu64
		  " violations",
		  s->exits, s->mmio, s->pio, s->interrupted, s->assists,
		  m->vm.mmio.misses + m->vm.pio.misses, m->mailbox->log_bytes,
		  m->mailbox->violations);
}

void machine_destroy(struct machine *m)
{
	if (m->mailbox)
		log_counters(m);
	/* While there are vCPUs: closing one waits for KVM's own threads that wait for a page. */
	pager_stop(m->pager);
	m->pager = NULL;
	vm_destroy(&m->vm);
	m->mailbox = NULL;
}

int machine_finish(struct machine *m, struct err *err)
{
	int ret = pager_finish(m->pager, err);

	if (ret < 0)
		return ret;
	pager_stop(m->pager);
	m->pager = NULL;
	return 0;
}

int machine_renew(struct machine *m, const struct vcpu_tsc_now *now, struct err *err)
{
	int ret = mailbox_renew(m->mailbox, *now, m->tsc_khz, err);

	m->vm.end = VM_GOES_ON;
	return ret < 0 ? ret : generation_renew(&m->vm, *now, m->tsc_khz, err);
}

/* Before its first instruction a guest has nothing that could be another's. */
static int begin(struct machine *m, struct err *err)
{
	struct vcpu_tsc_now now;
	int ret = vcpu_tsc_read(m->vm.vcpus[0].fd, &now, err);

	if (ret == 0)
		ret = mailbox_renew(m->mailbox, now, m->tsc_khz, err);
	return ret < 0 ? ret : generation_begin(&m->vm, now, m->tsc_khz, err);
}

int machine_boot(struct machine *m, const struct boot_config *cfg, struct err *err)
{
	int ret;

	mem_advise_huge(&m->vm.mem);
	ret = boot_kindling(&m->vm, cfg, err);
	return ret < 0 ? ret : begin(m, err);
}

int machine_boot_linux(struct machine *m, const struct linux_boot *boot, struct err *err)
{
	const struct acpi_config tables = {
		.nvcpus = m->vm.nvcpus,
		.nvirtio = m->vm.nplaces,
		.has_serial = vm_device(&m->vm, &serial_type) != NULL,
		.has_ged = vm_device(&m->vm, &ged_type) != NULL,
		.has_vmgenid = vm_device(&m->vm, &vmgenid_type) != NULL,
		.has_vmclock = vm_device(&m->vm, &vmclock_type) != NULL,
	};
	struct linux_boot with = *boot;
	int ret;

	mem_advise_huge(&m->vm.mem);
	ret = acpi_write(&m->vm.mem, &tables, &with.rsdp, err);
	if (ret == 0)
		ret = mptable_write(&m->vm.mem, m->vm.nvcpus, err);
	if (ret == 0)
		ret = boot_linux(&m->vm, &with, err);
	return ret < 0 ? ret : begin(m, err);
}

/* A signal that interrupts KVM's wait for a page may look like anything: at the deadline, while
 * memory is missing, the deadline is what it was. */
static bool was_deadline(const struct machine *m, nsec_t deadline)
{
	return m->pager && pager_is_busy(m->pager) && deadline != 0 &&
	       clock_monotonic() >= deadline;
}

static int said_end(struct machine *m, struct err *err)
{
	static const char *const said[] = {
		[VM_RESET] = "reset its machine",
		[VM_POWERED_OFF] = "switched its machine off",
		[VM_PANICKED] = "panicked",
	};

	if (m->vm.end == VM_RESET && boot_linux_panicked(&m->vm.mem))
		m->vm.end = VM_PANICKED;
	return err_set(err, ERR_CRASHED, "the guest %s", said[m->vm.end]);
}

int machine_run(struct machine *m, nsec_t deadline, struct err *err)
{
	int lost = pager_check(m->pager, err);
	int ret;

	if (lost < 0)
		return lost;
	ret = vcpu_run(&m->vm.vcpus[0], deadline, err);
	/* Whatever it did, it may have done for want of memory. */
	lost = pager_check(m->pager, err);
	if (lost < 0)
		return lost;
	if (ret != VCPU_STOP_DEVICE && was_deadline(m, deadline))
		ret = VCPU_STOP_TIMEOUT;
	if (ret < 0)
		return ret;
	switch ((enum vcpu_stop)ret) {
	case VCPU_STOP_DEVICE:
		return m->vm.end == VM_GOES_ON ? (int)m->mailbox->stop : said_end(m, err);
	case VCPU_STOP_TIMEOUT:
		return err_set(err, ERR_TIMED_OUT, "the guest did not answer in time");
	case VCPU_STOP_PAUSE:
		return err_set(err, EINTR, "paused");
	case VCPU_STOP_SHUTDOWN:
		break;
	}
	return err_set(err, ERR_CRASHED, "the guest shut down (triple fault)");
}

int machine_ended(const struct machine *m, struct err *err)
{
	struct abi_crash c = mailbox_crash(m->mailbox);
	const char *name = sigabbrev_np((int)c.signal);

	if (m->mailbox->stop == MAILBOX_EXIT)
		return err_set(err, ERR_CRASHED,
			       "the program exited with status %u, expected it to read "
			       "events from fd 3",
			       m->mailbox->exit_status);
	return err_set(err, ERR_CRASHED,
		       "the program died of SIG%s (signal %u), address 0x%" PRIx64
		       ", rip 0x%" PRIx64,
		       name ? name : "?", c.signal, c.address, c.rip);
}

int machine_wait(struct machine *m, nsec_t deadline, struct err *err)
{
	int ret = machine_run(m, deadline, err);

	if (ret < 0)
		return ret;
	return ret == MAILBOX_NEXT ? 0 : machine_ended(m, err);
}

int machine_invoke(struct machine *m, const struct invocation *inv, struct mailbox_reply *reply,
		   struct phases *phases, struct err *err)
{
	nsec_t from = clock_monotonic();
	int ret = mailbox_put_event(m->mailbox, inv->event, inv->len, err);

	if (ret == 0)
		ret = machine_wait(m, inv->deadline, err);
	if (ret < 0)
		return ret;
	*reply = mailbox_reply(m->mailbox);
	phase_mark(phases, PHASE_FIRST_RESPONSE);
	if (phases)
		phases->at[PHASE_FIRST_INSTRUCTION] = mailbox_first_instruction(
			m->mailbox, from, phases->at[PHASE_FIRST_RESPONSE]);
	return 0;
}
