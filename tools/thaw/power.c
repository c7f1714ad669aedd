/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/power.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/board.h"
#include "devices/ged.h"
#include "devices/ioapic.h"
#include "engine/clock.h"
#include "engine/err.h"
#include "engine/vm.h"

/* Ours: who presses twice in that time means it once. A closed terminal sends SIGHUP from the shell and from
 * the kernel, systemd SIGTERM and SIGHUP, timeout(1) SIGTERM to us and to our process group. */
#define PRESS_NS NSEC_PER_SEC

static const int buttons[] = { SIGTERM, SIGHUP };

static struct {
	struct vm *vm;		   /* NULL: nobody listens */
	struct loop_watch pressed; /* an eventfd, from the handler to the device thread */
	unsigned int patience_s;
	volatile sig_atomic_t signal; /* that pressed it, 0: none has */
	nsec_t pressed_at;
	struct sigaction before[ARRAY_SIZE(buttons)], alarm_before;
} power;

/* In this order: an alarm that is set has our handler. */
static void restore(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++)
		sigaction(buttons[i], &power.before[i], NULL);
	alarm(0);
	sigaction(SIGALRM, &power.alarm_before, NULL);
}

/* Async-signal-safe, as all that handlers call. */
static void end_by(int sig)
{
	restore();
	kill(getpid(), sig);
}

/* A handler may take no lock, and devices have one: the device thread goes on (on_pressed). */
static void press(int sig)
{
	uint64_t one = 1;

	power.signal = sig;
	power.pressed_at = clock_monotonic();
	alarm(power.patience_s);
	if (write(power.pressed.fd, &one, sizeof(one)) < 0)
		end_by(sig);
}

static void on_button(int sig)
{
	int saved = errno;

	if (power.signal == 0)
		press(sig);
	else if (sig == SIGTERM && clock_monotonic() - power.pressed_at >= PRESS_NS)
		end_by(sig);
	errno = saved;
}

static void on_alarm(int sig)
{
	(void)sig;
	end_by(power.signal);
}

/* With the worker's lock held. Who has the interrupt's pin open has a driver for the device. */
static int on_pressed(struct loop_watch *w, uint32_t events)
{
	uint64_t count;

	(void)events;
	if (read(w->fd, &count, sizeof(count)) < 0)
		return 0; /* power_leave was first */
	if (ioapic_vector(power.vm, BOARD_GED_GSI) != 0)
		ged_post(power.vm, GED_POWER_BUTTON);
	else
		end_by(power.signal);
	return 0;
}

/* One at a time: the handlers share what they write. */
static struct sigaction handled_by(void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigaddset(&sa.sa_mask, SIGALRM);
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++)
		sigaddset(&sa.sa_mask, buttons[i]);
	return sa;
}

/* All that was is known before a handler can restore it. */
static void handle_signals(void)
{
	const struct sigaction button = handled_by(on_button), late = handled_by(on_alarm);

	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++)
		sigaction(buttons[i], NULL, &power.before[i]);
	sigaction(SIGALRM, &late, &power.alarm_before);
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++) {
		/* nohup(1) stays in force. */
		if (power.before[i].sa_handler != SIG_IGN)
			sigaction(buttons[i], &button, NULL);
	}
}

static int watch(struct worker *w, struct err *err)
{
	int ret;

	worker_lock(w);
	ret = worker_watch(w, &power.pressed, EPOLLIN, err);
	worker_unlock(w);
	return ret < 0 ? ret : worker_start(w, err);
}

/* Also one that is not watched. */
static void unwatch(struct worker *w)
{
	worker_lock(w);
	loop_remove(&w->loop, &power.pressed);
	fd_cleanup(&power.pressed.fd);
	worker_unlock(w);
}

int power_listen(struct vm *vm, unsigned int patience_s, struct err *err)
{
	int ret;

	power.pressed = (struct loop_watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					     .callback = on_pressed };
	if (power.pressed.fd < 0)
		return err_sys(err, "eventfd for a power button");
	ret = watch(&vm->worker, err);
	if (ret < 0) {
		unwatch(&vm->worker);
		return ret;
	}
	power.vm = vm;
	power.patience_s = patience_s;
	power.signal = 0;
	handle_signals();
	return 0;
}

void power_leave(void)
{
	if (!power.vm)
		return;
	restore();
	unwatch(&power.vm->worker);
	power.vm = NULL;
}
