/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define LOG "mailbox"
#include "engine/err.h"
#include "engine/log.h"
#include "engine/vm.h"

static const struct state_field mailbox_fields[] = {
	STATE_FIELD(struct mailbox_state, mono_ns),
	STATE_FIELD(struct mailbox_state, event_number),
};

static struct abi_mailbox *header(const struct mailbox *mb)
{
	return (struct abi_mailbox *)(void *)mb->window;
}

/* One copy of a field that the guest may be changing; never looked at twice. */
#define GUEST_READ(mb, field)                                                                  \
	(*(const volatile __typeof__(header(mb)->field) *)&header(mb)->field)

/* A length that the guest tells, cut to what there is room for. */
static size_t guest_size(struct mailbox *mb, uint64_t told, size_t room)
{
	if (told <= room)
		return (size_t)told;
	mb->violations++;
	log_debug("guest tells %llu bytes, room is %zu", (unsigned long long)told, room);
	return room;
}

static void ring_log(struct mailbox *mb)
{
	size_t len = guest_size(mb, GUEST_READ(mb, log_size), ABI_WINDOW_LOG_SIZE);

	mb->log_bytes += len;
	if (mb->ops.log)
		mb->ops.log(mb->ops.arg, GUEST_READ(mb, log_stream),
			    mb->window + ABI_WINDOW_LOG, len);
}

static void ring_input(struct mailbox *mb)
{
	size_t len = guest_size(mb, GUEST_READ(mb, log_size), ABI_WINDOW_LOG_SIZE);
	ssize_t got = 0;

	if (mb->ops.input)
		got = mb->ops.input(mb->ops.arg, mb->window + ABI_WINDOW_LOG, len);
	header(mb)->input_size = got;
}

/*
 * Sleep for as long as the guest asks, or until the vCPU is kicked or its deadline passes:
 * VCPU_SIGNAL comes through only while ppoll waits, so one that comes earlier is not lost. It
 * leaves immediate_exit set, for vcpu_run to see.
 */
static void ring_sleep(struct mailbox *mb)
{
	uint64_t ns = GUEST_READ(mb, sleep_ns);
	struct timespec left = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
				 .tv_nsec = (long)(ns % NSEC_PER_SEC) };
	const struct kvm_run *run = mb->dev.vm->vcpus[0].run;
	sigset_t blocked, open;

	sigemptyset(&blocked);
	sigaddset(&blocked, VCPU_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &blocked, &open);
	sigdelset(&open, VCPU_SIGNAL);
	if (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		ppoll(NULL, 0, &left, &open);
	pthread_sigmask(SIG_SETMASK, &open, NULL);
}

static int doorbell(void *dev, const struct bus_access *access)
{
	struct mailbox *mb = dev;

	if (!access->is_write)
		return 0; /* reads as all ones */
	/* A wider store comes in pieces: after the first one the machine could not be frozen. */
	if (access->len != 4) {
		mb->violations++;
		return 0;
	}
	switch (access->off) {
	case ABI_DOORBELL_NEXT:
		mb->reply_size = guest_size(mb, GUEST_READ(mb, reply_size), ABI_REPLY_MAX);
		mb->stop = MAILBOX_NEXT;
		mb->waiting = true;
		return BUS_STOP;
	case ABI_DOORBELL_LOG:
		ring_log(mb);
		return 0;
	case ABI_DOORBELL_CRASH:
		mb->stop = MAILBOX_CRASH;
		return BUS_STOP;
	case ABI_DOORBELL_EXIT:
		mb->exit_status = GUEST_READ(mb, exit_status) & 0xff;
		mb->stop = MAILBOX_EXIT;
		return BUS_STOP;
	case ABI_DOORBELL_INPUT:
		ring_input(mb);
		return 0;
	case ABI_DOORBELL_SLEEP:
		ring_sleep(mb);
		return 0;
	default:
		mb->violations++;
		return 0;
	}
}

static int mailbox_init(struct device *dev, const void *config, struct err *err)
{
	int window_fd = *(const int *)config;
	struct mailbox *mb = container_of(dev, struct mailbox, dev);
	struct bus_range regs = { .base = ABI_MAILBOX_REGS_GPA,
				  .size = MEM_PAGE_SIZE,
				  .handler = doorbell,
				  .dev = mb };
	void *window;
	int ret;

	window = mmap(NULL, ABI_WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, window_fd, 0);
	if (window == MAP_FAILED)
		return err_sys(err, "map the window");
	mb->window = window;
	mb->window_fd = window_fd;
	ret = vm_add_slot(dev->vm, ABI_MAILBOX_WINDOW_GPA, ABI_WINDOW_SIZE, window, err);
	if (ret < 0)
		return ret;
	return bus_add(&dev->vm->mmio, &regs, err);
}

