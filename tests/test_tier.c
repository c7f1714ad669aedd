/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/template.h"
#include "snapshot/tier.h"

Test(tier, every_tier_is_found_by_its_name_and_nothing_else_is)
{
	static const char *const others[] = { "auto", "", "Map", "map ", "ma", "maps" };
	uint32_t n = 0;

	for (const struct tier *const *t = tiers; *t; t++, n++) {
		cr_expect(eq(ptr, (void *)tier_find((*t)->name), (void *)*t));
		cr_expect(ne(ptr, (void *)(*t)->attach, NULL), "%s", (*t)->name);
		cr_expect(gt(sz, strlen((*t)->meaning), 0), "%s", (*t)->name);
	}
	cr_expect(ge(u32, n, 2));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect(eq(ptr, (void *)tier_find(others[i]), NULL), "'%s'", others[i]);
}

Test(tier, auto_decodes_into_place_only_where_nothing_is_there_and_one_start_follows)
{
	static const struct {
		const char *why;
		int memory_fd, raw_fd;
		unsigned int starts;
		const struct tier *tier;
		const char *said;
	} cases[] = {
		{ "one start of a cold image", -1, -1, 1, &tier_eager,
		  "one start: decoding into place saves the template" },
		{ "many starts", -1, -1, 2, &tier_map,
		  "the template is decoded once for all starts" },
		{ "a template that is filled", 5, -1, 1, &tier_map,
		  "guest memory is there to be mapped" },
		{ "memory.raw is mapped only when it is asked for", -1, 5, 1, &tier_eager,
		  "one start: decoding into place saves the template" },
		{ "descriptor 0 is one too", 0, -1, 1, &tier_map,
		  "guest memory is there to be mapped" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static struct image image;
		struct template t = { .image = &image,
				      .memory_fd = cases[i].memory_fd,
				      .plan.image = &image };
		const char *said = NULL;

		image.raw_fd = cases[i].raw_fd;
		cr_expect(eq(ptr, (void *)tier_choose(&t, cases[i].starts, &said),
			     (void *)cases[i].tier),
			  "%s", cases[i].why);
		cr_expect(eq(str, (char *)said, (char *)cases[i].said), "%s", cases[i].why);
	}
}

Test(tier, those_that_read_frames_one_by_one_are_not_for_layers)
{
	static struct image parent, layer = { .name = "one", .raw_fd = -1, .parent = &parent };
	struct template t = { .image = &layer, .memory_fd = -1, .plan.image = &layer };
	const char *said = NULL;
	struct err err = { 0 };

	cr_expect(eq(int, tier_check(&tier_map, &t, &err), 0));
	cr_expect(eq(int, tier_check(&tier_warm, &t, &err), 0));
	cr_expect(eq(int, tier_check(&tier_eager, &t, &err), 0));
	cr_expect(eq(int, tier_check(&tier_lazy, &t, &err), -EINVAL));
	cr_expect(eq(int, tier_check(&tier_raw, &t, &err), -EINVAL));
	cr_expect(eq(int, tier_check(&tier_ready, &t, &err), -EINVAL));
	cr_expect(eq(str, err.text,
		     "one is a layer, and tier ready is of whole images: expected map, warm or "
		     "eager"));
	cr_expect(eq(ptr, (void *)tier_choose(&t, 1, &said), (void *)&tier_eager));
	cr_expect(eq(ptr, (void *)tier_choose(&t, 2, &said), (void *)&tier_map));
}
