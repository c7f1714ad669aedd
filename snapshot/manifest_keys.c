/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifest_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/manifest_value.h"

/* ---- keys ---- */

/* clang-format off */
#define MEMBER(T, m) offsetof(T, m), sizeof(((T *)0)->m)
#define OF(m) MEMBER(struct manifest, m)

/* In the order in which a new manifest shows them. */
static const struct value_key keys[] = {
	{ NULL,     "id",               &value_id,     OF(id),            0, 0 },
	{ NULL,     "parent",           &value_parent, OF(parent),        0, 0 },
	{ NULL,     "parent_sha256",    &value_parent_digest, OF(parent_sha256), 0, 0 },
	{ NULL,     "created",          &value_time,   OF(created),       0, 0 },
	{ NULL,     "thaw_version",     &value_text,   OF(thaw_version),  0, 0 },
	{ "guest",  "kind",             &value_text,   OF(guest_kind),    0, 0 },
	{ "guest",  "program",          &value_text,   OF(guest_program), 0, 0 },
	{ "shape",  "vcpus",            &value_number, OF(vcpus),         1, MANIFEST_MAX_VCPUS },
	{ "shape",  "cpuid_sha256",     &value_digest, OF(cpuid_sha256),  0, 0 },
	{ "shape",  "tsc_khz",          &value_number, OF(tsc_khz),       1, UINT32_MAX },
	{ "shape",  "xcr0",             &value_mask,   OF(xcr0),          0, 0 },
	/* Intel SDM vol. 1, 13.4: legacy area and header; ours: an upper end */
	{ "shape",  "xsave_size_bytes", &value_number, OF(xsave_size),    576, 1u << 20 },
	{ "cpu",    "vendor",           &value_text,   OF(cpu_vendor),    0, 0 },
	{ "host",   "kernel",           &value_text,   OF(host_kernel),   0, 0 },
	{ "host",   "kvm",              &value_text,   OF(host_kvm),      0, 0 },
	{ "memory", "ram_bytes",        &value_number, OF(ram_size),      1, MANIFEST_MAX_RAM_END },
	{ "memory", "stored_pages",     &value_number, OF(stored_pages),  0, MANIFEST_MAX_RAM_END },
	{ "memory", "nonzero_bytes",    &value_number, OF(nonzero_size),  0, MANIFEST_MAX_RAM_END },
};

/* Keys of one element of a list; their offsets count from the element. */
#define REGION(m) MEMBER(__typeof__(((struct manifest *)0)->regions[0]), m)
static const struct value_key region_gpa =
	{ NULL, "gpa", &value_number, REGION(gpa), 0, MANIFEST_MAX_RAM_END };
static const struct value_key region_size =
	{ NULL, "size_bytes", &value_number, REGION(size), 1, MANIFEST_MAX_RAM_END };
static const struct value_key file_size =
	{ NULL, "size_bytes", &value_number, MEMBER(struct manifest_file, size), 1, INT64_MAX };
static const struct value_key device_name = { NULL, NULL, &value_text, OF(devices[0]), 0, 0 };
static const struct value_key feature_value =
	{ NULL, NULL, &value_mask, MEMBER(struct manifest_feature, value), 0, 0 };

#define DRIVE(m) MEMBER(struct manifest_drive, m)
static const struct value_key drive_keys[] = {
	{ NULL, "id",         &value_text,   DRIVE(id),        0, 0 },
	{ NULL, "path",       &value_text,   DRIVE(path),      0, 0 },
	{ NULL, "size_bytes", &value_number, DRIVE(size),      512, INT64_MAX },
	{ NULL, "sha256",     &value_digest, DRIVE(sha256),    0, 0 },
	{ NULL, "read_only",  &value_flag,   DRIVE(read_only), 0, 0 },
	{ NULL, "bytes_limit", &value_limit, DRIVE(bytes),     0, 0 },
	{ NULL, "ops_limit",  &value_limit,  DRIVE(ops),       0, 0 },
};

#define FILE_DIGEST(name) \
	{ NULL, (name), &value_digest, MEMBER(struct manifest_file, sha256), 0, 0 }

