/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/pager.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOG "pager"
#include "engine/log.h"
#include "engine/thread.h"
#include "snapshot/image.h"
#include "snapshot/pager_thread.h"
#include "snapshot/plan.h"
#include "snapshot/reader.h"

static enum pager_state get_state(const struct pager *p)
{
	return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
}

static void ask(struct pager *p, enum pager_ask what)
{
	uint64_t one = 1;

	__atomic_store_n(&p->ask, what, __ATOMIC_RELEASE);
	(void)!write(p->ask_fd, &one, sizeof(one));
}

static void join(struct pager *p)
{
	if (!p->joined)
		pthread_join(p->thread, NULL);
	p->joined = true;
}

/* No huge pages: one that is there for a small part would hide that the rest is missing. */
static int serve(const struct pager *p, uint8_t *host, size_t len, struct err *err)
{
	mem_refuse_huge(host, len);
	return uffd_register(&p->uffd, host, len, UFFD_MISSING, err);
}

static int allocate(struct pager *p, struct err *err)
{
	p->in = calloc(p->f->header.nframes + 1, sizeof(*p->in));
	p->stored = malloc(FRAMES_MAX_SIZE);
	p->pages = aligned_alloc(MEM_PAGE_SIZE, FRAMES_MAX_SIZE);
	if (!p->in || !p->stored || !p->pages)
		return err_set(err, ENOMEM, "pager of %" PRIu64 " frames: out of memory",
			       p->f->header.nframes);
	for (uint64_t i = 0; i < p->cfg.from; i++)
		p->in[p->cfg.plan->list[i]] = true;
	return 0;
}

static int start(struct pager *p, struct err *err)
{
	int ret = allocate(p, err);

	if (ret == 0)
		ret = uffd_open(&p->uffd, UFFD_MISSING, err);
	if (ret < 0)
		return ret;
	p->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->ask_fd < 0)
		return err_sys(err, "eventfd");
	ret = pager_each_served(p, serve, err);
	if (ret < 0)
		return ret;
	ret = thread_start(&p->thread, pager_thread, p);
	if (ret < 0)
		return err_set(err, -ret, "start the pager's thread: %s",
			       strerrordesc_np(-ret));
	p->joined = false;
	return 0;
}

int pager_start(struct pager **pager, const struct pager_config *cfg, struct err *err)
{
	struct pager *p = calloc(1, sizeof(*p));
	int ret;

	*pager = NULL;
	if (!p)
		return err_set(err, ENOMEM, "pager: out of memory");
	p->cfg = *cfg;
	p->f = &cfg->plan->image->frames;
	p->uffd.fd = p->ask_fd = -1;
	p->joined = true;
	p->pos = cfg->from;
	p->missing = cfg->plan->nframes - cfg->from;
	ret = start(p, err);
	if (ret < 0)
		pager_stop(p);
	else
		*pager = p;
	return ret;
}

int pager_finish(struct pager *p, struct err *err)
{
	if (!p)
		return 0;
	ask(p, ASK_FINISH);
	join(p);
	return pager_check(p, err);
}

int pager_check(const struct pager *p, struct err *err)
{
	if (!p || get_state(p) != PAGER_FAILED)
		return 0;
	if (err)
		*err = p->err;
	return p->ret;
}

bool pager_is_busy(const struct pager *p)
{
	return get_state(p) == PAGER_BUSY;
}

void pager_stop(struct pager *p)
{
	if (!p)
		return;
	if (!p->joined)
		ask(p, ASK_STOP);
	join(p);
	log_debug("%" PRIu64 " faults, %" PRIu64 " frames served, %" PRIu64 " pushed, %" PRIu64
		  " missing; %" PRIu64 " zero pages; %" PRIu64 " bytes read",
		  p->stats.faults, p->stats.served, p->stats.pushed, p->missing,
		  p->stats.zero_pages, p->stats.read_bytes);
	uffd_close(&p->uffd);
	fd_cleanup(&p->ask_fd);
	reader_close(p->reader);
	free(p->in);
	free(p->stored);
	free(p->pages);
	free(p);
}

#define LOAD(counter) __atomic_load_n(&(counter), __ATOMIC_RELAXED)

struct pager_stats pager_stats(const struct pager *p)
{
	return (struct pager_stats){
		.faults = LOAD(p->stats.faults),
		.served = LOAD(p->stats.served),
		.pushed = LOAD(p->stats.pushed),
		.zero_pages = LOAD(p->stats.zero_pages),
		.read_bytes = LOAD(p->stats.read_bytes),
	};
}
