/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_proc.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <sys/stat.h>

ino_t namespace_of(pid_t pid, const char *name)
{
	char path[64];
	struct stat st = { 0 };

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	cr_expect(eq(int, stat(path, &st), 0), "%s", path);
	return st.st_ino;
}
