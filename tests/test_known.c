/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "tools/thawd/known.h"
#include "tools/thawd/names.h"

TestSuite(known, .timeout = 20);

static struct function *function(uintptr_t number)
{
	return (struct function *)(number * 64);
}

Test(known, names_mean_what_was_added_until_the_store_changes)
{
	struct known k = { 0 };

	cr_expect(known_find(&k, 7, "f", "") == NULL);
	known_add(&k, 7, "f", "", function(1));
	known_add(&k, 7, "f", "live", function(2));
	known_add(&k, 7, "fl", "ive", function(3));
	cr_expect(known_find(&k, 7, "f", "") == function(1));
	cr_expect(known_find(&k, 7, "f", "live") == function(2));
	cr_expect(known_find(&k, 7, "fl", "ive") == function(3));
	cr_expect(known_find(&k, 7, "f", "1") == NULL);
	cr_expect(known_find(&k, 8, "f", "") == NULL, "it may be another one now");
	known_add(&k, 8, "f", "live", function(4));
	cr_expect(known_find(&k, 8, "f", "") == NULL, "what was before is forgotten");
	cr_expect(known_find(&k, 8, "f", "live") == function(4));
	known_forget(&k);
	cr_expect(known_find(&k, 8, "f", "live") == NULL);
	cr_expect(eq(u32, k.n, 0));
}

Test(known, it_does_not_grow_without_end)
{
	char name[16], longest[2 * NAMES_FUNCTION_SIZE + NAMES_QUALIFIER_SIZE];
	struct known k = { 0 };

	for (uintptr_t i = 1; i <= 100000; i++) {
		snprintf(name, sizeof(name), "f%ju", (uintmax_t)i);
		known_add(&k, 1, name, "", function(i));
		cr_assert(known_find(&k, 1, name, "") == function(i));
		cr_assert(le(u32, k.n, 65536));
	}
	memset(longest, 'f', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	known_add(&k, 1, longest, "", function(1));
	cr_expect(known_find(&k, 1, longest, "") == NULL, "longer than any that there is");
	known_forget(&k);
}
