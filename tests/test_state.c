/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "engine/state.h"
#include "engine/util.h"

/* One struct with every kind of member, and one that nests an array of it. */
struct ring {
	uint64_t base;
	uint16_t size;
	uint16_t next;
	uint8_t ready;
	uint8_t pad[3];
};

static const struct state_field ring_fields[] = {
	STATE_FIELD(struct ring, base), STATE_FIELD_MAX(struct ring, size, 256),
	STATE_FIELD(struct ring, next), STATE_FIELD_MAX(struct ring, ready, 1),
	STATE_ARRAY8(struct ring, pad),
};

static int ring_check(const void *state, struct err *err)
{
	const struct ring *r = state;

	if (r->ready && r->size == 0)
		return err_set(err, EINVAL, "ready without a size");
	return 0;
}

static const struct state_desc ring_desc = {
	.name = "ring",
	.version = 1,
	.size = sizeof(struct ring),
	.fields = ring_fields,
	.nfields = ARRAY_SIZE(ring_fields),
	.check = ring_check,
};

/* The same as a section that is an array. */
static const struct state_desc rings_desc = {
	.name = "rings",
	.version = 1,
	.size = sizeof(struct ring),
	.max_count = 4,
	.fields = ring_fields,
	.nfields = ARRAY_SIZE(ring_fields),
	.check = ring_check,
};

struct device {
	uint32_t words[3];
	uint32_t flags;
	struct ring rings[2];
	struct ring last;
};

static const struct state_field device_fields[] = {
	STATE_ARRAY(struct device, words),
	STATE_FIELD(struct device, flags),
	STATE_NESTED(struct device, rings, &ring_desc),
	STATE_NESTED(struct device, last, &ring_desc),
};
static const struct state_desc device_desc =
	STATE_DESC("device", 3, struct device, device_fields);

static const struct state_desc *const all[] = { &ring_desc, &rings_desc, &device_desc };

