/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thaw.h - libthaw: start frozen machines from a C program.
 *
 *	host      /dev/kvm and what it can do; once per process
 *	image     the directory that `thaw build` made, checked
 *	template  an image made ready in memory for a host, shared by its clones
 *	clone     one machine restored from a template
 *	snapshot  a machine at one moment, to be written as a layer on its image
 *
 * Errors: functions return 0 or a negative errno; with @err, which may be NULL, comes one
 * sentence without a newline. Some reasons have an errno of their own (enum thaw_reason).
 *
 * Threads: hosts, images, templates, zygotes and pools may be used by any number of threads at
 * once. Hosts, images and templates may be closed while something made from them lives: they
 * go with the last of it. A clone belongs to the thread that opened it: only that thread may
 * call its functions. A slot belongs to one thread at a time. Signals: libthaw takes SIGRTMIN
 * for itself, to stop machines.
 *
 * Link with `pkg-config --cflags --libs thaw`. docs/embed.md has a whole program.
 */
#ifndef THAW_H
#define THAW_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define THAW_PUBLIC __attribute__((visibility("default")))
#define THAW_CHECK  __attribute__((visibility("default"), warn_unused_result))
#else
#define THAW_PUBLIC
#define THAW_CHECK
#endif

struct thaw_err {
	char text[240]; /* ends in NUL; written exactly when a result is negative */
};

enum thaw_reason {
	THAW_DAMAGED = EBADMSG, /* an image's bytes are not what was written */
	THAW_UNFIT = ENOTSUP,	/* an intact image that this host or version cannot run */
	THAW_NO_KVM = ENODEV,	/* no usable /dev/kvm here */
	THAW_CRASHED = ENOTRECOVERABLE, /* the guest died or ended without an answer */
	THAW_TIMED_OUT = ETIMEDOUT,	/* the guest did not answer in time */
};

struct thaw_host;
struct thaw_image;
struct thaw_template;
struct thaw_clone;
struct thaw_snapshot;

/* "0.1.0" */
THAW_PUBLIC const char *thaw_version(void);

/* Errors: -THAW_NO_KVM. */
THAW_CHECK int thaw_host_open(struct thaw_host **host, struct thaw_err *err);
THAW_PUBLIC void thaw_host_close(struct thaw_host *host);

/*
 * thaw_image_open - read and check the image in the directory @dir: everything but the memory
 * itself, whose frames are checked as they are decoded. Needs no KVM. The parent of a layer is
 * found beside it, in the same directory, by its id.
 * Errors: -ENOENT, also no parent there; -ENOTDIR; -THAW_DAMAGED, also a parent that was changed
 * after the layer was made; -THAW_UNFIT of another format version.
 */
THAW_CHECK int thaw_image_open(struct thaw_image **image, const char *dir,
			       struct thaw_err *err);

/* The same for a layer whose parent is in the directory @parent. Errors: also -EINVAL it is not
 * the parent of that image. */
THAW_CHECK int thaw_image_open_layer(struct thaw_image **image, const char *dir,
				     const char *parent, struct thaw_err *err);
THAW_PUBLIC void thaw_image_close(struct thaw_image *image);

/*
 * thaw_image_set_drive - templates opened from here on take another file for the drive @id than
 * the one whose path is in the image. It must have the same content.
 * @path: NULL: @fd, which is open for reading only, is duplicated, and the caller's again afterwards.
 * Errors: -EINVAL the image has no such drive, or none of both is given; -ENOMEM.
 */
THAW_CHECK int thaw_image_set_drive(struct thaw_image *image, const char *id, const char *path,
				    int fd, struct thaw_err *err);

/* What a machine may take: at first @size and @burst, then as much as comes in, @size each @refill_ms. */
struct thaw_limit {
	uint64_t size;	    /* 0: no limit */
	uint64_t burst;	    /* once */
	uint32_t refill_ms; /* 1000: @size is by the second */
};

