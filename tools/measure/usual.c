/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/usual.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "devices/mailbox.h"
#include "engine/err.h"
#include "snapshot/restore.h"
#include "snapshot/tier.h"
#include "tools/thaw/cmd.h"

int usual_open(struct usual *u, const struct kvm *kvm, const char *dir, struct thaw_err *err)
{
	memset(u, 0, sizeof(*u));
	u->kvm = kvm;
	return origin_open(&u->origin, dir, kvm, cmd_err(err));
}

void usual_close(struct usual *u)
{
	origin_close(&u->origin);
}

static int add_irqchip(int fd, struct err *err)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return err_sys(err, "KVM_CREATE_IRQCHIP");
	if (ioctl(fd, KVM_CREATE_PIT2, &pit) < 0)
		return err_sys(err, "KVM_CREATE_PIT2");
	return 0;
}

static int add_memory(struct vm *vm, int mailbox_fd, struct err *err)
{
	const struct device_spec mailbox = { &mailbox_type, &mailbox_fd };
	int ret = mem_map(&vm->mem, err);

	for (unsigned int i = 0; i < vm->mem.nregions && ret == 0; i++)
		ret = vm_add_slot(vm, vm->mem.regions[i].gpa, vm->mem.regions[i].size,
				  vm->mem.regions[i].host, err);
	if (ret < 0)
		return ret;
	vm->devices[0] = device_create(&mailbox, vm, err);
	if (!vm->devices[0])
		return -EIO;
	vm->ndevices = 1;
	return 0;
}

/* machine_create() in the usual order. machine_destroy() takes it apart in every case. */
static int make(struct usual *u, int mailbox_fd, struct err *err)
{
	struct machine *m = &u->machine;
	struct vm *vm = &m->vm;
	int ret;

	memset(m, 0, sizeof(*m));
	vm->kvm = u->kvm;
	vm->mem = u->origin.template.shape.mem;
	vm->mmio.name = "mmio";
	vm->pio.name = "pio";
	vm->ram_fd = -1;
	worker_init(&vm->worker);
	vm->fd = kvm_create_vm(u->kvm, err);
	if (vm->fd < 0)
		return vm->fd;
	ret = add_irqchip(vm->fd, err);
	if (ret == 0)
		ret = add_memory(vm, mailbox_fd, err);
	if (ret < 0)
		return ret;
	vm->nvcpus = 1;
	ret = vcpu_create(&vm->vcpus[0], vm, 0, u->origin.template.shape.cpuid, err);
	if (ret < 0)
		return ret;
	m->tsc_khz = u->kvm->tsc_scaling ? u->origin.template.shape.tsc_khz : u->kvm->tsc_khz;
	m->mailbox = mailbox_of(vm);
	return 0;
}

static int respond(struct usual *u, struct err *err)
{
	const struct invocation inv = {
		.event = u->event,
		.len = u->event_len,
		.deadline =
			u->timeout_ms ? clock_monotonic() + u->timeout_ms * NSEC_PER_MSEC : 0,
	};
	struct mailbox_reply reply;
	int ret = machine_invoke(&u->machine, &inv, &reply, NULL, err);

	if (ret == 0 && u->echoes &&
	    (reply.len != u->event_len || memcmp(reply.data, u->event, reply.len) != 0))
		return err_set(err, EIO,
			       "the machine made in the usual order answered wrongly");
	return ret;
}

int usual_sample(void *arg, double *us, struct thaw_err *err)
{
	struct usual *u = arg;
	nsec_t from = clock_monotonic();
	auto_close int mailbox_fd = mailbox_memfd(cmd_err(err));
	int ret;

	if (mailbox_fd < 0)
		return mailbox_fd;
	ret = make(u, mailbox_fd, cmd_err(err));
	if (ret == 0)
		ret = restore(&u->machine, &u->origin.template, &tier_map, NULL, cmd_err(err));
	if (ret == 0)
		ret = respond(u, cmd_err(err));
	machine_destroy(&u->machine);
	*us = (double)(clock_monotonic() - from) / 1e3;
	return ret;
}
