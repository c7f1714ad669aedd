/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_boot.c - `thaw boot`: run a program cold, on the terminal's own stdio. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/thaw/guest_io.h"
#include "tools/thaw/launch.h"
#include "tools/thaw/power.h"
#include "tools/thaw/tty.h"

static const struct option options[] = { LAUNCH_OPTIONS, { 0 } };

/* Beside what machine_run returns: Linux has ended its machine, or the user has. */
#define BOOT_ENDED (MAILBOX_EXIT + 1)

static bool has_ended(const struct launch *l)
{
	return l->machine.vm.end == VM_RESET || l->machine.vm.end == VM_POWERED_OFF;
}

static int run_guest(struct launch *l, struct err *err)
{
	const struct mailbox_ops ops = { .log = guest_terminal, .input = guest_input };
	int ret = l->linux_guest.wanted && tty_is_there() ? tty_take(err) : 0;

	if (ret == 0)
		ret = launch_boot(l, ABI_MODE_TERMINAL, &ops, err);
	if (ret == 0 && l->linux_guest.wanted)
		ret = power_listen(&l->machine.vm, POWER_PATIENCE_S, err);
	if (ret == 0)
		ret = machine_run(&l->machine, 0, err);
	power_leave();
	tty_leave();
	if (ret < 0 && (l->serial.has_quit || has_ended(l)))
		return BOOT_ENDED;
	return ret == MAILBOX_CRASH ? machine_ended(&l->machine, err) : ret;
}

static int run_boot(int argc, char **argv)
{
	static struct launch l; /* too large for the stack */
	struct err err = { 0 };
	int opt, ret, code;

	launch_init(&l);
	l.drive_mode = DRIVE_RW;
	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		code = launch_option(&l, &cmd_boot, opt, optarg);
		if (code != 0)
			return code;
	}
	/* An initrd has one of its own, and a root file system a shell. */
	if (optind == argc && !l.linux_guest.wanted)
		return cmd_usage(&cmd_boot, "which program?");
	l.argv = argv + optind;
	code = launch_check(&l, &cmd_boot);
	if (code != 0)
		return code;
	ret = run_guest(&l, &err);
	if (ret == MAILBOX_EXIT) {
		code = (int)l.machine.mailbox->exit_status;
	} else if (ret == BOOT_ENDED) {
		code = 0;
	} else if (ret == MAILBOX_NEXT) {
		fprintf(stderr, "thaw: this program waits for events: use thaw build\n");
		code = EXIT_FAILED;
	} else {
		code = cmd_fail(ret, &err);
	}
	launch_print_crash(&l);
	launch_fini(&l);
	return code;
}

const struct cmd cmd_boot = {
	.name = "boot",
	.run = run_boot,
	.usage = "[OPTION]... [PROGRAM [ARG]...]",
	.summary = "run a program cold in a new machine, on this terminal",
	.options = LAUNCH_HELP,
};