/*
 * thaw_image_limit_drive - machines of templates opened from here on read and write at most @bytes of
 * the drive @id, in at most @ops requests. NULL: as the image says.
 * Errors: -EINVAL the image has no such drive, or .refill_ms is missing, or a number is above INT64_MAX.
 */
THAW_CHECK int thaw_image_limit_drive(struct thaw_image *image, const char *id,
				      const struct thaw_limit *bytes,
				      const struct thaw_limit *ops, struct thaw_err *err);

/* 32 hex digits; lives as long as @image. */
THAW_PUBLIC const char *thaw_image_id(const struct thaw_image *image);

/* Bytes that a machine of it may come to use: guest memory, 14 MiB of mailbox, and what it writes to
 * drives. */
THAW_PUBLIC uint64_t thaw_image_memory(const struct thaw_image *image);

/* Check all of the memory, too, and that of the images below a layer. Errors: -THAW_DAMAGED. */
THAW_CHECK int thaw_image_verify(const struct thaw_image *image, struct thaw_err *err);

/*
 * thaw_image_inspect - everything that is in an image but the memory, as one JSON object:
 * "manifest", "sections" with every field, "memory", "working_set". @json: for free(3).
 * Errors: -ENOMEM.
 */
THAW_CHECK int thaw_image_inspect(const struct thaw_image *image, char **json,
				  struct thaw_err *err);

/*
 * thaw_template_open - make an image ready on @host.
 * @tier: "map": decoded now, once for all templates of these files on @host, pages come when a clone touches them; "warm": the same, for
 *        clones that are rewound and used again; "raw": the image's memory.raw is mapped into
 *        each clone, nothing is decoded, and the file must not be written to; "ready": the
 *        working set is decoded into each clone, the rest when it is touched; "lazy": a clone
 *        starts at once, and its memory comes while it runs; "eager": all is decoded into each
 *        clone; "auto" or NULL: what suits @starts, the number of clones expected, and what is
 *        cached.
 * Errors: -EINVAL no such tier, or not for this image; -THAW_UNFIT with the differences; -THAW_DAMAGED; -ENOMEM;
 * -ESTALE the files of the image are not what they were when it was opened.
 */
THAW_CHECK int thaw_template_open(struct thaw_template **t, const struct thaw_host *host,
				  const struct thaw_image *image, const char *tier,
				  unsigned int starts, struct thaw_err *err);
THAW_PUBLIC void thaw_template_close(struct thaw_template *t);

/* "auto" and the tiers there are; NULL at the end. */
THAW_PUBLIC const char *const *thaw_tiers(void);

/* The tier, and in @why, which may be NULL, a few words on why it was chosen. */
THAW_PUBLIC const char *thaw_template_tier(const struct thaw_template *t, const char **why);

/* What a guest prints: @stream 0 its kernel, 1 stdout, 2 stderr. */
typedef void thaw_log(void *arg, unsigned int stream, const void *text, size_t len);

/*
 * thaw_clone_open - restore one machine. It waits for its first event.
 * @log: NULL: what the guest prints goes nowhere; else called on this thread while it runs. The
 *       guest says when and how much. At the deadline of an invocation a signal interrupts it.
 * Errors: -ESTALE memory.raw of a template of tier "raw" is not what it was; -THAW_DAMAGED;
 * -ENOMEM; what KVM says.
 */
THAW_CHECK int thaw_clone_open(struct thaw_clone **clone, const struct thaw_template *t,
			       thaw_log *log, void *arg, struct thaw_err *err);

/*
 * The same in two: thaw_clone_make does what can be done before the machine is wanted (the
 * virtual machine; tier "ready": huge pages in place, and who serves the rest), on the thread
 * that will use the clone; thaw_clone_start restores the machine into it. Until then, nothing
 * else can be asked of the clone but to be closed.
 */
