/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/err.h"

#define VARIABLE "THAWD_DOORS"

static bool listens(int fd)
{
	int is = 0;
	socklen_t len = sizeof(is);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &len) == 0 && is;
}

/* "FD=ADDRESS" */
static void take(struct doors *d, const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (d->n == DOORS_MAX || *end != '=' || fd <= STDERR_FILENO || fd > INT32_MAX ||
	    !listens((int)fd))
		return;
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	d->door[d->n].fd = (int)fd;
	snprintf(d->door[d->n].address, DOORS_ADDRESS_SIZE, "%s", end + 1);
	d->n++;
}

void doors_take(struct doors *d)
{
	const char *value = getenv(VARIABLE);
	char copy[DOORS_MAX * (DOORS_ADDRESS_SIZE + 16)];
	char *rest = copy, *text;

	*d = (struct doors){ 0 };
	snprintf(copy, sizeof(copy), "%s", value ? value : "");
	while ((text = strsep(&rest, " ")))
		take(d, text);
	unsetenv(VARIABLE);
}

int doors_inherit(struct doors *d, const char *address)
{
	for (uint32_t i = 0; i < d->n; i++) {
		if (d->door[i].fd >= 0 && strcmp(d->door[i].address, address) == 0)
			return fd_take(&d->door[i].fd);
	}
	return -1;
}

void doors_close(struct doors *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		fd_cleanup(&d->door[i].fd);
	d->n = 0;
}

int doors_bequeath(const int fds[], const char *const addresses[], uint32_t n, struct err *err)
{
	char *value = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&value, &size);
	int ret = 0;

	if (!to)
		return err_set(err, ENOMEM, "no memory for the doors");
	for (uint32_t i = 0; i < n && ret == 0; i++) {
		fprintf(to, "%s%d=%s", i ? " " : "", fds[i], addresses[i]);
		if (fcntl(fds[i], F_SETFD, 0) < 0)
			ret = err_sys(err, "leave descriptor %d open", fds[i]);
	}
	if (fclose(to) != 0 || (ret == 0 && setenv(VARIABLE, value, 1) < 0))
		ret = err_set(err, ENOMEM, "no memory for the doors");
	free(value);
	return ret;
}
