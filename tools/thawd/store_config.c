/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thawd/store_state.h"

#define MAX_MEMORY (1ull << 46) /* as the policy's budget, 64 TiB */

const char *const store_modes[] = { "rewind", "reuse", "fresh", NULL };

void store_config_default(struct store_config *config)
{
	*config = (struct store_config){ .timeout_ms = 3000, .weight = 1 };
}

static int check_number(const char *what, uint64_t value, uint64_t min, uint64_t max,
			struct err *err)
{
	if (value >= min && value <= max)
		return 0;
	return err_set(err, EINVAL, "%s is %" PRIu64 ", expected %" PRIu64 " to %" PRIu64, what,
		       value, min, max);
}

static int check_numbers(const struct store_config *c, struct err *err)
{
	int ret = check_number("memory", c->memory, 0, MAX_MEMORY, err);

	if (ret == 0)
		ret = check_number("timeout_ms", c->timeout_ms, 1, STORE_MAX_TIMEOUT_MS, err);
	if (ret == 0)
		ret = check_number("mode", c->mode, 0, POLICY_FRESH, err);
	if (ret == 0)
		ret = check_number("max", c->max, 0, STORE_MAX_SLOTS, err);
	if (ret == 0)
		ret = check_number("min", c->min, 0, c->max > 0 ? c->max : STORE_MAX_SLOTS,
				   err);
	if (ret == 0)
		ret = check_number("weight", c->weight, 1, POLICY_MAX_WEIGHT, err);
	return ret;
}

static int check_strings(const json_t *object, struct err *err)
{
	const char *key;
	json_t *value;

	/* jansson's macro takes an object that it could change; it does not. */
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (!json_is_string(value))
			return err_set(err, EINVAL, "environment: %s is not a string", key);
	}
	return 0;
}

static int settle_environment(struct store_config *c, struct err *err)
{
	json_error_t error;
	json_t *object = json_loads(c->environment, JSON_REJECT_DUPLICATES, &error);
	size_t len;
	int ret;

	if (!json_is_object(object)) {
		json_decref(object);
		return err_set(err, EINVAL, "environment is not a JSON object%s%s",
			       object ? "" : ": ", object ? "" : error.text);
	}
	ret = check_strings(object, err);
	len = json_dumpb(object, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
	if (ret == 0 && (len == 0 || len >= sizeof(c->environment)))
		ret = err_set(err, EINVAL, "environment has %zu bytes, largest allowed is %zu",
			      len, sizeof(c->environment) - 1);
	if (ret == 0) {
		(void)json_dumpb(object, c->environment, len, JSON_COMPACT | JSON_SORT_KEYS);
		c->environment[len] = '\0';
	}
	json_decref(object);
	return ret;
}

int store_check_description(const char *text, struct err *err)
{
	json_t *string = json_string(text);
	size_t len = strlen(text);

	json_decref(string);
	if (!string)
		return err_set(err, EINVAL, "description is not UTF-8");
	if (len >= STORE_DESCRIPTION_SIZE)
		return err_set(err, EINVAL, "description has %zu bytes, largest allowed is %u",
			       len, STORE_DESCRIPTION_SIZE - 1);
	return 0;
}

int store_config_settle(struct store_config *config, struct err *err)
{
	int ret = check_numbers(config, err);

	if (ret == 0)
		ret = store_check_description(config->description, err);
	if (ret == 0 && config->environment[0] != '\0')
		ret = settle_environment(config, err);
	return ret;
}
