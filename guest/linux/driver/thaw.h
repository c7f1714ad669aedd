/* SPDX-License-Identifier: GPL-2.0 */
/*
 * thaw.h - what the parts of the driver share: the mailbox of guest/abi.h, which the host writes
 * only while the processor is stopped in a doorbell. Hence no locks against the host, and nothing
 * volatile: ringing is a barrier for the compiler.
 */
#pragma once

#include <linux/io.h>

#include "guest/abi.h"

struct file;
struct inode;

extern struct abi_mailbox *thaw_box; /* NULL: this machine has none */
extern void __iomem *thaw_doorbells;

/* Look for the mailbox, once. Returns false when there is none. */
bool thaw_find(void);

static inline void *thaw_area(u32 offset)
{
	return (u8 *)thaw_box + offset;
}

/* Stop, and let the host act. */
static inline void thaw_ring(u32 doorbell)
{
	writel(0, thaw_doorbells + doorbell);
}

/* Ring a doorbell that does not return. */
void __noreturn thaw_end(u32 doorbell);

/* The process that opened the event stream: its end is the machine's. */
int thaw_own(struct inode *inode, struct file *file);
/* A descriptor of the event stream is closed, perhaps by the death of its process. */
int thaw_closed(struct file *file, void *id);