THAW_CHECK int thaw_clone_make(struct thaw_clone **clone, const struct thaw_template *t,
			       thaw_log *log, void *arg, struct thaw_err *err);
/* Errors: as thaw_clone_open: the clone can only be closed then; -EINVAL it was started before. */
THAW_CHECK int thaw_clone_start(struct thaw_clone *clone, struct thaw_err *err);
THAW_PUBLIC void thaw_clone_close(struct thaw_clone *clone);

#define THAW_EVENT_MAX 6291456u /* bytes of an event, and of a reply: 6 MiB */

/*
 * thaw_clone_invoke - hand over one event, run the machine until it replied.
 * @timeout_ms: 0: none.
 * Errors: -EMSGSIZE a longer event; -THAW_TIMED_OUT; -THAW_CRASHED. After these two the clone
 * can only be asked for its crash, and closed: another event is -EBUSY. -ESTALE, in place of
 * whatever came: memory.raw, in tier "raw", is not what it was; the clone can only be closed.
 */
struct thaw_reply {
	const void *data; /* points into the machine, until the next call with this clone */
	size_t len;
};
THAW_CHECK int thaw_clone_invoke(struct thaw_clone *clone, const void *event, size_t len,
				 unsigned int timeout_ms, struct thaw_reply *reply,
				 struct thaw_err *err);

/*
 * thaw_clone_rewind - bring a clone back to the exact state in which it was restored, with a
 * new generation and fresh entropy: what it changed is undone, and it waits for its first event
 * again. Much cheaper than another clone, also after it crashed or ran out of time. The stamps
 * begin anew; the reply of the last event is gone. For templates of tier "warm" or "map".
 * @verify: not 0: compare all of its memory and state with the template afterwards: slow.
 * Errors: -EINVAL another tier; -EILSEQ @verify found a difference; what KVM says. A clone that
 * could not be rewound can only be closed.
 */
THAW_CHECK int thaw_clone_rewind(struct thaw_clone *clone, int verify, struct thaw_err *err);

/* What the rewinds of a clone came to, summed up. */
struct thaw_rewinds {
	uint64_t rewinds;
	uint64_t pages_compared;
	uint64_t pages_copied; /* they were different */
	uint64_t
		pages_given_back; /* never different, or too many: the next use is a page fault */
	uint64_t flushes;	  /* page tables had changed, or may have */
	uint64_t full_loads; /* rewinds that could not take the short way to the registers */
	uint64_t
		searches; /* rewinds that looked at all of the memory for pages it has written */
};
THAW_PUBLIC void thaw_clone_rewinds(const struct thaw_clone *clone,
				    struct thaw_rewinds *rewinds);

/*
 * thaw_snapshot_begin - take down what @clone is at this moment, between two events; it goes on
 * afterwards. On the clone's thread. Only what it changed is copied: the time that it takes
 * does not depend on how much memory the machine has.
 * Errors: -EBUSY the clone does not wait for an event; -EINVAL its template's tier is not "map"
 * or "warm"; -E2BIG its image has too many layers; -ENOMEM; what KVM says.
 */
THAW_CHECK int thaw_snapshot_begin(struct thaw_snapshot **snapshot, struct thaw_clone *clone,
				   struct thaw_err *err);

/*
 * thaw_snapshot_write - write it to the directory @dir: a layer on the image of the machine's
 * template. That of a clone must outlive @snapshot; the machine need not. On any thread, one at
 * a time.
 * The directory appears when the layer is whole. @sync: not 0: wait until it is on the disk.
 * Errors: -EEXIST @dir is there and no image; -ENOMEM; the file system's.
 */
THAW_CHECK int thaw_snapshot_write(struct thaw_snapshot *snapshot, const char *dir, int sync,
				   struct thaw_err *err);

