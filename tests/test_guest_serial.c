/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "engine/util.h"
#include "tools/thaw/guest_serial.h"

Test(guest_serial, ctrl_a_is_ours_also_over_two_reads)
{
	static const struct {
		const char *first, *second, *left;
		bool quits;
	} cases[] = {
		{ "ls\r", "", "ls\r", false },
		{ "\x01x", "", "", true },
		{ "a\x01", "Xb", "ab", true },
		{ "\x01\x01", "x", "\x01x", false },
		{ "\x01"
		  "a",
		  "\x01"
		  "Ab",
		  "\x01\x01"
		  "b",
		  false },
		{ "\x01", "", "", false },
		{ "1\x01"
		  "c2",
		  "3", "123", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest_serial g = { 0 };
		uint8_t keys[16];
		char left[16] = "";
		size_t n;

		memcpy(keys, cases[i].first, strlen(cases[i].first));
		n = guest_serial_keys(&g, keys, strlen(cases[i].first));
		memcpy(left, keys, n);
		memcpy(keys, cases[i].second, strlen(cases[i].second));
		memcpy(left + n, keys, guest_serial_keys(&g, keys, strlen(cases[i].second)));
		cr_expect(eq(str, left, (char *)cases[i].left), "case %zu", i);
		cr_expect(eq(int, g.has_quit, cases[i].quits), "case %zu", i);
	}
}
