/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/guest_serial.h"

#include <errno.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/vm.h"
#include "guest/abi.h"
#include "tools/thaw/guest_io.h"
#include "tools/thaw/tty.h"

#define ESCAPE 0x01 /* Ctrl-A */

static void out(void *arg, const void *data, size_t len)
{
	(void)arg;
	guest_terminal(NULL, ABI_LOG_STDOUT, data, len);
}

size_t guest_serial_keys(struct guest_serial *g, uint8_t *keys, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bool escaped = g->is_escaped;

		g->is_escaped = !escaped && keys[i] == ESCAPE;
		if (!escaped && keys[i] != ESCAPE)
			keys[n++] = keys[i];
		else if (escaped && (keys[i] == ESCAPE || (keys[i] | 0x20) == 'a'))
			keys[n++] = ESCAPE;
		else if (escaped && (keys[i] | 0x20) == 'x')
			g->has_quit = true;
	}
	return n;
}

static ssize_t in(void *arg, int fd, void *buf, size_t len)
{
	struct guest_serial *g = arg;
	ssize_t n = read(fd, buf, len);

	if (n < 0)
		return -errno;
	if (n == 0 || !g->is_terminal)
		return n;
	n = (ssize_t)guest_serial_keys(g, buf, (size_t)n);
	if (g->has_quit)
		vcpu_kick(g->vcpu);
	return n > 0 ? n : -EAGAIN;
}

int guest_serial_join(struct guest_serial *g, struct vm *vm, struct err *err)
{
	struct serial *port = serial_of(vm);
	int ret;

	*g = (struct guest_serial){ .vcpu = &vm->vcpus[0], .is_terminal = tty_is_there() };
	port->ops = (struct serial_ops){ .out = out, .in = in, .arg = g };
	ret = serial_listen(port, STDIN_FILENO, err);
	return ret == -EPERM ? 0 : ret;
}
