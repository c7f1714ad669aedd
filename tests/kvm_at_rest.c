/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_at_rest.c - what is taken of a machine is of one moment: while its memory is being copied, its
 * devices rest, though somebody has something for them all the time.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/serial.h"
#include "engine/err.h"
#include "snapshot/fork.h"
#include "tests/helpers_kvm.h"

#define NUMBER_GPA 0x3800000u  /* nothing else of the machine is there */
#define BULK	   (32u << 20) /* of memory before that, so that copying takes a while */

static struct frozen f;
static struct err err;

/* A device that counts, in guest memory and in its state. */
static struct {
	struct loop_watch watch;
	struct machine *machine;
	pthread_t thread;
	bool is_over;
} counter;

static int count(struct loop_watch *watch, uint32_t events)
{
	uint64_t *number = mem_at(&counter.machine->vm.mem, NUMBER_GPA, sizeof(*number)), n;

	(void)events;
	if (read(watch->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		serial_of(&counter.machine->vm)->s.scr = (uint8_t)++ * number;
	return 0;
}

static void *have_it_count(void *arg)
{
	const uint64_t one = 1;

	(void)arg;
	while (!__atomic_load_n(&counter.is_over, __ATOMIC_RELAXED))
		(void)!write(counter.watch.fd, &one, sizeof(one));
	return NULL;
}

static void count_begin(struct machine *m)
{
	struct worker *w = &m->vm.worker;

	counter.machine = m;
	counter.is_over = false;
	counter.watch = (struct loop_watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					     .callback = count };
	worker_lock(w);
	cr_assert(eq(int, worker_watch(w, &counter.watch, EPOLLIN, &err), 0), "%s", err.text);
	worker_unlock(w);
	cr_assert(eq(int, pthread_create(&counter.thread, NULL, have_it_count, NULL), 0));
	usleep(20000);
}

static void count_end(void)
{
	__atomic_store_n(&counter.is_over, true, __ATOMIC_RELAXED);
	pthread_join(counter.thread, NULL);
	worker_lock(&counter.machine->vm.worker);
	loop_remove(&counter.machine->vm.worker.loop, &counter.watch);
	worker_unlock(&counter.machine->vm.worker);
	close(counter.watch.fd);
}

static uint8_t in_state(const struct machine_state *s)
{
	const uint8_t *at = s->devices;

	for (uint32_t i = 0; s->list.types[i] != &serial_type; i++)
		at += machine_state_room(s->list.types[i]);
	return ((const struct serial_state *)(const void *)at)->scr;
}

/* The template's memory lies region after region. */
static uint8_t in_memory(const struct template *t)
{
	uint64_t number = 0;

	cr_assert(eq(sz, pread(t->memory_fd, &number, sizeof(number), NUMBER_GPA),
		     sizeof(number)));
	return (uint8_t)number;
}

/* Bytes that do not compress, and the number, which is there before it is counted. */
static void fill(struct machine *m)
{
	uint64_t *at = mem_at(&m->vm.mem, NUMBER_GPA - BULK, BULK), state = 1;

	for (size_t i = 0; i < BULK / sizeof(*at); i++)
		at[i] = state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth */
	memset(mem_at(&m->vm.mem, NUMBER_GPA, MEM_PAGE_SIZE), 0, MEM_PAGE_SIZE);
}

static void boot(struct booted *b)
{
	booted_kind(&kind_linux);
	booted_kernel(b, "tests/scribble.elf", "");
}

Test(at_rest, an_image_is_of_one_moment, .timeout = 240)
{
	static struct booted b;

	boot(&b);
	fill(&b.machine);
	count_begin(&b.machine);
	for (uint32_t i = 0; i < 2; i++) {
		frozen_from(&f, &b.machine);
		cr_expect(eq(u8, in_memory(&f.template), in_state(&f.template.state)));
		frozen_free(&f);
	}
	count_end();
	booted_free(&b);
}

Test(at_rest, and_so_is_a_fork, .timeout = 240)
{
	static struct booted b;
	static struct clone c;
	uint32_t last;

	boot(&b);
	frozen_from(&f, &b.machine);
	booted_free(&b);
	clone_make(&c, &f, &tier_map);
	fill(&c.machine);
	count_begin(&c.machine);
	for (uint32_t i = 0; i < 2; i++) {
		struct fork fork;
		uint64_t number;

		cr_assert(eq(int, fork_begin(&fork, &c.machine, &f.template, &err), 0), "%s",
			  err.text);
		/* Its page is the last one. */
		last = (uint32_t)fork.stats.pages_copied - 1;
		memcpy(&number, fork.copies.regions[0].host + (size_t)last * MEM_PAGE_SIZE,
		       sizeof(number));
		cr_expect(eq(u8, (uint8_t)number, in_state(&fork.state)));
		fork_close(&fork);
	}
	count_end();
	clone_free(&c);
	frozen_free(&f);
}