static void mailbox_fini(struct device *dev)
{
	struct mailbox *mb = container_of(dev, struct mailbox, dev);

	if (mb->window)
		munmap(mb->window, ABI_WINDOW_SIZE);
}

/* By the same formula that the guest uses, so that it can never have seen a later time. */
static int mailbox_save(struct device *dev, struct err *err)
{
	struct mailbox *mb = container_of(dev, struct mailbox, dev);
	struct vcpu_tsc_now now;
	int ret = vcpu_tsc_read(dev->vm->vcpus[0].fd, &now, err);

	if (ret < 0)
		return ret;
	mb->s.mono_ns =
		mb->base_mono_ns + clock_scale_ns(mb->scale, now.guest - mb->base.guest);
	return 0;
}

/* Machines are frozen where they wait for an event. */
static int mailbox_load(struct device *dev, struct err *err)
{
	struct mailbox *mb = container_of(dev, struct mailbox, dev);

	(void)err;
	mb->waiting = true;
	return 0;
}

static const struct device_counter counters[] = {
	{ "log_bytes", offsetof(struct mailbox, log_bytes) },
	{ "violations", offsetof(struct mailbox, violations) },
	{ 0 },
};

const struct device_type mailbox_type = {
	.name = "mailbox",
	.size = sizeof(struct mailbox),
	.state_off = offsetof(struct mailbox, s),
	.state = STATE_DESC("dev.mailbox", 1, struct mailbox_state, mailbox_fields),
	.init = mailbox_init,
	.save = mailbox_save,
	.load = mailbox_load,
	.fini = mailbox_fini,
	.counters = counters,
};

struct mailbox *mailbox_of(const struct vm *vm)
{
	struct device *dev = vm_device(vm, &mailbox_type);

	return dev ? container_of(dev, struct mailbox, dev) : NULL;
}

int mailbox_memfd(struct err *err)
{
	auto_close int fd = memfd_create("thaw-mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_sys(err, "memfd_create for a mailbox");
	if (ftruncate(fd, ABI_WINDOW_SIZE) < 0)
		return err_sys(err, "size a mailbox of %u bytes", ABI_WINDOW_SIZE);
	/* Whoever holds the descriptor must not be able to make the machine fault on it. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, "seal a mailbox");
	return fd_take(&fd);
}

int mailbox_renew(struct mailbox *mb, struct vcpu_tsc_now now, uint32_t tsc_khz,
		  struct err *err)
{
	struct abi_mailbox *h = header(mb);
	struct {
		uint64_t generation;
		uint8_t entropy[ABI_ENTROPY_SIZE];
	} fresh;

	if (getrandom(&fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
		return err_set(err, EIO, "no %zu bytes of randomness to be had", sizeof(fresh));
	h->magic = ABI_MAILBOX_MAGIC;
	h->version = ABI_MAILBOX_VERSION;
	h->generation = fresh.generation | 1; /* never 0 */
	memcpy(h->entropy, fresh.entropy, sizeof(h->entropy));
	explicit_bzero(&fresh, sizeof(fresh));

	mb->scale = clock_scale_of(tsc_khz);
	mb->base = now;
	mb->base_mono_ns = mb->s.mono_ns;
	h->clock = (struct abi_clock){
		.tsc_base = now.guest,
		.mono_ns = mb->s.mono_ns,
		.real_ns = clock_realtime(),
		.mult = mb->scale.mult,
		.shift = mb->scale.shift,
	};
	return 0;
}

int mailbox_put_event(struct mailbox *mb, const void *data, size_t len, struct err *err)
{
	struct abi_mailbox *h = header(mb);

	if (!mb->waiting)
		return err_set(err, EBUSY, "the guest does not wait for an event");
	if (len > ABI_EVENT_MAX)
		return err_set(err, EMSGSIZE, "event has %zu bytes, at most %u fit", len,
			       ABI_EVENT_MAX);
	if (data && len > 0)
		memcpy(mb->window + ABI_WINDOW_EVENT, data, len);
	h->event_size = len;
	h->event_number = ++mb->s.event_number;
	mb->stop = MAILBOX_NONE;
	mb->waiting = false;
	return 0;
}

struct mailbox_reply mailbox_reply(const struct mailbox *mb)
{
	return (struct mailbox_reply){ .data = mb->window + ABI_WINDOW_REPLY,
				       .len = mb->reply_size };
}

struct abi_crash mailbox_crash(const struct mailbox *mb)
{
	struct abi_crash copy;

	memcpy(&copy, &header(mb)->crash, sizeof(copy));
	return copy;
}

nsec_t mailbox_first_instruction(const struct mailbox *mb, nsec_t from, nsec_t to)
{
	uint64_t ticks = GUEST_READ(mb, first_tsc) - mb->base.guest;
	nsec_t at = mb->base.host_ns + clock_scale_ns(mb->scale, ticks);

	return at >= from && at <= to ? at : 0;
}
