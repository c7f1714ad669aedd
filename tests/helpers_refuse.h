/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_refuse.h - this process, and no other, as on a host that does not permit something. */
#pragma once

/* From here on this thread's and its children's io_uring_setup(2) is refused with EPERM. */
void refuse_io_uring(void);
/* The same for userfaultfd(2) and for what /dev/userfaultfd does in its place. */
void refuse_userfaultfd(void);