#define DISK(n) \
	[MANIFEST_DISK + (n)] = { "disk" #n ".bin", FILE_DIGEST("sha256"), true }

/* memory.lz4 has a digest per frame in its table, so only the table needs one here. */
static const struct {
	const char *name;
	struct value_key digest;
	bool optional;
} members[MANIFEST_NMEMBERS] = {
	[MANIFEST_STATE]  = { "state.bin",  FILE_DIGEST("sha256"), false },
	[MANIFEST_MEMORY] = { "memory.lz4", FILE_DIGEST("table_sha256"), false },
	[MANIFEST_RAW]	  = { "memory.raw", FILE_DIGEST("sha256"), true },
	[MANIFEST_WSET]	  = { "wset.bin",   FILE_DIGEST("sha256"), true },
	DISK(0), DISK(1), DISK(2), DISK(3), DISK(4), DISK(5), DISK(6), DISK(7),
};
/* clang-format on */

const char *manifest_member_name(enum manifest_member member)
{
	return members[member].name;
}

/* ---- reading ---- */

/* The value of @k in @obj into its member of the struct at @base. @prefix: "shape." */
static int read_key(const struct value_key *k, const char *prefix, const json_t *obj,
		    void *base, struct err *err)
{
	char path[VALUE_PATH_SIZE];

	snprintf(path, sizeof(path), "%s%s", prefix, k->name);
	return k->kind->read(k, path, json_object_get(obj, k->name), (char *)base + k->off,
			     err);
}

static int read_simple(struct manifest *m, const json_t *doc, struct err *err)
{
	char prefix[VALUE_PATH_SIZE];
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(keys); i++) {
		const struct value_key *k = &keys[i];
		const json_t *obj = k->group ? json_object_get(doc, k->group) : doc;

		snprintf(prefix, sizeof(prefix), "%s%s", k->group ? k->group : "",
			 k->group ? "." : "");
		ret = read_key(k, prefix, obj, m, err);
	}
	return ret;
}

/* The list at @path, with its number of elements. */
static int list_of(const char *path, const json_t *list, size_t max, uint32_t *n,
		   struct err *err)
{
	if (!json_is_array(list))
		return value_missing(path, list, "a list", err);
	if (json_array_size(list) > max)
		return err_set(err, ERR_DAMAGED, "%s has %zu elements, largest allowed is %zu",
			       path, json_array_size(list), max);
	*n = (uint32_t)json_array_size(list);
	return 0;
}

static int check_region(const struct manifest *m, uint32_t i, gpa_t after, struct err *err)
{
	uint64_t gpa = m->regions[i].gpa, size = m->regions[i].size;

	if (gpa % MEM_HUGE_SIZE != 0 || size % MEM_HUGE_SIZE != 0 || gpa < after ||
	    gpa + size > MANIFEST_MAX_RAM_END)
		return err_set(err, ERR_DAMAGED,
			       "shape.regions[%u] is %" PRIu64 " bytes at %" PRIu64
			       ", expected 2 MiB steps, rising, below 2^46",
			       i, size, gpa);
	return 0;
}

static int read_regions(struct manifest *m, const json_t *doc, struct err *err)
{
	const json_t *list = json_object_get(json_object_get(doc, "shape"), "regions");
	gpa_t after = 0;
	int ret = list_of("shape.regions", list, MEM_MAX_REGIONS, &m->nregions, err);

	for (uint32_t i = 0; ret == 0 && i < m->nregions; i++) {
		const json_t *region = json_array_get(list, i);
		char prefix[VALUE_PATH_SIZE];

		snprintf(prefix, sizeof(prefix), "shape.regions[%u].", i);
		ret = read_key(&region_gpa, prefix, region, &m->regions[i], err);
		if (ret == 0)
			ret = read_key(&region_size, prefix, region, &m->regions[i], err);
		if (ret == 0)
			ret = check_region(m, i, after, err);
		after = m->regions[i].gpa + m->regions[i].size;
	}
	return ret;
}

static int read_devices(struct manifest *m, const json_t *doc, struct err *err)
{
	const json_t *list = json_object_get(doc, "devices");
	int ret = list_of("devices", list, MANIFEST_MAX_DEVICES, &m->ndevices, err);

	for (uint32_t i = 0; ret == 0 && i < m->ndevices; i++) {
		char path[VALUE_PATH_SIZE];

		snprintf(path, sizeof(path), "devices[%u]", i);
		ret = value_text.read(&device_name, path, json_array_get(list, i),
				      m->devices[i], err);
	}
	return ret;
}

