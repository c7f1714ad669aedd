/* SPDX-License-Identifier: Apache-2.0 */
/* test_filter.c - what a process under the filter may do, and what ends it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/pages.h"
#include "snapshot/filter.h"

/* System calls as such: a library's wrappers may do more. */
static void map_writable(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0);
}

static void map_executable(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0);
}

static void make_executable(void)
{
	syscall(SYS_mprotect, (uintptr_t)map_executable & ~4095ul, 4096, PROT_READ | PROT_EXEC);
}

static void receive(void)
{
	syscall(SYS_recvmsg, -1, NULL, 0);
}

static void answer(void)
{
	syscall(SYS_sendto, -1, NULL, 0, 0, NULL, 0);
}

/* On the way, they count as those of the user, who runs out of them. */
static void send_descriptors(void)
{
	syscall(SYS_sendmsg, -1, NULL, 0);
}

static void send_many_descriptors(void)
{
	syscall(SYS_sendmmsg, -1, NULL, 0, 0);
}

static void control_kvm(void)
{
	syscall(SYS_ioctl, -1, KVM_RUN, 0);
}

static void scan_pages(void)
{
	syscall(SYS_ioctl, -1, PAGES_IOCTL, NULL);
}

static void type_on_terminal(void)
{
	syscall(SYS_ioctl, -1, TIOCSTI, "x");
}

/* The low half of the number is what the kernel looks at. */
static void type_with_other_bits(void)
{
	syscall(SYS_ioctl, -1, TIOCSTI | (long)KVMIO << 40, "x");
}

static void own_by_ioctl(void)
{
	syscall(SYS_ioctl, -1, FIOSETOWN, NULL);
}

static void look_at_seals(void)
{
	syscall(SYS_fcntl, -1, F_GET_SEALS);
}

/* With F_SETSIG and O_ASYNC, a descriptor kills whom it is owned by. */
static void own_by_fcntl(void)
{
	syscall(SYS_fcntl, -1, F_SETOWN, 1);
}

static void nothing(void)
{
}

static void open_path(void)
{
	syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void look_up_path(void)
{
	syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", NULL, 0);
}

static void make_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void make_process(void)
{
	syscall(SYS_fork);
}

static void run_program(void)
{
	syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void trace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void signal_others(void)
{
	syscall(SYS_kill, 1, 0);
}

static void signal_itself(void)
{
	syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), 0);
}

static void signal_thread_of_others(void)
{
	syscall(SYS_tgkill, 1, 1, 0);
}

static void load_program(void)
{
	syscall(SYS_bpf, 0, NULL, 0);
}

/* The 32-bit entry has other numbers for the same calls. */
static void other_architecture(void)
{
	long ret = 20; /* getpid there */

	__asm__ volatile("int $0x80" : "+a"(ret) : : "memory");
}

static const struct {
	const char *what;
	void (*call)(void);
	bool allowed;
} cases[] = {
	{ "to end", nothing, true },
	{ "to map memory", map_writable, true },
	{ "to receive", receive, true },
	{ "to answer", answer, true },
	{ "KVM", control_kvm, true },
	{ "to scan pages", scan_pages, true },
	{ "to look at seals", look_at_seals, true },
	{ "to signal itself", signal_itself, true },
	{ "to map code", map_executable, false },
	{ "to make code", make_executable, false },
	{ "to send descriptors", send_descriptors, false },
	{ "to send many of them", send_many_descriptors, false },
	{ "to open a path", open_path, false },
	{ "to look a path up", look_up_path, false },
	{ "a socket", make_socket, false },
	{ "a process", make_process, false },
	{ "a program", run_program, false },
	{ "to trace", trace, false },
	{ "to signal others", signal_others, false },
	{ "to signal a thread of others", signal_thread_of_others, false },
	{ "to have a descriptor signal others", own_by_fcntl, false },
	{ "the same by ioctl", own_by_ioctl, false },
	{ "to type on a terminal", type_on_terminal, false },
	{ "the same with other bits set", type_with_other_bits, false },
	{ "bpf", load_program, false },
	{ "system calls of another architecture", other_architecture, false },
};

static int status_of(const struct filter *f, void (*call)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (filter_enter(f, NULL) == 0)
			call();
		syscall(SYS_exit_group, 7); /* as such: sanitizers have things to do before */
	}
	waitpid(pid, &status, 0);
	return status;
}

Test(filter, what_is_not_needed_ends_the_process, .timeout = 30)
{
	struct filter f;
	struct err err = { 0 };

	cr_assert(eq(int, filter_init(&f, &err), 0), "%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = status_of(&f, cases[i].call);
		int ended = cases[i].allowed ? 7 << 8 : SIGSYS;

		cr_expect(eq(int, status & ~0x80, ended), "%s", cases[i].what);
	}
	filter_fini(&f);
}

Test(filter, an_assertion_ends_the_process_as_one, .timeout = 30)
{
	struct filter f;
	struct err err = { 0 };

	cr_assert(eq(int, filter_init(&f, &err), 0), "%s", err.text);
	cr_expect(eq(int, status_of(&f, abort) & ~0x80, SIGABRT));
	filter_fini(&f);
}
