/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - what a measurement must say about where it was made. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct json_t; /* jansson's */

/* Text fields are "unknown" where the host does not tell. */
struct host_facts {
	char cpu[64];		/* model name */
	unsigned int cpus;	/* that this process may run on */
	uint64_t memory;	/* bytes of RAM */
	char kernel[96];	/* release and version */
	char kvm[16];		/* kvm_kind_name(), or "none" */
	char quirks[160];	/* of KVM, by name */
	char huge_anon[32];	/* transparent huge pages of anonymous memory */
	char huge_shmem[32];	/* and of memfds */
	char governor[32];	/* CPU frequency */
	char mitigations[16];	/* "on", or "off" on the kernel's command line */
	char nx_huge_pages[16]; /* kvm.nx_huge_pages: "Y" makes the first VM slow to create */
	char date[32];		/* UTC, ISO 8601 */
	char version[16];	/* of thaw */
};

/* Never fails. */
void host_facts_read(struct host_facts *h);

/* The facts in order, for tables: name and text; NULL past the last one. @text: in a static
 * buffer where it is a number. */
const char *host_fact(const struct host_facts *h, unsigned int i, const char **text);

/* One object with a key per fact. New reference. */
struct json_t *host_facts_json(const struct host_facts *h);