struct thaw_snapshot_stats {
	uint64_t pause_ns;     /* what thaw_snapshot_begin took */
	uint64_t pages_copied; /* meanwhile */
	uint64_t pages_stored; /* they were different; 0 before thaw_snapshot_write */
	uint64_t size;	       /* of the layer in bytes, the manifest not counted; likewise */
};
THAW_PUBLIC void thaw_snapshot_stats(const struct thaw_snapshot *snapshot,
				     struct thaw_snapshot_stats *stats);
THAW_PUBLIC void thaw_snapshot_close(struct thaw_snapshot *snapshot);

/* The registers of a program that died of a signal, as text of several lines, or NULL. Lives
 * as long as @clone. */
THAW_PUBLIC const char *thaw_clone_crash(struct thaw_clone *clone);

/*
 * When what happened in the life of a clone, or since it was rewound last: CLOCK_MONOTONIC, ns;
 * 0: it did not. The two "first" are of the first invocation.
 */
struct thaw_stamps {
	uint64_t request; /* thaw_clone_open or _start was called; after a rewind: _invoke */
	uint64_t shell;	  /* a virtual machine was there, empty */
	uint64_t memory;  /* guest memory attached */
	uint64_t state;	  /* vCPU and devices set, generation, entropy and clocks renewed */
	uint64_t first_instruction; /* by the guest's own clock */
	uint64_t first_response;
	uint64_t released; /* thaw_clone_rewind was done with that start */
};
THAW_PUBLIC void thaw_clone_stamps(const struct thaw_clone *clone, struct thaw_stamps *stamps);

/*
 * How many instructions of the guest's kernel KVM has emulated since the clone was made. Where it
 * has to, that is what most of a guest's time goes to. 0: hardware runs them, or KVM does not count.
 */
THAW_PUBLIC uint64_t thaw_clone_emulated(const struct thaw_clone *clone);

/* One thing that one device of a clone has counted since the clone was made; docs/linux.md has them all. */
struct thaw_counter {
	const char *device, *name; /* of the library: "virtio-blk", "reads" */
	unsigned int instance;	   /* of its kind: the second drive is 1 */
	uint64_t value;
};

/* Write up to @cap of them to @counters, by device. Returns how many there are. */
THAW_PUBLIC size_t thaw_clone_counters(struct thaw_clone *clone, struct thaw_counter *counters,
				       size_t cap);

/*
 * Machines in processes of their own, from shells that were made ahead:
 *
 *	zygote  a process that has done what is done once, and forks shells
 *	pool    slots of one shape (memory size, CPU features, devices), each with a shell: a
 *		process with an empty virtual machine, which may make no system call but those
 *		that it needs
 *	slot    a machine in such a process, from thaw_slot_start to thaw_slot_close
 *
 * A guest that breaks out of its machine is in its shell, not in the caller. What a shell says
 * is checked; its replies lie in memory that it shares with the caller and can still change.
 * The death of a shell, or of the zygote, is an error of what was asked for at the time.
 */
struct thaw_zygote;
struct thaw_pool;
struct thaw_slot;

/*
 * Where shells go: each has a cell, with a user and a group of its own, an empty root, its own
 * namespaces, and no capabilities (docs/security.md). These are the users, and groups of the same
 * numbers; nobody else may be one of them, another zygote's shells neither. A shell that was killed
 * has its user until it is gone: twice as many as slots are plenty.
 */
struct thaw_cells {
	unsigned int first_id; /* not 0 */
	unsigned int count;
};

/*
 * thaw_zygote_open - fork a zygote. What the calling process has in memory at this moment, the
 * zygote and its shells have too: open it early, before secrets are read and threads started.
 * @memory: bytes that all of its pools together may come to use, the budget; 0: seven eighths
 *	    of what is available now. Clones (thaw_clone_open) are not counted in it.
 * @cells: NULL: shells are the caller's user and in its namespaces, and their filter of system
 *	   calls is all that keeps them from what that user may do. Else the caller is root, and
 *	   keeps CAP_KILL while there are slots: it ends processes of other users.
 * Errors: -THAW_NO_KVM; what fork says; -EPERM @cells need root; -EINVAL they are no such users,
 * or the root file system is an initramfs.
 */
