/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>

#include "engine/err.h"
#include "snapshot/account.h"

Test(account, takes_up_to_the_last_byte_and_says_what_is_left)
{
	struct account a;
	struct err err = { 0 };

	cr_assert(eq(int, account_init(&a, 10 << 20, &err), 0));
	cr_expect(eq(int, account_take(&a, 4 << 20, "one", &err), 0));
	cr_expect(eq(int, account_take(&a, (6 << 20) + 1, "two", &err), -ENOMEM));
	cr_expect(eq(str, err.text, "two needs 7 MiB of memory, 6 of 10 MiB are left"));
	cr_expect(eq(int, account_take(&a, UINT64_MAX, "all", &err), -ENOMEM));
	cr_expect(eq(int, account_take(&a, 6 << 20, "three", &err), 0));
	cr_expect(eq(int, account_take(&a, 1, "four", &err), -ENOMEM));
	account_give(&a, 6 << 20);
	cr_expect(eq(int, account_take(&a, 6 << 20, "five", &err), 0));
	cr_expect(eq(u64, a.used, 10 << 20));
}

Test(account, by_default_most_of_what_the_host_has)
{
	struct account a;
	struct err err = { 0 };

	cr_assert(eq(int, account_init(&a, 0, &err), 0), "%s", err.text);
	cr_expect(gt(u64, a.limit, 16 << 20));
}
