/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what a component keeps across a snapshot, as a table.
 *
 * Each component puts everything that must survive in ONE plain struct (fixed-width
 * integers, byte arrays, nested state structs; no pointers, no padding) and lists its
 * members here. Saving is a copy of that struct; restoring is a check against the table
 * and a copy. The same table drives `inspect`, `diff`, the golden layout files and the
 * fuzzer, and tests/test_state.c checks that it covers every byte of the struct.
 *
 * File form: little-endian, members in table order, nothing between them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

enum state_kind { STATE_U8 = 1, STATE_U16, STATE_U32, STATE_U64, STATE_BYTES, STATE_NEST };

struct state_field {
	const char *name;
	uint32_t off;  /* bytes from the start of the struct */
	uint32_t size; /* bytes of the whole member, arrays included */
	enum state_kind kind;
	uint64_t max;			/* largest legal value of an integer; 0: any */
	const struct state_desc *inner; /* STATE_NEST: table of one element */
};

struct state_desc {
	const char *name;   /* section name in the file: never reused, never renamed */
	uint32_t version;   /* raised with every change of layout */
	uint32_t size;	    /* bytes of the struct */
	uint32_t max_count; /* the section is an array of up to this many; 0: exactly one */
	uint32_t nfields;
	const struct state_field *fields;
	/* Rules across members; may be NULL. */
	int (*check)(const void *state, struct err *err);
};

/* clang-format off */
/* The types a snapshot may hold. A pointer, bool, enum or int member does not compile.
 * unsigned long long is the kernel's __u64. */
#define STATE_KIND(m) _Generic((m), uint8_t:  STATE_U8,  uint16_t: STATE_U16, \
				    uint32_t: STATE_U32, uint64_t: STATE_U64, \
				    unsigned long long: STATE_U64)
#define STATE_ARRAY_KIND(m) _Generic(&(m), uint8_t (*)[sizeof(m)]: STATE_BYTES)
#define STATE_M(T, m) (((T *)0)->m)

#define STATE_ROW(T, m) .name = #m, .off = offsetof(T, m), .size = sizeof(STATE_M(T, m))
#define STATE_FIELD(T, m)         { STATE_ROW(T, m), .kind = STATE_KIND(STATE_M(T, m)) }
#define STATE_FIELD_MAX(T, m, mx) { STATE_ROW(T, m), .kind = STATE_KIND(STATE_M(T, m)), .max = (mx) }
#define STATE_ARRAY8(T, m)        { STATE_ROW(T, m), .kind = STATE_ARRAY_KIND(STATE_M(T, m)) }
#define STATE_ARRAY(T, m)         { STATE_ROW(T, m), .kind = STATE_KIND(STATE_M(T, m)[0]) }
#define STATE_NESTED(T, m, d)     { STATE_ROW(T, m), .kind = STATE_NEST, .inner = (d) }

#define STATE_DESC(section, ver, T, rows) { \
	.name = (section), .version = (ver), .size = sizeof(T), \
	.fields = (rows), .nfields = sizeof(rows) / sizeof((rows)[0]) }
#define STATE_DESC_ARRAY(section, ver, T, rows, most) { \
	.name = (section), .version = (ver), .size = sizeof(T), .max_count = (most), \
	.fields = (rows), .nfields = sizeof(rows) / sizeof((rows)[0]) }
/* clang-format on */

/*
 * state_covers - does the table describe every byte of its struct exactly once?
 * A forgotten member or compiler padding shows up as a gap. Called by the tests for every
 * table in the program. Returns 0 or -EINVAL with the first gap named.
 */
int state_covers(const struct state_desc *d, struct err *err);

/*
 * state_load - check @len untrusted bytes against @d, then copy them to @state.
 * @buf: 8-byte aligned and private (read(2), not a shared mapping), so that what was
 * checked is what is copied. @state is untouched unless the result is 0.
 * Errors: -EMSGSIZE wrong length; -ERANGE a member above its maximum; or what d->check says.
 */
int state_load(const struct state_desc *d, void *state, const void *buf, size_t len,
	       struct err *err);

/*
 * state_load_array - the same for a section that holds an array.
 * @cap: elements that @state has room for.
 * Returns the number of elements, or as state_load; -EMSGSIZE also for more than @cap.
 */
int state_load_array(const struct state_desc *d, void *state, size_t cap, const void *buf,
		     size_t len, struct err *err);

/*
 * state_walk - call @visit for every integer, array and byte string of @state, in table order.
 * @path: "outer.inner[3].name"; @count: elements of an array of integers, 1 for one integer,
 * bytes for STATE_BYTES. A non-zero result of @visit ends the walk and is returned.
 */
typedef int state_visit(void *arg, const char *path, enum state_kind kind, uint32_t count,
			const void *data);
int state_walk(const struct state_desc *d, const void *state, state_visit *visit, void *arg);

/* The unsigned integer of @size bytes (1, 2, 4 or 8) at @p, any alignment. */
uint64_t state_int(const void *p, uint32_t size);

/* Bytes of one element of @f: of the integer, the nested struct, or the whole byte string. */
uint32_t state_unit(const struct state_field *f);
