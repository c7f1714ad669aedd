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
#include "engine/err.h"
#include "engine/vm.h"

static const int buttons[] = { SIGTERM, SIGHUP };

static struct {
	struct vm *vm;		   /* NULL: nobody listens */
	struct loop_watch pressed; /* an eventfd, from the handler to the device thread */
	unsigned int patience_s;
	volatile sig_atomic_t signal; /* that pressed it */
	struct sigaction before[ARRAY_SIZE(buttons)];
} power;

static void restore(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++)
		sigaction(buttons[i], &power.before[i], NULL);
}

/* A handler may take no lock, and devices have one: the device thread goes on (on_pressed). */
static void on_button(int sig)
{
	int saved = errno;
	uint64_t one = 1;

	restore();
	power.signal = sig;
	alarm(power.patience_s);
	if (write(power.pressed.fd, &one, sizeof(one)) < 0)
		raise(sig);
	errno = saved;
}

static void on_alarm(int sig)
{
	(void)sig;
	raise(power.signal);
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
		kill(getpid(), power.signal);
	return 0;
}

static void handle_signals(void)
{
	const struct sigaction button = { .sa_handler = on_button, .sa_flags = SA_RESTART };
	const struct sigaction late = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &late, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++) {
		sigaction(buttons[i], NULL, &power.before[i]);
		/* nohup(1) stays in force. */
		if (power.before[i].sa_handler != SIG_IGN)
			sigaction(buttons[i], &button, NULL);
	}
}

static int watch(struct vm *vm, struct err *err)
{
	int ret;

	power.pressed = (struct loop_watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					     .callback = on_pressed };
	if (power.pressed.fd < 0)
		return err_sys(err, "eventfd for a power button");
	worker_lock(&vm->worker);
	ret = worker_watch(&vm->worker, &power.pressed, EPOLLIN, err);
	worker_unlock(&vm->worker);
	return ret < 0 ? ret : worker_start(&vm->worker, err);
}

int power_listen(struct vm *vm, unsigned int patience_s, struct err *err)
{
	int ret = watch(vm, err);

	if (ret < 0)
		return ret;
	power.vm = vm;
	power.patience_s = patience_s;
	handle_signals();
	return 0;
}

void power_leave(void)
{
	struct worker *w = power.vm ? &power.vm->worker : NULL;

	if (!w)
		return;
	restore();
	alarm(0);
	worker_lock(w);
	loop_remove(&w->loop, &power.pressed);
	fd_cleanup(&power.pressed.fd);
	worker_unlock(w);
	power.vm = NULL;
}
