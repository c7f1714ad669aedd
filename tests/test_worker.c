/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/worker.h"

#define TAKES 50u

static struct {
	struct worker worker;
	struct loop_watch watch;
	uint32_t turns; /* of the callback; under the lock */
} busy;

/* As of a guest that never leaves a queue alone: there is always more, and it takes a millisecond. */
static int on_more(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	busy.turns++;
	usleep(1000);
	return 0;
}

Test(worker, whoever_waits_for_the_lock_is_next)
{
	struct err err = { 0 };
	uint32_t before = 0;

	worker_init(&busy.worker);
	busy.watch = (struct loop_watch){ .fd = eventfd(1, EFD_CLOEXEC), .callback = on_more };
	cr_assert_eq(worker_watch(&busy.worker, &busy.watch, EPOLLIN, &err), 0, "%s", err.text);
	cr_assert_eq(worker_start(&busy.worker, &err), 0, "%s", err.text);
	for (uint32_t i = 0; i < TAKES; i++) {
		worker_lock(&busy.worker);
		before = i == 0 ? busy.turns : before;
		worker_unlock(&busy.worker);
		usleep(100); /* the loop goes on */
	}
	worker_stop(&busy.worker);
	cr_expect_gt(busy.turns, before, "the loop has its turns, too");
	/* One is going on when we come, and one may begin before we are there. */
	cr_expect_leq(busy.turns - before, 2 * TAKES);
	close(busy.watch.fd);
}
