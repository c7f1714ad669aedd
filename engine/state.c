/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "snapshots are little-endian");

uint32_t state_unit(const struct state_field *f)
{
	switch (f->kind) {
	case STATE_U8:
		return 1;
	case STATE_U16:
		return 2;
	case STATE_U32:
		return 4;
	case STATE_U64:
		return 8;
	case STATE_BYTES:
		return f->size;
	case STATE_NEST:
		return f->inner->size;
	}
	return 0;
}

int state_covers(const struct state_desc *d, struct err *err)
{
	uint32_t at = 0;
	int ret;

	for (uint32_t i = 0; i < d->nfields; i++) {
		const struct state_field *f = &d->fields[i];
		uint32_t unit = state_unit(f);

		if (f->off != at)
			return err_set(err, EINVAL,
				       "%s: bytes %u..%u before '%s' are in no row", d->name,
				       at, f->off, f->name);
		if (unit == 0 || f->size % unit != 0)
			return err_set(err, EINVAL, "%s.%s: size %u is not a multiple of %u",
				       d->name, f->name, f->size, unit);
		if (f->kind == STATE_NEST) {
			ret = state_covers(f->inner, err);
			if (ret < 0)
				return ret;
		}
		at += f->size;
	}
	if (at != d->size)
		return err_set(err, EINVAL, "%s: bytes %u..%u at the end are in no row",
			       d->name, at, d->size);
	return 0;
}

uint64_t state_int(const void *p, uint32_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

static int check_field(const struct state_desc *d, const struct state_field *f,
		       const uint8_t *p, struct err *err);

static int check_fields(const struct state_desc *d, const uint8_t *p, struct err *err)
{
	int ret;

	for (uint32_t i = 0; i < d->nfields; i++) {
		ret = check_field(d, &d->fields[i], p + d->fields[i].off, err);
		if (ret < 0)
			return ret;
	}
	return d->check ? d->check(p, err) : 0;
}

static int check_field(const struct state_desc *d, const struct state_field *f,
		       const uint8_t *p, struct err *err)
{
	uint32_t unit = state_unit(f);
	uint64_t v;
	int ret;

	if (f->kind != STATE_NEST && f->max == 0)
		return 0;
	for (uint32_t at = 0; at < f->size; at += unit) {
		if (f->kind == STATE_NEST) {
			ret = check_fields(f->inner, p + at, err);
			if (ret < 0)
				return err_wrap(err, ret, "%s[%u]", f->name, at / unit);
			continue;
		}
		v = state_int(p + at, unit);
		if (v > f->max)
			return err_set(err, ERANGE,
				       "%s.%s is %" PRIu64 ", largest allowed is %" PRIu64,
				       d->name, f->name, v, f->max);
	}
	return 0;
}

int state_load(const struct state_desc *d, void *state, const void *buf, size_t len,
	       struct err *err)
{
	int ret;

	if (len != d->size)
		return err_set(err, EMSGSIZE, "%s v%u: section has %zu bytes, expected %u",
			       d->name, d->version, len, d->size);
	ret = check_fields(d, buf, err);
	if (ret < 0)
		return ret;
	memcpy(state, buf, len);
	return 0;
}

int state_load_array(const struct state_desc *d, void *state, size_t cap, const void *buf,
		     size_t len, struct err *err)
{
	size_t n = len / d->size;
	int ret;

	if (len % d->size != 0 || n > cap || n > d->max_count)
		return err_set(err, EMSGSIZE,
			       "%s v%u: section has %zu bytes, expected up to %zu times %u",
			       d->name, d->version, len, MIN(cap, (size_t)d->max_count),
			       d->size);
	for (size_t i = 0; i < n; i++) {
		ret = check_fields(d, (const uint8_t *)buf + i * d->size, err);
		if (ret < 0)
			return err_wrap(err, ret, "%s[%zu]", d->name, i);
	}
	memcpy(state, buf, len);
	return (int)n;
}

/* Longest path the walk builds; the deepest of ours is under 60. */
#define PATH_SIZE 160

static int walk(const struct state_desc *d, const uint8_t *p, const char *prefix,
		state_visit *visit, void *arg)
{
	char path[PATH_SIZE];
	int ret = 0;

	for (uint32_t i = 0; i < d->nfields && ret == 0; i++) {
		const struct state_field *f = &d->fields[i];
		uint32_t unit = state_unit(f);
		uint32_t n = f->size / unit;

		if (f->kind != STATE_NEST) {
			snprintf(path, sizeof(path), "%s%s", prefix, f->name);
			ret = visit(arg, path, f->kind, f->kind == STATE_BYTES ? f->size : n,
				    p + f->off);
			continue;
		}
		for (uint32_t k = 0; k < n && ret == 0; k++) {
			if (n > 1)
				snprintf(path, sizeof(path), "%s%s[%u].", prefix, f->name, k);
			else
				snprintf(path, sizeof(path), "%s%s.", prefix, f->name);
			ret = walk(f->inner, p + f->off + (size_t)k * unit, path, visit, arg);
		}
	}
	return ret;
}

int state_walk(const struct state_desc *d, const void *state, state_visit *visit, void *arg)
{
	return walk(d, state, "", visit, arg);
}
