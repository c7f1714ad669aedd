/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h - what boot.S and entry.S offer to C, and what they call.
 */
#pragma once

#include <stdint.h>

struct regs;

/* Serve the program's system call; it goes on as *r says then. Called by entry.S. */
void call_serve(struct regs *r);

/* An exception: see trap.c. Called by boot.S. */
_Noreturn void trap_serve(struct regs *r, uint64_t cr2);

/* Let the program go on as *r says. */
_Noreturn void regs_resume(const struct regs *r);

/* Where C starts, in ring 3; @boot_gpa: struct abi_boot_info. Called by boot.S. */
_Noreturn void kindling_main(uint64_t boot_gpa);

/* Start the program at @entry with its stack pointer @sp. */
_Noreturn void program_enter(uint64_t entry, uint64_t sp);

/*
 * The event path: read from the event stream, write to the reply stream. The first argument
 * is ignored: it is the descriptor of the system call, whose registers these functions take
 * as they are. event_read starts the next event when nothing is left of the last one.
 *
 * Returns bytes, or -EFAULT; event_write also -EPIPE before the first event and -EMSGSIZE
 * when the reply would grow beyond ABI_REPLY_MAX (nothing is appended then).
 */
int64_t event_read(uint64_t fd, uint64_t buf, uint64_t size);
int64_t event_write(uint64_t fd, uint64_t buf, uint64_t size);

/*
 * The two halves of event_read for hook.c, which acts between them: event_next takes the next
 * event, event_copy moves up to @size bytes of what is left of it to @buf, which was checked.
 */
void event_next(void);
int64_t event_copy(uint64_t fd, uint64_t buf, uint64_t size);

extern uint64_t event_fd, reply_fd; /* descriptors that entry.S serves itself; -1: closed */
extern uint64_t event_size;	    /* bytes of the event last started */
extern uint64_t event_left;	    /* bytes of it that were not read yet */
extern uint64_t reply_size;	    /* bytes of the reply so far */

/* The first free byte after kindling, page aligned, and the page tables of boot.S. */
extern uint8_t kernel_end[];
extern uint64_t tables_pml4[512];
extern uint64_t boot_pml4[512];
