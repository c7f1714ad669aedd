/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract.c - the event contract, case by case. The program expects the events of this table
 * in this order and gives these replies; what the host cannot see from outside it checks
 * itself and ends with status 1. After the last event it reads once more, and ends with
 * status 0 when the event is "bye". With the argument "linux" it expects what Linux does otherwise: of a
 * vector with a bad buffer it uses what is before that, and it reads a vector once, before all else.
 *
 *	event			reply			case
 *	0123456789		0123|456|789		short buffers, lseek
 *	(empty)			empty			an empty event is not the end
 *	abcd			exact			a buffer of the event's size
 *	efgh			several writes		a reply in parts, one of them empty
 *	(any)			(nothing)		no reply
 *	(any)			6 MiB of 'r'		the longest reply; one byte more is refused
 *	6 MiB			its length		the longest event
 *	fault			fault			a bad buffer costs no event
 *	vector			vec|tor			readv and writev
 *	vecto			vec|to			readv does not start another event
 *	skip			skip			readv with empty buffers in front
 *	64 bytes, the second	over			readv over its own vector
 *	half of them 0xff
 *	dup			dup			other descriptors of the streams
 *	bye
 */
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/guest/check.h"

#define MAX (6 << 20)

static char big[MAX + 1];
static int on_linux;

static void reply(const char *text)
{
	CHECK(write(4, text, strlen(text)) == (ssize_t)strlen(text));
}

static int next_is(const char *text)
{
	char buf[64];
	ssize_t n = read(3, buf, sizeof(buf));

	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static void before_the_first_event(void)
{
	CHECK_FAILS(write(4, "x", 1), EPIPE);
	CHECK(lseek(3, 0, SEEK_END) == 0);
	CHECK(read(3, big, 0) == 0);
	CHECK_FAILS(read(3, nowhere(), 1), EFAULT);
	CHECK_FAILS(read(3, (char *)(uintptr_t) "read-only", 1), EFAULT);
	CHECK_FAILS(lseek(3, 0, SEEK_SET), ESPIPE);
	CHECK_FAILS(read(4, big, 1), EBADF);
	CHECK_FAILS(write(3, big, 1), EBADF);
	CHECK(read(0, big, 1) == 0);
}

static void short_buffers(void)
{
	CHECK(read(3, big, 4) == 4 && memcmp(big, "0123", 4) == 0);
	CHECK(lseek(3, 0, SEEK_END) == 10);
	reply("0123|");
	CHECK(read(3, big, 3) == 3 && memcmp(big, "456", 3) == 0);
	reply("456|");
	CHECK(read(3, big, 0) == 0);
	CHECK(read(3, big, 100) == 3 && memcmp(big, "789", 3) == 0);
	reply("789");
}

static void empty_and_exact(void)
{
	CHECK(next_is(""));
	CHECK(lseek(3, 0, SEEK_END) == 0);
	reply("empty");
	CHECK(read(3, big, 4) == 4 && memcmp(big, "abcd", 4) == 0);
	reply("exact");
	CHECK(read(3, big, 4) == 4 && memcmp(big, "efgh", 4) == 0);
	reply("several ");
	CHECK(write(4, nowhere(), 0) == 0);
	reply("writes");
}

static void longest(void)
{
	CHECK(read(3, big, sizeof(big)) >= 0);
	CHECK(read(3, big, sizeof(big)) >= 0);
	memset(big, 'r', sizeof(big));
	CHECK_FAILS(write(4, big, MAX + 1), EMSGSIZE);
	CHECK(write(4, big, 1) == 1);
	CHECK_FAILS(write(4, big, MAX), EMSGSIZE);
	CHECK(write(4, big, MAX - 1) == MAX - 1);
	CHECK_FAILS(write(4, big, 1), EMSGSIZE);
	CHECK(write(4, big, 0) == 0);

	CHECK(read(3, big, sizeof(big)) == MAX);
	snprintf(big, sizeof(big), "%ld", (long)lseek(3, 0, SEEK_END));
	reply(big);
}

static void bad_buffers(void)
{
	static volatile size_t everything = SIZE_MAX; /* compilers know such sizes */

	CHECK_FAILS(read(3, nowhere(), 1), EFAULT);
	CHECK_FAILS(read(3, big, everything), EFAULT);
	CHECK(next_is("fault"));
	CHECK_FAILS(write(4, nowhere(), 1), EFAULT);
	reply("fault");
}

static void vectors(void)
{
	char end[4];
	struct iovec in[] = { { big, 3 }, { NULL, 0 }, { end, sizeof(end) } };
	struct iovec out[] = { { big, 3 }, { (char *)(uintptr_t) "|", 1 }, { end, 3 } };
	struct iovec bad[] = { { big, 3 }, { nowhere(), 1 } };

	if (!on_linux)
		CHECK_FAILS(readv(3, bad, 2), EFAULT);
	CHECK(readv(3, in, 3) == 6);
	CHECK(writev(4, out, 3) == 7);
	in[2].iov_len = out[2].iov_len = 2;
	CHECK(readv(3, in, 3) == 5);
	if (!on_linux)
		CHECK_FAILS(writev(4, bad, 2), EFAULT);
	CHECK(writev(4, out, 3) == 6);
}

static void odd_vectors(void)
{
	/* The first buffer is the rest of the vector: what lands there is none any more. */
	static struct iovec over[4];
	struct iovec in[] = { { NULL, 0 }, { big, 0 }, { big, 100 } };

	CHECK(readv(3, in, 3) == 4 && memcmp(big, "skip", 4) == 0);
	reply("skip");
	for (int i = 1; i < 4; i++)
		over[i] = (struct iovec){ big, 16 };
	over[0] = (struct iovec){ over + 1, sizeof(over) - sizeof(over[0]) };
	CHECK(readv(3, over, 4) == (on_linux ? 64 : 48)); /* the last entry is 0xff by then */
	CHECK(on_linux || read(3, big, 100) == 16);
	reply("over");
}

static void other_descriptors(void)
{
	int in = dup(3), out = dup(4);

	CHECK(in > 4 && out > 4 && close(3) == 0 && close(4) == 0);
	CHECK_FAILS(read(3, big, 1), EBADF);
	CHECK_FAILS(write(4, big, 1), EBADF);
	CHECK(read(in, big, 2) == 2 && memcmp(big, "du", 2) == 0);
	CHECK(write(out, big, 2) == 2);
	CHECK(dup2(in, 3) == 3 && dup2(out, 4) == 4);
	CHECK(read(3, big, 2) == 1 && write(4, big, 1) == 1);
}

int main(int argc, char **argv)
{
	on_linux = argc > 1 && strcmp(argv[1], "linux") == 0;
	before_the_first_event();
	short_buffers();
	empty_and_exact();
	longest();
	bad_buffers();
	vectors();
	odd_vectors();
	other_descriptors();
	CHECK(next_is("bye"));
	return 0;
}
