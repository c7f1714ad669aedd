/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/run.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/fds.h"
#include "tools/thaw/cmd.h"

int run_read_event(struct run *r, struct err *err)
{
	if (r->from_stdin)
		return blob_read_fd(&r->event, STDIN_FILENO, "stdin", THAW_EVENT_MAX, err);
	if (r->payload_file)
		return blob_read(&r->event, r->payload_file, THAW_EVENT_MAX, err);
	return 0;
}

static int open_pool(struct run *r, struct thaw_err *err)
{
	fds_raise_limit();
	return thaw_pool_open(&r->pool, r->zygote, r->template, (unsigned int)r->shells,
			      r->slot_memory, err);
}

static struct thaw_limit limit_of(const struct rate_limit *l)
{
	return (struct thaw_limit){ .size = l->size,
				    .burst = l->burst,
				    .refill_ms = l->refill_ms };
}

static int set_drive(struct run *r, const struct drive_option *d, struct thaw_err *err)
{
	const struct thaw_limit bytes = limit_of(&d->spec.bytes), ops = limit_of(&d->spec.ops);
	int ret = 0;

	if (*d->spec.path)
		ret = thaw_image_set_drive(r->image, d->spec.id, d->spec.path, -1, err);
	return ret < 0 ? ret
		       : thaw_image_limit_drive(r->image, d->spec.id,
						d->has_bytes ? &bytes : NULL,
						d->has_ops ? &ops : NULL, err);
}

static int open_image(struct run *r, struct thaw_err *err)
{
	int ret = thaw_image_open_layer(&r->image, r->dir, r->parent, err);

	for (uint32_t i = 0; i < r->ndrives && ret == 0; i++)
		ret = set_drive(r, &r->drives[i], err);
	return ret;
}

int run_prepare(struct run *r, struct thaw_err *err)
{
	nsec_t start = clock_monotonic();
	int ret = 0;

	/* First: what is in memory is in every shell. */
	if (r->shells > 0)
		ret = thaw_zygote_open(&r->zygote, 0, NULL, err);
	if (ret == 0)
		ret = run_read_event(r, cmd_err(err));
	if (ret == 0)
		ret = open_image(r, err);
	if (ret == 0)
		ret = thaw_host_open(&r->host, err);
	if (ret == 0)
		ret = thaw_template_open(&r->template, r->host, r->image, r->tier,
					 (unsigned int)r->starts, err);
	if (ret == 0 && r->shells > 0)
		ret = open_pool(r, err);
	if (ret < 0)
		return ret;
	r->plan = (struct start_plan){
		.template = r->template,
		.event = r->event.data,
		.event_len = r->event.size,
		.timeout_ms = (unsigned int)r->timeout_ms,
		.verify = r->verify,
		.count = r->json || r->timeline,
	};
	r->prepare_ns = clock_monotonic() - start;
	return 0;
}

void run_fini(struct run *r)
{
	thaw_clone_close(r->clone);
	thaw_pool_close(r->pool);
	thaw_template_close(r->template);
	thaw_image_close(r->image);
	thaw_host_close(r->host);
	thaw_zygote_close(r->zygote);
	for (uint32_t i = 0; i < r->ndrives; i++)
		drive_option_free(&r->drives[i]);
	samples_fini(&r->samples);
	blob_free(&r->event);
	free(r->emulated);
	free(r->reply);
	if (r->result && r->result != MAP_FAILED)
		munmap(r->result, sizeof(*r->result));
}
