/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vcpu.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/vcpu_exit.h"
#include "engine/vcpu_msrs.h"
#include "engine/vm.h"

/* The vCPU that this thread is running, for the signal handler. */
static _Thread_local struct kvm_run *running;

/* A signal that comes between the last check and KVM_RUN must still stop it. */
static void on_signal(int sig)
{
	(void)sig;
	if (running)
		running->immediate_exit = 1;
}

/* gettid() without a system call for each run; 0: not asked yet. */
static _Thread_local pid_t own_tid;

/* In the child, the thread that forked goes on as another one. */
static void forget_tid(void)
{
	own_tid = 0;
}

static pid_t get_tid(void)
{
	if (own_tid == 0)
		own_tid = gettid();
	return own_tid;
}

static pthread_once_t handler_once = PTHREAD_ONCE_INIT;

static void install_handler(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	pthread_atfork(NULL, NULL, forget_tid);
	sigaction(VCPU_SIGNAL, &sa, NULL); /* no SA_RESTART: KVM_RUN shall come back */
}

int vcpu_create(struct vcpu *v, struct vm *vm, uint32_t index, const struct cpuid *cpuid,
		struct err *err)
{
	void *run;

	pthread_once(&handler_once, install_handler);
	*v = (struct vcpu){ .vm = vm, .index = index, .fd = -1, .is_new = true };
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (v->fd < 0)
		return err_sys(err, "KVM_CREATE_VCPU %u", index);
	run = mmap(NULL, vm->kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return err_sys(err, "map struct kvm_run of vCPU %u", index);
	v->run = run;
	return vcpu_cpuid_load(v->fd, cpuid, err);
}

void vcpu_destroy(struct vcpu *v)
{
	if (v->timer_tid != 0)
		timer_delete(v->timer);
	vcpu_counts_close(&v->counts);
	if (v->run)
		munmap(v->run, v->vm->kvm->run_size);
	if (v->fd >= 0)
		close(v->fd);
	*v = (struct vcpu){ .fd = -1 };
}

static int timer_make(struct vcpu *v, struct err *err)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = VCPU_SIGNAL };

	if (v->timer_tid != 0)
		timer_delete(v->timer);
	v->timer_tid = 0;
	ev._sigev_un._tid = v->tid;
	if (timer_create(CLOCK_MONOTONIC, &ev, &v->timer) < 0)
		return err_sys(err, "timer_create");
	v->timer_tid = v->tid;
	return 0;
}

/* A signal may come while a device handler waits, and be spent there: ask again and again. */
#define TIMER_REPEAT (10 * NSEC_PER_MSEC)

/* Arm the timer for @deadline; 0 disarms it. */
static int timer_arm(struct vcpu *v, nsec_t deadline, struct err *err)
{
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(deadline / NSEC_PER_SEC),
					       .tv_nsec = (long)(deadline % NSEC_PER_SEC) },
				 .it_interval.tv_nsec = TIMER_REPEAT };
	int ret;

	if (v->timer_tid != v->tid) {
		ret = timer_make(v, err);
		if (ret < 0)
			return ret;
	}
	if (timer_settime(v->timer, TIMER_ABSTIME, &at, NULL) < 0)
		return err_sys(err, "timer_settime");
	return 0;
}

/* KVM_RUN was interrupted: by whom? Returns an enum vcpu_stop, or -EINTR to run on. */
static int interrupted(struct vcpu *v, nsec_t deadline)
{
	v->stats.interrupted++;
	/* Cleared first: a kick from here on sets it again. */
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&v->pause, false, __ATOMIC_SEQ_CST))
		return VCPU_STOP_PAUSE;
	if (deadline != 0 && clock_monotonic() >= deadline)
		return VCPU_STOP_TIMEOUT;
	return -EINTR;
}

static int run_loop(struct vcpu *v, nsec_t deadline, struct err *err)
{
	int ret;

	for (;;) {
		ret = ioctl(v->fd, KVM_RUN, 0);
		v->stats.exits++;
		if (ret == 0)
			ret = vcpu_exit(v, err);
		else if (errno == EINTR || errno == EAGAIN)
			ret = interrupted(v, deadline);
		else
			return err_sys(err, "KVM_RUN");
		if (ret != -EINTR)
			return ret;
	}
}

/* This thread runs @v from here on: signals for it must come here, and get through. */
static void take_thread(struct vcpu *v, pid_t tid)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, VCPU_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	__atomic_store_n(&v->tid, tid, __ATOMIC_SEQ_CST);
}

bool vcpu_is_mine(const struct vcpu *v)
{
	return v->tid == get_tid();
}

int vcpu_adopt(struct vcpu *v, struct err *err)
{
	take_thread(v, get_tid());
	return timer_make(v, err);
}

int vcpu_run(struct vcpu *v, nsec_t deadline, struct err *err)
{
	pid_t tid = get_tid();
	int ret = 0;

	if (v->tid != tid)
		take_thread(v, tid);
	v->is_new = false;
	running = v->run;
	if (v->ticks_left != 0)
		ret = vcpu_timer_restart(v->vm->kvm, v->fd, v->ticks_left, err);
	v->ticks_left = 0;
	if (ret == 0 && deadline != 0)
		ret = timer_arm(v, deadline, err);
	if (ret == 0)
		ret = run_loop(v, deadline, err);
	running = NULL;
	if (deadline != 0 && timer_arm(v, 0, ret < 0 ? NULL : err) < 0 && ret >= 0)
		return -EIO;
	return ret;
}

int vcpu_complete(struct vcpu *v, struct err *err)
{
	int ret;

	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	ret = ioctl(v->fd, KVM_RUN, 0);
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	/* In this order no kick is lost, whether it came before or comes between the two. */
	if (__atomic_load_n(&v->pause, __ATOMIC_SEQ_CST))
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (ret == 0)
		return err_set(err, ERR_CRASHED,
			       "the guest stopped inside an instruction that is not done "
			       "(exit reason %u)",
			       v->run->exit_reason);
	if (errno != EINTR)
		return err_sys(err, "KVM_RUN to complete an exit");
	return 0;
}

void vcpu_kick(struct vcpu *v)
{
	pid_t tid;

	__atomic_store_n(&v->pause, true, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	/* Last: a thread that takes the vCPU over after this sees the two. */
	tid = __atomic_load_n(&v->tid, __ATOMIC_SEQ_CST);
	if (tid != 0)
		tgkill(getpid(), tid, VCPU_SIGNAL);
}
