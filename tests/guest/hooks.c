/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.c - the hooks of guest/thaw.h. Replies to every event with what they did since the last
 * one, and with what the event was: "before 2 1after 1 2 <16 hex digits>; event 'x'". The
 * digits are random. What a hook sees wrong it writes there too.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "guest/abi.h"
#include "guest/thaw.h"
#include "tests/guest/check.h"

_Static_assert(THAW_SIGNAL == ABI_HOOK_SIGNAL, "one signal");
_Static_assert(THAW_BEFORE_FREEZE == ABI_HOOK_BEFORE_FREEZE, "one number");
_Static_assert(THAW_AFTER_THAW == ABI_HOOK_AFTER_THAW, "one number");

static char said[1024], event[64];

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	va_list args;
	size_t len = strlen(said);

	va_start(args, fmt);
	vsnprintf(said + len, sizeof(said) - len, fmt, args);
	va_end(args);
}

/* What may be called in a hook, and what may not. */
static void check_calls(void)
{
	struct iovec v = { event, sizeof(event) };
	struct timespec now;
	sigset_t set;
	char *p = malloc(10000);

	if (read(3, event, sizeof(event)) != -1 || errno != EDEADLK)
		say("read was not refused ");
	if (readv(3, &v, 1) != -1 || errno != EDEADLK)
		say("readv was not refused ");
	if (clock_gettime(CLOCK_REALTIME, &now) < 0 || !p)
		say("calls do not work ");
	if (sigprocmask(SIG_BLOCK, NULL, &set) < 0 || !sigismember(&set, THAW_SIGNAL))
		say("the signal is not blocked ");
	free(p);
}

static void before(void *arg)
{
	check_calls();
	say(" %s", (const char *)arg);
}

/* libc's generator, for which every clone would be at the same place. */
static void after(void *arg)
{
	unsigned int seed = 0;

	check_calls();
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		say("no randomness ");
	srandom(seed);
	say(" %s", (const char *)arg);
	if (strcmp(arg, "2") == 0)
		say(" %08lx%08lx", random(), random());
}

static void say_before(void *arg)
{
	(void)arg;
	say("before");
}

static void say_after(void *arg)
{
	(void)arg;
	say("after");
}

int main(void)
{
	static char one[] = "1", two[] = "2";
	ssize_t n;

	CHECK(thaw_before_freeze(before, one) == 0 && thaw_before_freeze(before, two) == 0);
	CHECK(thaw_before_freeze(say_before, NULL) == 0);
	CHECK(thaw_after_thaw(say_after, NULL) == 0);
	CHECK(thaw_after_thaw(after, one) == 0 && thaw_after_thaw(after, two) == 0);
	errno = 0;
	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		CHECK(errno == 0);
		event[n] = '\0';
		say("; event '%s'", event);
		CHECK(write(4, said, strlen(said)) == (ssize_t)strlen(said));
		said[0] = '\0';
	}
	return 1;
}
