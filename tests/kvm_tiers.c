/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_tiers.c - pools of templates of every tier: those that decode into each clone, too. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/pool.h"
#include "snapshot/sharing.h"
#include "tests/helpers_image.h"
#include "tests/helpers_nest.h"

static struct nest n;

static void pool_of(const char *tier)
{
	struct thaw_err err = { 0 };

	nest_begin(&n, "echo");
	nest_take_tier(&n, tier);
	cr_assert(eq(int, thaw_pool_open(&n.pool, n.zygote, n.template, 2, 1 << 20, &err), 0),
		  "%s: %s", tier, err.text);
}

static void ask_and_rewind(struct thaw_slot *slot)
{
	struct thaw_err err = { 0 };

	nest_ask(slot, "hello");
	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_slot_settle(slot, &err), 0), "%s", err.text);
	nest_ask(slot, "hello again");
}

struct name {
	char text[8];
};

ParameterizedTestParameters(tiers, slots_start_and_are_rewound)
{
	static struct name all[] = {
		{ "map" }, { "warm" }, { "ready" }, { "lazy" }, { "eager" }
	};

	return cr_make_param_array(struct name, all, ARRAY_SIZE(all));
}

ParameterizedTest(struct name *tier, tiers, slots_start_and_are_rewound, .timeout = 60)
{
	struct thaw_slot *one, *other;
	struct thaw_err err = { 0 };

	pool_of(tier->text);
	one = nest_start(&n);
	cr_assert(eq(int, thaw_slot_start(&other, n.pool, n.template, NULL, NULL, &err), 0),
		  "by its name: %s", err.text);
	ask_and_rewind(one);
	ask_and_rewind(other);
	thaw_slot_close(one);
	thaw_slot_close(other);
	nest_free(&n);
}

Test(tiers, of_one_image_are_one_memory_of_a_pool, .timeout = 60)
{
	struct thaw_err err = { 0 };
	uint64_t used;

	pool_of("ready");
	used = n.zygote->account.used;
	nest_take_tier(&n, "map");
	cr_expect(sharing_is_one(n.pool->own->template, n.template));
	cr_assert(eq(int, thaw_pool_admit(n.pool, n.template, &err), 0), "%s", err.text);
	nest_take_tier(&n, "eager");
	cr_assert(eq(int, thaw_pool_admit(n.pool, n.template, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_pool_admit(n.pool, n.template, &err), 0), "again: %s", err.text);
	cr_expect(eq(u64, n.zygote->account.used, used));
	thaw_pool_close(n.pool);
	n.pool = NULL;
	cr_expect(eq(u64, n.zygote->account.used, 0));
	nest_free(&n);
}

/* What the pool decoded is not theirs. */
Test(tiers, of_clones_are_what_they_were, .timeout = 60)
{
	struct thaw_clone *clone;
	struct thaw_reply reply = { 0 };
	struct thaw_err err = { 0 };

	pool_of("ready");
	cr_expect(eq(str, (char *)(uintptr_t)thaw_template_tier(n.template, NULL), "ready"));
	cr_assert(eq(int, thaw_clone_open(&clone, n.template, NULL, NULL, &err), 0), "%s",
		  err.text);
	cr_assert(eq(int, thaw_clone_invoke(clone, "hi", 2, NEST_TIMEOUT_MS, &reply, &err), 0),
		  "%s", err.text);
	cr_expect(eq(int, thaw_clone_rewind(clone, 0, &err), -EINVAL));
	thaw_clone_close(clone);
	nest_free(&n);
}

Test(tiers, whose_files_have_changed_are_refused, .timeout = 60)
{
	struct thaw_err err = { 0 };
	uint8_t *bytes;
	size_t len;

	nest_begin(&n, "echo");
	nest_take_tier(&n, "ready");
	bytes = bytes_read(scratch_path(n.f.dir, "memory.lz4"), &len);
	bytes[len - 1] ^= 1;
	bytes_write(scratch_path(n.f.dir, "memory.lz4"), bytes, len);
	free(bytes);
	cr_expect(eq(int, thaw_pool_open(&n.pool, n.zygote, n.template, 1, 1 << 20, &err),
		     -ESTALE));
	cr_expect(eq(u64, n.zygote->account.used, 0));
	nest_free(&n);
}