/* Images of machines without drives say nothing of them. */
static int read_drives(struct manifest *m, const json_t *doc, struct err *err)
{
	const json_t *list = json_object_get(doc, "drives");
	int ret = list ? list_of("drives", list, MANIFEST_MAX_DRIVES, &m->ndrives, err) : 0;

	if (ret < 0 || m->ndrives == 0)
		return ret;
	m->drives = calloc(m->ndrives, sizeof(*m->drives));
	if (!m->drives)
		return err_set(err, ENOMEM, "%u drives: out of memory", m->ndrives);
	for (uint32_t i = 0; ret == 0 && i < m->ndrives; i++) {
		char prefix[VALUE_PATH_SIZE];

		snprintf(prefix, sizeof(prefix), "drives[%u].", i);
		for (size_t k = 0; ret == 0 && k < ARRAY_SIZE(drive_keys); k++)
			ret = read_key(&drive_keys[k], prefix, json_array_get(list, i),
				       &m->drives[i], err);
	}
	return ret;
}

static int read_args(struct manifest *m, const json_t *doc, struct err *err)
{
	const json_t *list = json_object_get(json_object_get(doc, "guest"), "args");
	const char *args[MANIFEST_MAX_ARGS];
	uint32_t n = 0;
	int ret = list_of("guest.args", list, ARRAY_SIZE(args), &n, err);

	for (uint32_t i = 0; ret == 0 && i < n; i++) {
		args[i] = json_string_value(json_array_get(list, i));
		if (!args[i])
			ret = err_set(err, ERR_DAMAGED, "guest.args[%u] is not a string", i);
	}
	return ret < 0 ? ret : manifest_set_args(m, n, args, err);
}

static int read_features(struct manifest *m, json_t *doc, struct err *err)
{
	json_t *object = json_object_get(json_object_get(doc, "cpu"), "features");
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return value_missing("cpu.features", object, "an object", err);
	if (json_object_size(object) > MANIFEST_MAX_FEATURES)
		return err_set(err, ERR_DAMAGED,
			       "cpu.features has %zu words, largest allowed is %u",
			       json_object_size(object), MANIFEST_MAX_FEATURES);
	json_object_foreach(object, name, value)
	{
		struct manifest_feature *f = &m->features[m->nfeatures++];
		char path[VALUE_PATH_SIZE];
		int ret;

		if (strlen(name) >= sizeof(f->name))
			return err_set(err, ERR_DAMAGED,
				       "cpu.features: '%.40s' is not the name of a word", name);
		memcpy(f->name, name, strlen(name) + 1);
		snprintf(path, sizeof(path), "cpu.features.%s", name);
		ret = value_mask.read(&feature_value, path, value, &f->value, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_files(struct manifest *m, const json_t *doc, struct err *err)
{
	const json_t *files = json_object_get(doc, "files");
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < MANIFEST_NMEMBERS; i++) {
		const json_t *file = json_object_get(files, members[i].name);
		char prefix[VALUE_PATH_SIZE];

		if (!file && members[i].optional)
			continue;
		snprintf(prefix, sizeof(prefix), "files.%s.", members[i].name);
		ret = read_key(&file_size, prefix, file, &m->files[i], err);
		if (ret == 0)
			ret = read_key(&members[i].digest, prefix, file, &m->files[i], err);
	}
	return ret;
}

int manifest_read_keys(struct manifest *m, json_t *doc, struct err *err)
{
	int ret = read_simple(m, doc, err);

	if (ret == 0)
		ret = read_regions(m, doc, err);
	if (ret == 0)
		ret = read_devices(m, doc, err);
	if (ret == 0)
		ret = read_drives(m, doc, err);
	if (ret == 0)
		ret = read_args(m, doc, err);
	if (ret == 0)
		ret = read_features(m, doc, err);
	return ret < 0 ? ret : read_files(m, doc, err);
}

/* ---- writing ---- */

/* The object @name of @doc, made when it is not there. NULL: no memory. */
static json_t *group_of(json_t *doc, const char *name)
{
	json_t *group = json_object_get(doc, name);

	if (json_is_object(group))
		return group;
	json_object_set_new(doc, name, json_object());
	return json_object_get(doc, name);
}

/* jansson makes no string of bytes that are not UTF-8, and no object without memory. */
static int put(json_t *obj, const char *name, json_t *value, struct err *err)
{
	if (json_object_set_new(obj, name, value) < 0)
		return err_set(err, EINVAL, "manifest: %s is not UTF-8, or out of memory",
			       name);
	return 0;
}

static int write_key(const struct value_key *k, json_t *obj, const void *base, struct err *err)
{
	if (k->kind->is_missing && k->kind->is_missing((const char *)base + k->off))
		return 0;
	return put(obj, k->name, k->kind->write(k, (const char *)base + k->off), err);
}

static int write_simple(const struct manifest *m, json_t *doc, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(keys); i++)
		ret = write_key(&keys[i], keys[i].group ? group_of(doc, keys[i].group) : doc, m,
				err);
	return ret;
}

static int write_regions(const struct manifest *m, json_t *doc, struct err *err)
{
	json_t *list = json_array();
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < m->nregions; i++) {
		json_t *region = json_object();

		ret = write_key(&region_gpa, region, &m->regions[i], err);
		if (ret == 0)
			ret = write_key(&region_size, region, &m->regions[i], err);
		json_array_append_new(list, region);
	}
	if (ret < 0) {
		json_decref(list);
		return ret;
	}
	return put(group_of(doc, "shape"), "regions", list, err);
}

