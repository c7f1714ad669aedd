/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/program.h"

#include <asm/hwcap2.h>
#include <linux/auxvec.h>

#include "guest/abi.h"
#include "guest/kindling/bytes.h"
#include "guest/kindling/elf.h"
#include "guest/kindling/frame.h"
#include "guest/kindling/log.h"
#include "guest/kindling/process.h"
#include "guest/kindling/random.h"
#include "guest/kindling/tables.h"
#include "guest/kindling/user.h"

struct program program;

static struct elf_image image;

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Where the lowest of the host's files starts: what we hand out ends before it. */
static uint64_t program_limit(const struct abi_boot_info *info)
{
	uint64_t limit = min(info->program_gpa, info->strings_gpa);

	return info->files_size ? min(limit, info->files_gpa) : limit;
}

/* Copy the segments to consecutive frames from @pa up and map them. Returns the end. */
static uint64_t program_map_image(const struct abi_boot_info *info, uint64_t pa)
{
	const uint8_t *file = tables_direct(info->program_gpa);
	uint64_t limit = program_limit(info);

	for (unsigned int i = 0; i < image.nsegments; i++) {
		const struct elf_segment *s = &image.segments[i];
		uint64_t start = bytes_round_down(s->vaddr, LAYOUT_PAGE);
		uint64_t size = bytes_round_up(s->vaddr + s->memsz, LAYOUT_PAGE) - start;
		uint32_t allow;
		uint8_t *frames;

		/* Where large pages can serve, they must: there is little room for tables. */
		if (size >= LAYOUT_HUGE_PAGE)
			pa += (start - pa) & (LAYOUT_HUGE_PAGE - 1);

		if (pa > limit || size > limit - pa)
			log_die("program needs %lu KiB for segment %u, but %lu KiB are free: "
				"give the machine more memory",
				size / 1024, i, (limit - min(pa, limit)) / 1024);
		frames = tables_direct(pa);
		memcpy(frames + (s->vaddr - start), file + s->offset, s->filesz);
		allow = (s->allow & ELF_WRITE ? TABLES_WRITE : 0) |
			(s->allow & ELF_EXEC ? TABLES_EXEC : 0);
		tables_map(start, pa, size, allow);
		user_add(start, size, allow);
		pa += size;
	}
	return pa;
}

/* The stack's frames from @pa up. Returns the end. */
static uint64_t program_map_stack(const struct abi_boot_info *info, uint64_t pa)
{
	/* A stack is memory that the heap does not get: a small part of a small machine. */
	uint64_t part = bytes_round_up(info->ram_size / 32, LAYOUT_HUGE_PAGE);
	uint64_t size = min(LAYOUT_STACK_MAX, part);
	uint64_t limit = program_limit(info);
	uint32_t allow = TABLES_WRITE | (image.exec_stack ? TABLES_EXEC : 0);

	pa = bytes_round_up(pa, LAYOUT_HUGE_PAGE);
	if (pa > limit || size > limit - pa)
		log_die("program leaves no room for a stack of %lu KiB: give the machine more "
			"memory",
			size / 1024);
	tables_map(LAYOUT_STACK_TOP - size, pa, size, allow);
	user_add(LAYOUT_STACK_TOP - size, size, allow);
	program.stack_size = size;
	return pa + size;
}

/* All RAM from @pa up, to the files that stay. */
static void program_map_arena(const struct abi_boot_info *info, uint64_t pa)
{
	uint64_t end = info->files_size ? info->files_gpa : info->ram_size;

	program.arena_size = bytes_round_down(end, LAYOUT_PAGE) - pa;
	tables_map(LAYOUT_ARENA, pa, program.arena_size, TABLES_WRITE);
	user_add(LAYOUT_ARENA, program.arena_size, TABLES_WRITE);
}

/* ---- the stack ---- */

static void stack_push(uint64_t value)
{
	program.sp -= sizeof(value);
	*(uint64_t *)program.sp = value;
}

static void stack_push_aux(uint64_t type, uint64_t value)
{
	stack_push(value);
	stack_push(type);
}

/* CPUID leaf 1, EDX: what AT_HWCAP is on x86. */
static uint32_t cpu_features(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d;
}

