/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/guest_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/thaw/cmd.h"

static void write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* nobody to tell: this is where errors would go */
		data += n;
		len -= (size_t)n;
	}
}

/* The guest kernel's own lines say whose they are. */
static void write_prefix(uint32_t stream)
{
	static const char prefix[] = "kindling: ";

	if (stream == ABI_LOG_KERNEL)
		write_all(STDERR_FILENO, prefix, sizeof(prefix) - 1);
}

void guest_terminal(void *arg, uint32_t stream, const void *data, size_t len)
{
	(void)arg;
	write_prefix(stream);
	write_all(stream == ABI_LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO, data, len);
}

void guest_log(void *arg, uint32_t stream, const void *data, size_t len)
{
	(void)arg;
	write_prefix(stream);
	write_all(STDERR_FILENO, data, len);
}

ssize_t guest_input(void *arg, void *buf, size_t len)
{
	ssize_t n;

	(void)arg;
	do {
		n = read(STDIN_FILENO, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void guest_print_crash(const struct abi_crash *c)
{
	const struct {
		const char *name;
		uint64_t value;
	} regs[] = {
		{ "rip", c->rip },    { "rsp", c->rsp }, { "rfl", c->rflags },
		{ "fs", c->fs_base }, { "rax", c->rax }, { "rbx", c->rbx },
		{ "rcx", c->rcx },    { "rdx", c->rdx }, { "rsi", c->rsi },
		{ "rdi", c->rdi },    { "rbp", c->rbp }, { "r8", c->r8 },
		{ "r9", c->r9 },      { "r10", c->r10 }, { "r11", c->r11 },
		{ "r12", c->r12 },    { "r13", c->r13 }, { "r14", c->r14 },
		{ "r15", c->r15 },
	};

	fprintf(stderr, "  vector %d  error code 0x%" PRIx64, (int32_t)c->vector,
		c->error_code);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		fprintf(stderr, "%s%-3s %016" PRIx64, i % 4 == 0 ? "\n  " : "  ", regs[i].name,
			regs[i].value);
	putc('\n', stderr);
}
