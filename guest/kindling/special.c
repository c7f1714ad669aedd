/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/special.h"

#include <sys/stat.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/clock.h"
#include "guest/kindling/file.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/process.h"
#include "guest/kindling/program.h"
#include "guest/kindling/tables.h"
#include "guest/kindling/text.h"
#include "guest/kindling/tree.h"
#include "guest/kindling/user.h"

enum special { SPECIAL_MAPS, SPECIAL_STAT, SPECIAL_CMDLINE, SPECIAL_MEMINFO };

#define COMM_MAX 15u /* bytes of a program's name, as Linux tells it */

/* A slash and the program's name. A copy: the program may change its arguments. */
static char exe[TREE_NAME_MAX + 2];

/* ---- texts ---- */

struct out {
	char *text;
	uint64_t size, len;
};

static const char *area_name(const struct user_area *a)
{
	if (a->end == LAYOUT_STACK_TOP)
		return "[stack]";
	return a->start >= LAYOUT_ARENA ? "" : exe;
}

static void put_area(struct out *o, uint64_t start, uint64_t end, uint32_t allow,
		     const char *name)
{
	o->len += text_print(o->text + o->len, o->size - o->len,
			     "%lx-%lx r%s%sp 00000000 00:00 0 %s\n", start, end,
			     allow & TABLES_WRITE ? "w" : "-", allow & TABLES_EXEC ? "x" : "-",
			     name);
}

/* What is mapped is what may be touched: the arena is, whether it was given out or not. */
static void put_maps(struct out *o)
{
	uint64_t heap = bytes_round_up(memory_heap_end(), LAYOUT_PAGE);

	for (uint32_t i = 0; i < user_nareas; i++) {
		const struct user_area *a = &user_areas[i];

		if (a->start == LAYOUT_ARENA && heap > LAYOUT_ARENA)
			put_area(o, LAYOUT_ARENA, heap, a->allow, "[heap]");
		put_area(o, a->start == LAYOUT_ARENA ? heap : a->start, a->end, a->allow,
			 area_name(a));
	}
}

/* proc(5), /proc/pid/stat: what means nothing here is 0. */
static void put_stat(struct out *o)
{
	char name[COMM_MAX + 1];
	uint64_t ticks = clock_mono_ns() / (1000000000 / CLOCK_TICKS);

	text_print(name, sizeof(name), "%s", exe + 1);
	o->len = text_print(o->text, o->size,
			    "%d (%s) R 0 1 1 0 -1 0 0 0 0 0 %lu 0 0 0 20 0 1 0 0 %lu %lu "
			    "%lu 0 0 %lu 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
			    PROCESS_ID, name, ticks, program.arena_size + program.stack_size,
			    (program.arena_size - memory_free()) / LAYOUT_PAGE, ~0ul,
			    program.sp);
}

static void put_cmdline(struct out *o)
{
	o->len = program.args_size < o->size ? program.args_size : o->size;
	memcpy(o->text, (const void *)program.args, o->len);
}

static void put_meminfo(struct out *o)
{
	uint64_t total = program.arena_size + program.stack_size, left = memory_free();

	o->len = text_print(o->text, o->size,
			    "MemTotal: %lu kB\nMemFree: %lu kB\nMemAvailable: %lu kB\n"
			    "Buffers: 0 kB\nCached: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
			    total / 1024, left / 1024, left / 1024);
}

uint64_t special_text(const struct node *n, char *text, uint64_t size)
{
	static void (*const puts[])(struct out * o) = {
		[SPECIAL_MAPS] = put_maps,
		[SPECIAL_STAT] = put_stat,
		[SPECIAL_CMDLINE] = put_cmdline,
		[SPECIAL_MEMINFO] = put_meminfo,
	};
	struct out o = { .text = text, .size = size };

	puts[n->number](&o);
	return o.len;
}

/* ---- the tree ---- */

static struct node *make(struct node *dir, const char *name, enum kind kind, uint32_t mode)
{
	return tree_place(dir, name, (uint32_t)strlen(name), kind, mode);
}

static void make_link(struct node *dir, const char *name, const char *target)
{
	struct node *n = make(dir, name, KIND_LINK, S_IFLNK | 0777);

	n->data = (const uint8_t *)target;
	n->size = strlen(target);
}

static void make_devices(void)
{
	static const struct {
		char name[8];
		enum kind kind;
	} devices[] = {
		{ "null", KIND_NULL },	   { "zero", KIND_ZERO },      { "full", KIND_FULL },
		{ "random", KIND_RANDOM }, { "urandom", KIND_RANDOM }, { "tty", KIND_OTHER },
	};
	struct node *dev = tree_directory(&tree_root, "dev", 3);

	for (unsigned int i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		make(dev, devices[i].name, devices[i].kind, S_IFCHR | 0666);
	make_link(dev, "fd", "/proc/self/fd");
	make_link(dev, "stdin", "/proc/self/fd/0");
	make_link(dev, "stdout", "/proc/self/fd/1");
	make_link(dev, "stderr", "/proc/self/fd/2");
}

static void make_descriptors(struct node *proc)
{
	static char names[FILE_MAX][4];
	struct node *fd = tree_directory(proc, "fd", 2);

	for (uint32_t i = 0; i < FILE_MAX; i++) {
		text_print(names[i], sizeof(names[i]), "%u", i);
		make(fd, names[i], KIND_FD, S_IFLNK | 0700)->number = i;
	}
}

static void make_proc(void)
{
	static const char *const texts[] = {
		[SPECIAL_MAPS] = "maps",
		[SPECIAL_STAT] = "stat",
		[SPECIAL_CMDLINE] = "cmdline",
	};
	struct node *proc = tree_directory(&tree_root, "proc", 4);
	struct node *self = tree_directory(proc, "1", 1);

	make_link(proc, "self", "1");
	make(proc, "meminfo", KIND_TEXT, S_IFREG | 0444)->number = SPECIAL_MEMINFO;
	for (uint32_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		make(self, texts[i], KIND_TEXT, S_IFREG | 0444)->number = i;
	text_print(exe, sizeof(exe), "/%s", (const char *)program.args);
	make_link(self, "exe", exe);
	make_descriptors(self);
}

void special_init(void)
{
	struct node *tmp = tree_directory(&tree_root, "tmp", 3);

	tmp->mode = S_IFDIR | 01777;
	tmp->writable = 1;
	make_devices();
	make_proc();
}
