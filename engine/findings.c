/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/findings.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/err.h"
#include "engine/trial.h"
#include "engine/vcpu_counts.h"

static int try_all(const struct kvm *kvm, struct findings *f, struct err *err)
{
	auto_free struct trial *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return err_set(err, ENOMEM, "no memory for a trial");
	ret = trial_open(t, kvm, err);
	if (ret == 0)
		ret = flush_try(t, &f->flush_way, err);
	if (ret == 0)
		f->counts_tell = vcpu_counts_try(t);
	trial_close(t);
	return ret;
}

int findings_get(const struct kvm *kvm, struct findings *out, struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct findings found;
	static bool is_found;
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (!is_found)
		ret = try_all(kvm, &found, err);
	is_found = is_found || ret == 0;
	*out = found;
	pthread_mutex_unlock(&lock);
	return ret;
}