/* @random: address of 16 random bytes; @name: address of the first argument. */
static void stack_push_auxv(uint64_t random, uint64_t name)
{
	stack_push_aux(AT_NULL, 0);
	stack_push_aux(AT_EXECFN, name);
	stack_push_aux(AT_RANDOM, random);
	stack_push_aux(AT_SECURE, 0);
	stack_push_aux(AT_EGID, 0);
	stack_push_aux(AT_GID, 0);
	stack_push_aux(AT_EUID, 0);
	stack_push_aux(AT_UID, 0);
	stack_push_aux(AT_ENTRY, image.entry);
	stack_push_aux(AT_FLAGS, 0);
	stack_push_aux(AT_BASE, 0); /* no interpreter */
	stack_push_aux(AT_PHNUM, image.phnum);
	stack_push_aux(AT_PHENT, 56);
	stack_push_aux(AT_PHDR, image.phdr);
	stack_push_aux(AT_CLKTCK, CLOCK_TICKS);
	stack_push_aux(AT_PAGESZ, LAYOUT_PAGE);
	stack_push_aux(AT_HWCAP, cpu_features());
	stack_push_aux(AT_HWCAP2, HWCAP2_FSGSBASE);
	stack_push_aux(AT_MINSIGSTKSZ, frame_size());
}

/* The strings again, @count of them from *@addr up, as an array of pointers that ends in
 * NULL, at the stack pointer. Leaves *@addr behind the last one. */
static void stack_fill_pointers(uint64_t sp, uint32_t count, uint64_t *addr)
{
	uint64_t *slot = (uint64_t *)sp;

	for (uint32_t i = 0; i < count; i++) {
		slot[i] = *addr;
		*addr += strlen((const char *)*addr) + 1;
	}
	slot[count] = 0;
}

static void program_check_strings(const struct abi_boot_info *info)
{
	const char *strings = tables_direct(info->strings_gpa);
	uint64_t count = (uint64_t)info->argc + info->envc, found = 0;
	uint64_t room = program.stack_size / 4; /* as Linux bounds it */

	if (info->strings_size + count * 8 > room)
		log_die("arguments and environment take %lu bytes, largest allowed is %lu",
			info->strings_size + count * 8, room);
	for (uint64_t i = 0; i < info->strings_size; i++)
		found += strings[i] == '\0';
	if (info->argc == 0 || found != count || strings[info->strings_size - 1] != '\0')
		log_die("boot info promises %u arguments and %u variables, but there are %lu "
			"strings",
			info->argc, info->envc, found);
}

/* From the top: strings, random bytes, auxiliary vector, envp, argv, argc. */
static void program_fill_stack(const struct abi_boot_info *info)
{
	uint64_t pointers = (uint64_t)info->argc + 1 + info->envc + 1;
	uint64_t strings, random, addr;

	program_check_strings(info);
	strings = LAYOUT_STACK_TOP - 16 - info->strings_size;
	memcpy((void *)strings, tables_direct(info->strings_gpa), info->strings_size);
	random = bytes_round_down(strings, 16) - 16;
	random_fill((void *)random, 16);

	/* The auxiliary vector is a multiple of 16 bytes; argc has to end up on one too. */
	program.sp = random - (pointers % 2 == 0 ? 8 : 0);
	stack_push_auxv(random, strings);
	program.sp -= pointers * 8;
	addr = strings;
	program.args = addr;
	stack_fill_pointers(program.sp, info->argc, &addr);
	program.args_size = addr - program.args;
	stack_fill_pointers(program.sp + (info->argc + 1ull) * 8, info->envc, &addr);
	stack_push(info->argc);
}

void program_load(const struct abi_boot_info *info)
{
	char why[ELF_WHY_SIZE];
	uint64_t pa;

	if (elf_parse(tables_direct(info->program_gpa), info->program_size, &image, why))
		log_die("%s", why);
	pa = program_map_image(info, LAYOUT_HUGE_PAGE);
	pa = program_map_stack(info, pa);
	program_map_arena(info, pa);
	tables_link();

	program_fill_stack(info);
	program.entry = image.entry;
	bytes_clear_pages(tables_direct(info->program_gpa),
			  bytes_round_up(info->program_size, LAYOUT_PAGE));
	bytes_clear_pages(tables_direct(info->strings_gpa),
			  bytes_round_up(info->strings_size, LAYOUT_PAGE));
}
