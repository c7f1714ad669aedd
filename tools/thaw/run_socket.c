/* SPDX-License-Identifier: Apache-2.0 */
/* run_socket.c - a machine that stays and answers at a socket, and the other end of that. */
#include <stdio.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/run.h"
#include "tools/thaw/serve.h"
#include "tools/thaw/wire.h"

int run_listen(struct run *r)
{
	struct thaw_err err = { 0 };
	int ret = run_prepare(r, &err);
	struct serve_plan plan = { .template = r->template,
				   .socket = r->listen,
				   .timeout_ms = (unsigned int)r->timeout_ms };

	if (ret == 0)
		ret = serve(&plan, &err);
	return ret < 0 ? cmd_fail(ret, cmd_err(&err)) : EXIT_OK;
}

int run_connect(struct run *r)
{
	struct err err = { 0 };
	struct blob reply = { 0 };
	struct wire_header h = { .kind = WIRE_EVENT };
	auto_close int fd = -1;
	int ret = run_read_event(r, &err);

	h.len = (uint32_t)r->event.size;
	if (ret == 0)
		ret = fd = wire_connect(r->connect, &err);
	if (ret >= 0)
		ret = wire_call(fd, &h, r->event.data, &reply, &err);
	if (ret == EXIT_OK && fwrite(reply.data, 1, reply.size, stdout) != reply.size)
		ret = err_sys(&err, "write the reply");
	if (ret < 0)
		ret = cmd_fail(ret, &err);
	else if (ret > 0)
		fprintf(stderr, "thaw: %s\n", reply.data);
	blob_free(&reply);
	return ret;
}