Test(state, every_table_covers_its_struct)
{
	struct err err = { 0 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		cr_expect(eq(int, state_covers(all[i], &err), 0), "%s", err.text);
}

struct holey {
	uint16_t a;
	uint64_t b; /* six bytes of padding before this */
};

Test(state, padding_is_reported)
{
	static const struct state_field f[] = { STATE_FIELD(struct holey, a),
						STATE_FIELD(struct holey, b) };
	static const struct state_desc d = STATE_DESC("holey", 1, struct holey, f);
	struct err err = { 0 };

	cr_assert(eq(int, state_covers(&d, &err), -EINVAL));
	cr_assert(eq(str, err.text, "holey: bytes 2..8 before 'b' are in no row"));
}

Test(state, forgotten_last_member_is_reported)
{
	static const struct state_field f[] = { STATE_FIELD(struct ring, base) };
	static const struct state_desc d = STATE_DESC("short", 1, struct ring, f);
	struct err err = { 0 };

	cr_assert(eq(int, state_covers(&d, &err), -EINVAL));
	cr_assert(eq(str, err.text, "short: bytes 8..16 at the end are in no row"));
}

Test(state, out_of_range_member_is_refused_and_nothing_is_written)
{
	struct ring in = { .size = 300 }, out = { .size = 7 };
	struct err err = { 0 };

	cr_assert(eq(int, state_load(&ring_desc, &out, &in, sizeof(in), &err), -ERANGE));
	cr_assert(eq(str, err.text, "ring.size is 300, largest allowed is 256"));
	cr_assert(eq(u16, out.size, 7));
}

Test(state, wrong_length_is_refused)
{
	struct ring in = { 0 }, out;
	struct err err = { 0 };

	cr_assert(eq(int, state_load(&ring_desc, &out, &in, 15, &err), -EMSGSIZE));
	cr_assert(eq(str, err.text, "ring v1: section has 15 bytes, expected 16"));
}

Test(state, a_bad_nested_element_is_named)
{
	struct device in = { 0 }, out = { .flags = 7 };
	struct err err = { 0 };

	in.rings[1].size = 257;
	cr_assert(eq(int, state_load(&device_desc, &out, &in, sizeof(in), &err), -ERANGE));
	cr_assert(eq(str, err.text, "rings[1]: ring.size is 257, largest allowed is 256"));
	cr_assert(eq(u32, out.flags, 7));
}

Test(state, a_rule_across_members_is_asked)
{
	struct ring in = { .ready = 1 }, out;
	struct err err = { 0 };

	cr_assert(eq(int, state_load(&ring_desc, &out, &in, sizeof(in), &err), -EINVAL));
	cr_assert(eq(str, err.text, "ready without a size"));
	in.size = 1;
	cr_assert(eq(int, state_load(&ring_desc, &out, &in, sizeof(in), &err), 0));
	cr_assert(eq(int, memcmp(&in, &out, sizeof(in)), 0));
}

Test(state, arrays_load_up_to_their_capacity)
{
	struct ring in[5] = { { .base = 1 }, { .base = 2 }, { .base = 3 } }, out[5] = { 0 };
	struct err err = { 0 };

	for (int n = 0; n <= 4; n++) {
		memset(out, 0, sizeof(out));
		cr_assert(eq(int,
			     state_load_array(&rings_desc, out, 4, in,
					      (size_t)n * sizeof(in[0]), &err),
			     n));
		cr_assert(eq(int, memcmp(in, out, (size_t)n * sizeof(in[0])), 0));
	}
	/* more than the table allows, more than there is room for, not a whole number */
	cr_assert(eq(int, state_load_array(&rings_desc, out, 5, in, sizeof(in), &err),
		     -EMSGSIZE));
	cr_assert(eq(int, state_load_array(&rings_desc, out, 1, in, 32, &err), -EMSGSIZE));
	cr_assert(
		eq(str, err.text, "rings v1: section has 32 bytes, expected up to 1 times 16"));
	cr_assert(eq(int, state_load_array(&rings_desc, out, 4, in, 17, &err), -EMSGSIZE));
}

Test(state, a_bad_element_of_an_array_is_named_and_nothing_is_written)
{
	struct ring in[3] = { { .size = 1 }, { .size = 2 }, { .size = 999 } };
	struct ring out[3] = { { .size = 7 } };
	struct err err = { 0 };

	cr_assert(
		eq(int, state_load_array(&rings_desc, out, 3, in, sizeof(in), &err), -ERANGE));
	cr_assert(eq(str, err.text, "rings[2]: rings.size is 999, largest allowed is 256"));
	cr_assert(eq(u16, out[0].size, 7));
}

struct log {
	char text[1024];
	int stop_after;
};

static int log_visit(void *arg, const char *path, enum state_kind kind, uint32_t count,
		     const void *data)
{
	struct log *log = arg;
	size_t used = strlen(log->text);

	snprintf(log->text + used, sizeof(log->text) - used, "%s:%d*%u=%ju ", path, (int)kind,
		 count, (uintmax_t)state_int(data, 1));
	return --log->stop_after == 0 ? 42 : 0;
}

Test(state, the_walk_visits_everything_in_table_order)
{
	struct device d = { .words = { 9, 8, 7 }, .flags = 5 };
	struct log log = { 0 };

	d.rings[1].size = 3;
	d.last.pad[0] = 2;
	cr_assert(eq(int, state_walk(&device_desc, &d, log_visit, &log), 0));
	cr_assert(eq(str, log.text,
		     "words:3*3=9 flags:3*1=5 "
		     "rings[0].base:4*1=0 rings[0].size:2*1=0 rings[0].next:2*1=0 "
		     "rings[0].ready:1*1=0 rings[0].pad:5*3=0 "
		     "rings[1].base:4*1=0 rings[1].size:2*1=3 rings[1].next:2*1=0 "
		     "rings[1].ready:1*1=0 rings[1].pad:5*3=0 "
		     "last.base:4*1=0 last.size:2*1=0 last.next:2*1=0 "
		     "last.ready:1*1=0 last.pad:5*3=2 "));
}

Test(state, a_visitor_can_end_the_walk)
{
	struct device d = { 0 };
	struct log log = { .stop_after = 3 };

	cr_assert(eq(int, state_walk(&device_desc, &d, log_visit, &log), 42));
	cr_assert(eq(str, log.text, "words:3*3=0 flags:3*1=0 rings[0].base:4*1=0 "));
}
