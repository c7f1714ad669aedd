/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/calls.h"

#include <stdarg.h>
#include <stddef.h>

#include "engine/util.h"

static _Thread_local struct calls *recording;

/* The linker's names: what ioctl() has become, and what it was. */
int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct calls *c = recording;
	unsigned int i;
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!c || c->n >= CALLS_MAX) {
		if (c)
			c->n++;
		return __real_ioctl(fd, request, arg);
	}
	i = c->n++;
	c->all[i].to = 0;
	c->all[i].from = clock_monotonic();
	ret = __real_ioctl(fd, request, arg);
	c->all[i].to = clock_monotonic();
	return ret;
}

void calls_record(struct calls *c)
{
	if (c)
		c->n = 0;
	recording = c;
}

nsec_t calls_sum(const struct calls *c, nsec_t end)
{
	nsec_t sum = 0;

	for (unsigned int i = 0; i < MIN(c->n, CALLS_MAX); i++) {
		if (c->all[i].from < end)
			sum += MIN(c->all[i].to, end) - c->all[i].from;
	}
	return sum;
}