static json_t *drive_json(const struct manifest_drive *d, struct err *err)
{
	json_t *drive = json_object();

	for (size_t k = 0; k < ARRAY_SIZE(drive_keys); k++) {
		if (write_key(&drive_keys[k], drive, d, err) < 0) {
			json_decref(drive);
			return NULL;
		}
	}
	return drive;
}

static int write_drives(const struct manifest *m, json_t *doc, struct err *err)
{
	json_t *list = json_array();

	if (m->ndrives == 0) {
		json_decref(list);
		json_object_del(doc, "drives");
		return 0;
	}
	for (uint32_t i = 0; i < m->ndrives; i++) {
		json_t *drive = drive_json(&m->drives[i], err);

		if (!drive) {
			json_decref(list);
			return -EINVAL;
		}
		json_array_append_new(list, drive);
	}
	return put(doc, "drives", list, err);
}

/* Elements that jansson refuses are missing from the list: the count shows it. */
static int put_list(json_t *obj, const char *name, json_t *list, size_t n, struct err *err)
{
	if (json_array_size(list) != n) {
		json_decref(list);
		list = NULL;
	}
	return put(obj, name, list, err);
}

static int write_texts(const struct manifest *m, json_t *doc, struct err *err)
{
	json_t *devices = json_array(), *args = json_array();
	const char *arg = m->args;
	int ret;

	for (uint32_t i = 0; i < m->ndevices; i++)
		json_array_append_new(devices, value_text.write(&device_name, m->devices[i]));
	for (uint32_t i = 0; i < m->nargs; i++, arg += strlen(arg) + 1)
		json_array_append_new(args, json_string(arg));
	ret = put_list(group_of(doc, "guest"), "args", args, m->nargs, err);
	if (ret < 0) {
		json_decref(devices);
		return ret;
	}
	return put_list(doc, "devices", devices, m->ndevices, err);
}

static int write_features(const struct manifest *m, json_t *doc, struct err *err)
{
	json_t *features = json_object();
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < m->nfeatures; i++)
		ret = put(features, m->features[i].name,
			  value_mask.write(&feature_value, &m->features[i].value), err);
	if (ret < 0) {
		json_decref(features);
		return ret;
	}
	return put(group_of(doc, "cpu"), "features", features, err);
}

static int write_files(const struct manifest *m, json_t *doc, struct err *err)
{
	json_t *files = group_of(doc, "files");
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < MANIFEST_NMEMBERS; i++) {
		json_t *file;

		if (m->files[i].size == 0) {
			json_object_del(files, members[i].name);
			continue;
		}
		file = group_of(files, members[i].name);
		ret = write_key(&file_size, file, &m->files[i], err);
		if (ret == 0)
			ret = write_key(&members[i].digest, file, &m->files[i], err);
	}
	return ret;
}

int manifest_write_keys(const struct manifest *m, json_t *doc, struct err *err)
{
	int ret = write_simple(m, doc, err);

	if (ret == 0)
		ret = write_regions(m, doc, err);
	if (ret == 0)
		ret = write_texts(m, doc, err);
	if (ret == 0)
		ret = write_drives(m, doc, err);
	if (ret == 0)
		ret = write_features(m, doc, err);
	return ret < 0 ? ret : write_files(m, doc, err);
}