THAW_CHECK int thaw_zygote_open(struct thaw_zygote **zygote, uint64_t memory,
				const struct thaw_cells *cells, struct thaw_err *err);
/* After all of its pools. No process of it is left when this returns. */
THAW_PUBLIC void thaw_zygote_close(struct thaw_zygote *zygote);
THAW_PUBLIC int thaw_zygote_pid(const struct thaw_zygote *zygote);

/*
 * thaw_pool_open - @slots places for machines of the shape of @t, and make their shells. Slots
 * have their memory as clones of tier "map" do, whatever the tier of @t: if that is "ready",
 * "lazy" or "eager", it is decoded here, once, unless another template of the image has it.
 * Whoever cannot wait for that opens a clone of @t meanwhile, on another thread.
 * @slot_memory: bytes that the budget counts for each machine, beside shells and templates. It
 *		 has a private copy of each page that it writes to. 0: all that it can write to,
 *		 its memory and 14 MiB of mailbox, so that no machine exceeds it. Less lets more
 *		 machines start, and is for whoever knows how much they write: nothing enforces
 *		 it.
 * Errors: -ENOMEM it does not fit into what the zygote was given, and nothing was made; -EMFILE
 * each slot needs two descriptors, and all of them some more; -ESTALE the files of the image are
 * not what they were when it was opened; -EPIPE the zygote is gone; -EUSERS no user is left for a
 * cell; what a shell could not do; -EINVAL @t is of tier "raw"; of a tier that is decoded here,
 * those of thaw_template_open.
 */
THAW_CHECK int thaw_pool_open(struct thaw_pool **pool, struct thaw_zygote *zygote,
			      const struct thaw_template *t, unsigned int slots,
			      uint64_t slot_memory, struct thaw_err *err);
/* The same, and no shell is made: thaw_pool_fill_to makes as many as are wanted. */
THAW_CHECK int thaw_pool_open_empty(struct thaw_pool **pool, struct thaw_zygote *zygote,
				    const struct thaw_template *t, unsigned int slots,
				    uint64_t slot_memory, struct thaw_err *err);
/* Machines that are still there end, and their slots with them. */
THAW_PUBLIC void thaw_pool_close(struct thaw_pool *pool);

/*
 * thaw_pool_admit - let slots of @pool start machines of @t, too. What thaw_pool_open says of
 * tiers goes for it as well.
 * Errors: -EINVAL another shape, or tier "raw"; -ENOMEM; -ESTALE; -THAW_DAMAGED.
 */
THAW_CHECK int thaw_pool_admit(struct thaw_pool *pool, const struct thaw_template *t,
			       struct thaw_err *err);

/*
 * thaw_pool_fill - make new shells for all slots that have none: those that were closed, or
 * died. Takes about a millisecond each: for when there is time, on any thread.
 * Returns how many shells wait for a machine now, in all. Errors: as thaw_pool_open.
 */
THAW_CHECK int thaw_pool_fill(struct thaw_pool *pool, struct thaw_err *err);
/* The same, but no more than it takes for @waiting to wait. */
THAW_CHECK int thaw_pool_fill_to(struct thaw_pool *pool, unsigned int waiting,
				 struct thaw_err *err);

/*
 * thaw_slot_start - hand a machine of @t to a shell that waits. Comes back when it is handed
 * over, not when it is restored.
 * @t: NULL: the template that the pool was opened with.
 * @log: NULL: what the guest prints goes nowhere; else called from within other functions of
 *	 this slot. A guest that prints waits when nobody calls those.
 * Errors: -EAGAIN no shell waits: fill the pool; -ENOMEM; -EINVAL @t was not admitted; -EPIPE.
 */
THAW_CHECK int thaw_slot_start(struct thaw_slot **slot, struct thaw_pool *pool,
			       const struct thaw_template *t, thaw_log *log, void *arg,
			       struct thaw_err *err);
