/* SPDX-License-Identifier: Apache-2.0 */
/* test_power.c - the power button of a machine without KVM. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/board.h"
#include "devices/ged.h"
#include "devices/ioapic.h"
#include "engine/err.h"
#include "tests/helpers_board.h"
#include "tests/helpers_no_msi.h"
#include "tools/thaw/power.h"

#define VECTOR	 0x41u
#define LIMIT_MS 20000u

/* What the program does that has the machine. */
enum life {
	GUEST_HEARS, /* and ends with status 7 when the button is pressed */
	GUEST_IS_DEAF,
	GUEST_IGNORES,
	MACHINE_ENDED, /* and the program has not */
};

static struct board board;

static void open_pin(void)
{
	board_write(&board.vm.mmio, BOARD_IOAPIC_GPA + IOAPIC_SELECT, 4,
		    IOAPIC_REDIRECTION + 2 * BOARD_GED_GSI);
	board_write(&board.vm.mmio, BOARD_IOAPIC_GPA + IOAPIC_WINDOW, 4, VECTOR);
}

static uint32_t pressed(void)
{
	return (uint32_t)board_read(&board.vm.mmio, BOARD_GED_GPA + GED_EVENTS, 4) &
	       GED_POWER_BUTTON;
}

static _Noreturn void program(enum life life, unsigned int patience_s, int tell)
{
	static const struct device_type *const types[] = { &ioapic_type, &ged_type };

	board_make(&board, types, ARRAY_SIZE(types));
	if (life != GUEST_IS_DEAF)
		open_pin();
	if (power_listen(&board.vm, patience_s, NULL) < 0)
		_exit(1);
	if (life == MACHINE_ENDED)
		power_leave();
	if (write(tell, "r", 1) != 1)
		_exit(1);
	while (life != GUEST_HEARS || !pressed())
		usleep(1000);
	power_leave();
	board_drop(&board);
	_exit(7);
}

/* Returns when signals are pressed buttons to it. */
static pid_t start(enum life life, unsigned int patience_s)
{
	int tells[2];
	char ready;
	pid_t child;

	cr_assert(eq(int, pipe(tells), 0));
	child = fork();
	if (child == 0)
		program(life, patience_s, tells[1]);
	cr_assert(gt(int, child, 0));
	close(tells[1]);
	cr_assert(eq(sz, (size_t)read(tells[0], &ready, 1), 1));
	close(tells[0]);
	return child;
}

static int end_of(pid_t child)
{
	int status = 0;

	for (unsigned int i = 0; i < LIMIT_MS; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		usleep(1000);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	cr_fatal("it does not end");
}

static const int signals[] = { SIGTERM, SIGHUP };

Test(power, a_signal_presses_the_button)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		pid_t child = start(GUEST_HEARS, 60);

		kill(child, signals[i]);
		cr_expect(eq(int, end_of(child), 7 << 8)); /* as wait(2) tells it */
	}
}

Test(power, a_guest_that_cannot_hear_is_ended_at_once)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		pid_t child = start(GUEST_IS_DEAF, 60);

		kill(child, signals[i]);
		cr_expect(eq(int, end_of(child), signals[i]));
	}
}

static void expect_alive(pid_t child)
{
	usleep(100000);
	cr_expect(eq(int, waitpid(child, NULL, WNOHANG), 0));
}

/* As terminals, systemd and timeout(1) send them. */
Test(power, a_pair_of_signals_is_one_press)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(signals); j++) {
			pid_t child = start(GUEST_IGNORES, 60);

			kill(child, signals[i]);
			usleep(10000);
			kill(child, signals[j]);
			expect_alive(child);
			kill(child, SIGKILL);
			cr_expect(eq(int, end_of(child), SIGKILL));
		}
	}
}

Test(power, a_second_sigterm_ends_it)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		pid_t child = start(GUEST_IGNORES, 60);

		kill(child, signals[i]);
		usleep(1100000);
		kill(child, SIGHUP);
		expect_alive(child);
		kill(child, SIGTERM);
		cr_expect(eq(int, end_of(child), SIGTERM));
	}
}

Test(power, a_guest_that_takes_too_long_is_ended)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		pid_t child = start(GUEST_IGNORES, 1);

		kill(child, signals[i]);
		cr_expect(eq(int, end_of(child), signals[i]));
	}
}

Test(power, it_is_nothing_to_a_machine_that_has_ended)
{
	pid_t child = start(MACHINE_ENDED, 60);

	kill(child, SIGTERM);
	cr_expect(eq(int, end_of(child), SIGTERM));
}

Test(power, what_was_ignored_stays_ignored)
{
	pid_t child;

	signal(SIGHUP, SIG_IGN);
	child = start(GUEST_IS_DEAF, 60);
	kill(child, SIGHUP);
	expect_alive(child);
	kill(child, SIGTERM);
	cr_expect(eq(int, end_of(child), SIGTERM));
}

static void mine(int sig)
{
	(void)sig;
}

Test(power, all_that_was_is_given_back)
{
	static const int all[] = { SIGTERM, SIGHUP, SIGALRM };
	struct sigaction now;

	board_make(&board, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		signal(all[i], mine);
	cr_assert(eq(int, power_listen(&board.vm, 60, NULL), 0));
	raise(SIGTERM);
	power_leave();
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		sigaction(all[i], NULL, &now);
		cr_expect(now.sa_handler == mine, "signal %d", all[i]);
	}
	cr_expect(eq(u32, alarm(0), 0));
	board_drop(&board);
}

static int next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

Test(power, what_cannot_listen_leaves_nothing_behind)
{
	struct rlimit before, few;
	struct err err;
	int fd = next_fd();

	board_make(&board, NULL, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	/* One for the button, and none for the thread. */
	few.rlim_cur = (rlim_t)fd + 1;
	setrlimit(RLIMIT_NOFILE, &few);
	cr_expect(eq(int, power_listen(&board.vm, 60, &err), -EMFILE));
	setrlimit(RLIMIT_NOFILE, &before);
	cr_expect(eq(int, next_fd(), fd));
	power_leave();
	board_drop(&board);
}
