/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/record.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/thread.h"
#include "engine/uffd.h"

/* One record run. The thread has the uffd, the builder and the result until it was joined. */
struct recorder {
	const struct record_source *src;
	struct machine machine;
	int mailbox_fd;
	struct uffd uffd;
	int stop_fd; /* an eventfd: no more faults will come */
	pthread_t thread;
	struct wset_builder *builder;
	int ret;
	struct err err;
};

/* ---- the thread that places pages ---- */

static int place(struct recorder *r, const struct uffd_fault *f, struct err *err)
{
	const struct mem *to = &r->machine.vm.mem;
	uint16_t flags = f->write || f->wp ? WSET_DIRTIED : 0;

	for (unsigned int i = 0; i < to->nregions; i++) {
		uint64_t off = (uint64_t)(f->page - to->regions[i].host);
		int ret;

		if (f->page < to->regions[i].host || off >= to->regions[i].size)
			continue;
		ret = wset_builder_touch(r->builder, to->regions[i].gpa + off, flags, err);
		if (ret < 0)
			return ret;
		if (f->wp)
			return uffd_unprotect(&r->uffd, f->page, MEM_PAGE_SIZE, err);
		return uffd_copy(&r->uffd, f->page, r->src->mem->regions[i].host + off,
				 MEM_PAGE_SIZE, flags ? UFFD_MISSING : UFFD_WP, err);
	}
	return err_set(err, EFAULT, "a fault outside of guest memory");
}

/* Serve until there is nothing to serve and somebody asked to stop. */
static int serve(struct recorder *r, struct err *err)
{
	struct pollfd fds[] = { { .fd = r->uffd.fd, .events = POLLIN },
				{ .fd = r->stop_fd, .events = POLLIN } };

	for (;;) {
		struct uffd_fault f;
		int ret = uffd_read(&r->uffd, &f, err);

		if (ret > 0)
			ret = place(r, &f, err);
		else if (ret == 0 && fds[1].revents)
			return 0;
		else if (ret == 0 && poll(fds, 2, -1) < 0 && errno != EINTR)
			ret = err_sys(err, "poll for faults");
		if (ret < 0)
			return ret;
	}
}

/* After an error the run is of no use, and its vCPU must not wait for ever: what it still
 * misses becomes zeros, and it is told to stop. */
static void *recorder_thread(void *arg)
{
	struct recorder *r = arg;

	r->ret = serve(r, &r->err);
	if (r->ret < 0) {
		uffd_close(&r->uffd);
		vcpu_kick(&r->machine.vm.vcpus[0]);
	}
	return NULL;
}

static void stop_thread(struct recorder *r)
{
	eventfd_write(r->stop_fd, 1);
	pthread_join(r->thread, NULL);
}

/* ---- one run ---- */

/* A machine whose memory is missing to the last page, and a thread that waits for its faults. */
static int recorder_arm(struct recorder *r, struct err *err)
{
	const struct mem *mem = &r->machine.vm.mem;
	int ret = uffd_open(&r->uffd, UFFD_WP, err);

	for (unsigned int i = 0; ret == 0 && i < mem->nregions; i++)
		ret = uffd_register(&r->uffd, mem->regions[i].host, mem->regions[i].size,
				    UFFD_WP, err);
	if (ret < 0)
		return ret;
	r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->stop_fd < 0)
		return err_sys(err, "eventfd");
	/* No signal is for it: the vCPU's deadline least of all. */
	ret = thread_start(&r->thread, recorder_thread, r);
	return ret < 0 ? err_set(err, -ret, "no thread to serve page faults") : 0;
}

/* From the frozen state to the reply. */
static int recorder_run(struct recorder *r, struct invocation *inv, struct err *err)
{
	struct machine *m = &r->machine;
	struct mailbox_reply reply;
	struct vcpu_tsc_now now;
	int ret = r->src->disks ? machine_attach(m, r->src->disks, err) : 0;

	if (ret == 0)
		ret = machine_state_load(r->src->state, m, &now, err);
	if (ret == 0)
		ret = machine_renew(m, &now, err);
	return ret < 0 ? ret : machine_invoke(m, inv, &reply, NULL, err);
}

static int recorder_init(struct recorder *r, struct err *err)
{
	int ret;

	r->mailbox_fd = mailbox_memfd(err);
	if (r->mailbox_fd < 0)
		return r->mailbox_fd;
	ret = machine_create(&r->machine, r->src->kvm, r->src->shape, r->mailbox_fd, err);
	if (ret < 0)
		return ret;
	ret = recorder_arm(r, err);
	if (ret < 0)
		machine_destroy(&r->machine);
	return ret;
}

static int record_one(struct recorder *r, struct invocation *inv, struct err *err)
{
	int ret = recorder_init(r, err);

	if (ret == 0) {
		ret = recorder_run(r, inv, err);
		/* While somebody serves faults: the device thread looks at rings, now perhaps. */
		worker_stop(&r->machine.vm.worker);
		stop_thread(r);
		machine_destroy(&r->machine);
		/* What stopped the thread is why the guest did not get on. */
		if (r->ret < 0)
			ret = err_set(err, -r->ret, "%s", r->err.text);
	}
	uffd_close(&r->uffd);
	fd_cleanup(&r->stop_fd);
	fd_cleanup(&r->mailbox_fd);
	return ret;
}

static int record_all(struct recorder *r, const struct record_plan *plan, struct err *err)
{
	unsigned int n = plan->runs * plan->nevents;

	for (unsigned int i = 0; i < n; i++) {
		const struct record_event *event = &plan->events[i % plan->nevents];
		struct invocation inv = { .event = event->data,
					  .len = event->len,
					  .deadline = clock_monotonic() + plan->timeout };
		int ret = wset_builder_begin(r->builder, err);

		r->uffd.fd = r->stop_fd = r->mailbox_fd = -1;
		if (ret == 0)
			ret = record_one(r, &inv, err);
		if (ret < 0)
			return err_wrap(err, ret, "record run %u of %u", i + 1, n);
	}
	return 0;
}

int record(const struct record_source *src, const struct record_plan *plan, struct wset *out,
	   struct err *err)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct wset_builder builder = { 0 };
	int ret;

	*out = (struct wset){ 0 };
	if (!r)
		return err_set(err, ENOMEM, "no memory for a record run");
	r->src = src;
	r->builder = &builder;
	ret = wset_builder_init(&builder, src->mem, err);
	if (ret == 0)
		ret = record_all(r, plan, err);
	if (ret == 0)
		ret = wset_builder_finish(&builder, out, err);
	wset_builder_fini(&builder);
	free(r);
	return ret;
}
