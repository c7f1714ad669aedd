/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_layout.c - `thaw layout`: the layout of every section of state.bin, from the tables that
 * save and restore use. For contributors: tests/golden/layout.txt is its reviewed output.
 */
#include <stdio.h>

#include "snapshot/machine_state.h"
#include "tools/thaw/cmd.h"

static void print_fields(const struct state_desc *d, uint32_t base, const char *prefix)
{
	char inner[160];

	for (uint32_t i = 0; i < d->nfields; i++) {
		const struct state_field *f = &d->fields[i];
		uint32_t n = f->size / state_unit(f);

		if (f->kind != STATE_NEST) {
			printf("  %4u %4u %s%s\n", base + f->off, f->size, prefix, f->name);
			continue;
		}
		for (uint32_t k = 0; k < n; k++) {
			if (n > 1)
				snprintf(inner, sizeof(inner), "%s%s[%u].", prefix, f->name, k);
			else
				snprintf(inner, sizeof(inner), "%s%s.", prefix, f->name);
			print_fields(f->inner, base + f->off + k * f->inner->size, inner);
		}
	}
}

static int run_layout(int argc, char **argv)
{
	const struct state_desc *d;

	if (argc != 1)
		return cmd_usage(&cmd_layout, "unexpected '%s'", argv[1]);
	for (uint32_t i = 0; (d = machine_state_desc(i)) != NULL; i++) {
		printf("%s v%u, %u bytes", d->name, d->version, d->size);
		if (d->max_count > 0)
			printf(" each, up to %u", d->max_count);
		putchar('\n');
		print_fields(d, 0, "");
	}
	return EXIT_OK;
}

const struct cmd cmd_layout = {
	.name = "layout",
	.run = run_layout,
	.usage = "",
};