/* Kills the process, and does not wait until it is gone: who needs its memory next,
 * thaw_pool_fill or a start, does. */
THAW_PUBLIC void thaw_slot_close(struct thaw_slot *slot);

/*
 * thaw_slot_send - hand over an event. A rewind under way is waited for.
 * @timeout_ms: 0: none. Errors: -EMSGSIZE; -EBUSY a reply was not waited for; -THAW_CRASHED the
 * process died; -EPIPE the zygote did.
 */
THAW_CHECK int thaw_slot_send(struct thaw_slot *slot, const void *event, size_t len,
			      unsigned int timeout_ms, struct thaw_err *err);

/*
 * thaw_slot_wait - for the reply. thaw_slot_fd is readable when there is something to be had.
 * Errors: -THAW_TIMED_OUT; -THAW_CRASHED the guest died, or its process; -EPIPE the zygote died;
 * what kept the machine from being restored. After a guest that died or ran out of time the slot
 * can be rewound; after its process died it can only be closed.
 * A process that does not stop within a second of its deadline is killed.
 */
THAW_CHECK int thaw_slot_wait(struct thaw_slot *slot, struct thaw_reply *reply,
			      struct thaw_err *err);
THAW_PUBLIC int thaw_slot_fd(const struct thaw_slot *slot);
/* From now on _wait, _settle and what waits for a rewind do not wait, but say -EAGAIN until
 * thaw_slot_fd has brought the answer: for one thread that looks after many slots. What a guest prints is
 * passed on by these calls. */
THAW_PUBLIC void thaw_slot_wait_not(struct thaw_slot *slot);

/* thaw_slot_send and thaw_slot_wait. */
THAW_CHECK int thaw_slot_invoke(struct thaw_slot *slot, const void *event, size_t len,
				unsigned int timeout_ms, struct thaw_reply *reply,
				struct thaw_err *err);

/*
 * thaw_slot_rewind - ask for what thaw_clone_rewind does, and do not wait for it. The reply of
 * the last event is gone. thaw_slot_settle waits; so does the next event.
 * Errors of the two: -EBUSY; those of thaw_clone_rewind; the slot can only be closed then.
 */
THAW_CHECK int thaw_slot_rewind(struct thaw_slot *slot, int verify, struct thaw_err *err);
THAW_CHECK int thaw_slot_settle(struct thaw_slot *slot, struct thaw_err *err);

/*
 * thaw_slot_snapshot_begin - thaw_snapshot_begin for a machine in a slot, which goes on afterwards;
 * what follows is the same. The snapshot holds the template; slot, pool and zygote may be closed
 * before it. From its first snapshot on the slot needs one more descriptor, and counts twice in
 * the budget: its process has the memory that copies are handed over in until it is gone. The
 * copies themselves are the caller's, and in no budget.
 * Errors: -EBUSY the machine has an event, or did not answer the last one; -E2BIG its image has
 * too many layers; -ENOMEM, also in the budget; -EPROTO what the process handed over is no
 * snapshot: it was killed; as thaw_slot_wait, where the process died.
 */
THAW_CHECK int thaw_slot_snapshot_begin(struct thaw_snapshot **snapshot, struct thaw_slot *slot,
					struct thaw_err *err);

THAW_PUBLIC int thaw_slot_pid(const struct thaw_slot *slot);
/* As of a clone. .shell: a shell was taken; .first_response: the reply is with the caller. */
THAW_PUBLIC void thaw_slot_stamps(const struct thaw_slot *slot, struct thaw_stamps *stamps);
THAW_PUBLIC void thaw_slot_rewinds(const struct thaw_slot *slot, struct thaw_rewinds *rewinds);
THAW_PUBLIC const char *thaw_slot_crash(struct thaw_slot *slot);

#ifdef __cplusplus
}
#endif

#endif
