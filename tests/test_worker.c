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
	uint32_t turns; /* of the callback; atomic */
} busy;

/* As of a guest that never leaves a queue alone: there is always more, and it takes a millisecond. */
static int on_more(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	__atomic_add_fetch(&busy.turns, 1, __ATOMIC_RELAXED);
	usleep(1000);
	return 0;
}

Test(worker, whoever_waits_for_the_lock_is_next)
{
	struct err err = { 0 };
	uint32_t passed, late = 0;

	worker_init(&busy.worker);
	busy.watch = (struct loop_watch){ .fd = eventfd(1, EFD_CLOEXEC), .callback = on_more };
	cr_assert_eq(worker_watch(&busy.worker, &busy.watch, EPOLLIN, &err), 0, "%s", err.text);
	cr_assert_eq(worker_start(&busy.worker, &err), 0, "%s", err.text);
	for (uint32_t i = 0; i < TAKES; i++) {
		passed = __atomic_load_n(&busy.turns, __ATOMIC_RELAXED);
		worker_lock(&busy.worker);
		passed = busy.turns - passed;
		worker_unlock(&busy.worker);
		late += passed > 0;
		usleep(100); /* the loop goes on */
	}
	worker_stop(&busy.worker);
	cr_expect_geq(busy.turns, TAKES / 2, "the loop has its turns, too");
	/* One may begin before we are at the lock; of a mutex alone each does. */
	cr_expect_leq(late, TAKES / 2);
	close(busy.watch.fd);
}
