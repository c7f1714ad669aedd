/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/mem.h"

/* linux/userfaultfd.h from Linux 6.1 on; older headers have everything else. */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

static struct uffdio_range range_of(void *addr, size_t len)
{
	return (struct uffdio_range){ .start = (uintptr_t)addr, .len = len };
}

/* The device decides by its file mode, the system call by privilege. */
static int open_device(void)
{
	auto_close int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	return dev < 0 ? -1 : ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
}

static int open_any(struct err *err)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int code = errno;

	if (fd < 0)
		fd = open_device();
	if (fd >= 0)
		return fd;
	if (code == ENOSYS)
		return err_set(err, ENOSYS,
			       "userfaultfd: this kernel has none (CONFIG_USERFAULTFD)");
	if (code == EPERM)
		return err_set(err, EPERM,
			       "userfaultfd: not permitted: needs CAP_SYS_PTRACE, sysctl "
			       "vm.unprivileged_userfaultfd=1, or access to /dev/userfaultfd");
	errno = code;
	return err_sys(err, "userfaultfd");
}

int uffd_open(struct uffd *u, enum uffd_mode mode, struct err *err)
{
	struct uffdio_api api = { .api = UFFD_API };
	auto_close int fd = open_any(err);

	u->fd = -1;
	if (fd < 0)
		return fd;
	if (mode & UFFD_WP)
		api.features |= UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		if (errno == EINVAL && mode & UFFD_WP)
			return err_set(err, ERR_UNFIT,
				       "userfaultfd: this kernel cannot write-protect pages "
				       "(Linux 5.7 can)");
		return err_sys(err, "UFFDIO_API");
	}
	u->fd = fd_take(&fd);
	return 0;
}

void uffd_close(struct uffd *u)
{
	fd_cleanup(&u->fd);
	u->fd = -1;
}

int uffd_register(const struct uffd *u, void *addr, size_t len, enum uffd_mode mode,
		  struct err *err)
{
	struct uffdio_register reg = { .range = range_of(addr, len),
				       .mode = UFFDIO_REGISTER_MODE_MISSING };

	if (mode & UFFD_WP)
		reg.mode |= UFFDIO_REGISTER_MODE_WP;
	if (ioctl(u->fd, UFFDIO_REGISTER, &reg) < 0)
		return err_sys(err, "UFFDIO_REGISTER of %zu bytes", len);
	return 0;
}

int uffd_unregister(const struct uffd *u, void *addr, size_t len, struct err *err)
{
	struct uffdio_range range = range_of(addr, len);

	if (ioctl(u->fd, UFFDIO_UNREGISTER, &range) < 0)
		return err_sys(err, "UFFDIO_UNREGISTER of %zu bytes", len);
	return 0;
}

int uffd_read(const struct uffd *u, struct uffd_fault *f, struct err *err)
{
	struct uffd_msg msg;
	ssize_t n;

	do {
		n = read(u->fd, &msg, sizeof(msg));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return err_sys(err, "read a fault from userfaultfd");
	if (n != (ssize_t)sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT)
		return err_set(err, EIO,
			       "userfaultfd: event 0x%x of %zd bytes, expected a page fault",
			       msg.event, n);
	f->page = (uint8_t *)((uintptr_t)msg.arg.pagefault.address &
			      ~(uintptr_t)(MEM_PAGE_SIZE - 1));
	f->write = msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE;
	f->wp = msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP;
	return 1;
}

/*
 * One call of a kind that places pages. @done: what it says about how far it came, bytes or
 * -errno. Returns the bytes that need no further call, or -errno.
 */
static int64_t placed(const struct uffd *u, int ret, int64_t done, void *dst)
{
	if (ret == 0)
		return done;
	if (errno == EEXIST) {
		/* Placed by somebody else; who waits for it may not have been told. */
		uffd_wake(u, dst, MEM_PAGE_SIZE);
		return MEM_PAGE_SIZE;
	}
	/* Interrupted by a page that is there, or by a change of mappings. */
	if (errno == EAGAIN)
		return MAX(done, 0);
	return -errno;
}

int uffd_copy(const struct uffd *u, void *dst, const void *src, size_t len, enum uffd_mode mode,
	      struct err *err)
{
	for (size_t at = 0; at < len;) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)dst + at,
			.src = (uintptr_t)src + at,
			.len = len - at,
			.mode = mode & UFFD_WP ? UFFDIO_COPY_MODE_WP : 0,
		};
		int ret = ioctl(u->fd, UFFDIO_COPY, &copy);
		int64_t n = placed(u, ret, copy.copy, (uint8_t *)dst + at);

		if (n < 0)
			return err_sys(err, "UFFDIO_COPY of %zu bytes", len - at);
		at += (size_t)n;
	}
	return 0;
}

int uffd_zero(const struct uffd *u, void *dst, size_t len, struct err *err)
{
	for (size_t at = 0; at < len;) {
		struct uffdio_zeropage zero = { .range = range_of((uint8_t *)dst + at,
								  len - at) };
		int ret = ioctl(u->fd, UFFDIO_ZEROPAGE, &zero);
		int64_t n = placed(u, ret, zero.zeropage, (uint8_t *)dst + at);

		if (n < 0)
			return err_sys(err, "UFFDIO_ZEROPAGE of %zu bytes", len - at);
		at += (size_t)n;
	}
	return 0;
}

int uffd_unprotect(const struct uffd *u, void *addr, size_t len, struct err *err)
{
	struct uffdio_writeprotect wp = { .range = range_of(addr, len) };
	int ret;

	do {
		ret = ioctl(u->fd, UFFDIO_WRITEPROTECT, &wp);
	} while (ret < 0 && errno == EAGAIN);
	return ret < 0 ? err_sys(err, "UFFDIO_WRITEPROTECT of %zu bytes", len) : 0;
}

void uffd_wake(const struct uffd *u, void *addr, size_t len)
{
	struct uffdio_range range = range_of(addr, len);

	ioctl(u->fd, UFFDIO_WAKE, &range); /* fails only for a range that is none */
}
