/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thaw.h - libthaw: start frozen machines from a C program.
 *
 *	host      /dev/kvm and what it can do; once per process
 *	image     the directory that `thaw build` made, checked
 *	template  an image made ready in memory for a host, shared by its clones
 *	clone     one machine restored from a template
 *	snapshot  a clone at one moment, to be written as a layer on its image
 *
 * Errors: functions return 0 or a negative errno; with @err, which may be NULL, comes one
 * sentence without a newline. Some reasons have an errno of their own (enum thaw_reason).
 *
 * Threads: hosts, images and templates may be used by any number of threads at once; each must
 * outlive what was made from it. A clone belongs to the thread that opened it: only that thread
 * may call its functions. Signals: libthaw takes SIGRTMIN for itself, to stop machines.
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

/* 32 hex digits; lives as long as @image. */
THAW_PUBLIC const char *thaw_image_id(const struct thaw_image *image);

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
 * @tier: "map": decoded now, once, pages come when a clone touches them; "warm": the same, for
 *        clones that are rewound and used again; "ready": the working
 *        set is decoded into each clone, the rest when it is touched; "lazy": a clone starts
 *        at once, and its memory comes while it runs; "eager": all is decoded into each clone;
 *        "auto" or NULL: what suits @starts, the number of clones expected, and what is cached.
 * Errors: -EINVAL no such tier; -THAW_UNFIT with the differences; -THAW_DAMAGED; -ENOMEM.
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
 */
THAW_CHECK int thaw_clone_open(struct thaw_clone **clone, const struct thaw_template *t,
			       thaw_log *log, void *arg, struct thaw_err *err);
THAW_PUBLIC void thaw_clone_close(struct thaw_clone *clone);

#define THAW_EVENT_MAX 6291456u /* bytes of an event, and of a reply: 6 MiB */

/*
 * thaw_clone_invoke - hand over one event, run the machine until it replied.
 * @timeout_ms: 0: none.
 * Errors: -EMSGSIZE a longer event; -THAW_TIMED_OUT; -THAW_CRASHED. After these two the clone
 * can only be asked for its crash, and closed: another event is -EBUSY.
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
	uint64_t flushes;	  /* page tables had changed, and KVM was made to notice */
	uint64_t full_loads; /* rewinds that could not take the short way to the registers */
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
 * thaw_snapshot_write - write it to the directory @dir: a layer on the image of the clone's
 * template, which must outlive @snapshot; the clone need not. On any thread, one at a time.
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
	uint64_t request; /* thaw_clone_open was called; after a rewind: thaw_clone_invoke */
	uint64_t shell;	  /* a virtual machine was there, empty */
	uint64_t memory;  /* guest memory attached */
	uint64_t state;	  /* vCPU and devices set, generation, entropy and clocks renewed */
	uint64_t first_instruction; /* by the guest's own clock */
	uint64_t first_response;
	uint64_t released; /* thaw_clone_rewind was done with that start */
};
THAW_PUBLIC void thaw_clone_stamps(const struct thaw_clone *clone, struct thaw_stamps *stamps);

#ifdef __cplusplus
}
#endif

#endif
