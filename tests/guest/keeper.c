/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - a function that keeps each event wherever it can, and looks there for those of others
 * first. The reply is the event where nothing was found, else "found in PLACE: EVENT". An
 * event is a JSON string that starts with what to do:
 *
 *	"keep ...	in globals, heap, environment, a file; the window has it anyway
 *	"fill ...	and every free page
 *	"nap MS ...	reply so much later
 *	"die ...	crash when it is kept
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guest/abi.h"

#define WINDOW ((const char *)0x7f8000400000) /* docs/kindling.md */

#define SIZE	    256u /* of an event that is kept; the rest is only replied */
#define PAGE	    4096u
#define PLACE	    "/tmp/kept"
#define WINDOW_LOOK 16384u /* bytes */

static char kept[SIZE], filled[SIZE], *heap;
static int descriptor = -1;

/* ---- looking ---- */

static int in_file(char *text)
{
	FILE *f = fopen(PLACE, "r");
	size_t n = f ? fread(text, 1, SIZE - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return n > 0;
}

/* Where @area has a byte that is not zero, with what follows; else "". */
static void find(char text[SIZE], const char *area, size_t size)
{
	size_t at = 0;

	while (at < size && !area[at])
		at++;
	snprintf(text, SIZE, "%.*s", (int)(size - at < SIZE ? size - at : SIZE), area + at);
}

/* Where an earlier event is, or NULL; @text gets it. */
static const char *look(char text[SIZE], size_t len)
{
	const char *variable = getenv("KEPT");

	/* Longer events and replies than those of now would show here. */
	find(text, WINDOW + ABI_WINDOW_EVENT + len, WINDOW_LOOK);
	if (text[0])
		return "the window's event";
	find(text, WINDOW + ABI_WINDOW_REPLY, WINDOW_LOOK);
	if (text[0])
		return "the window's reply";

	snprintf(text, SIZE, "%s", kept);
	if (text[0])
		return "globals";
	snprintf(text, SIZE, "%s", heap);
	if (text[0])
		return "heap";
	snprintf(text, SIZE, "%s", variable ? variable : "");
	if (text[0])
		return "environment";
	if (in_file(text))
		return "file";
	snprintf(text, SIZE, "%s", filled);
	if (text[0])
		return "pages";
	return descriptor >= 0 ? "descriptors" : NULL;
}

/* ---- keeping ---- */

static void keep_in_file(const char *event)
{
	FILE *f = fopen(PLACE, "w");

	if (!f || fputs(event, f) < 0 || fclose(f) != 0)
		abort();
	descriptor = dup(0);
}

/*
 * Every page that is to be had, until there is none. Returns where one was not zero, which is
 * what pages of others would look like.
 */
static const char *fill_pages(const char *event, char text[SIZE])
{
	const char *found = NULL;
	char *page;

	while ((page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0)) != MAP_FAILED) {
		if (!found) {
			find(text, page, PAGE);
			found = text[0] ? "free pages" : NULL;
		}
		for (size_t i = 0; i + SIZE <= PAGE; i += SIZE)
			memcpy(page + i, event, SIZE);
	}
	memcpy(filled, event, SIZE);
	return found;
}

static void keep(const char *event)
{
	memcpy(kept, event, SIZE);
	memcpy(heap, event, SIZE);
	if (setenv("KEPT", event, 1) != 0)
		abort();
	keep_in_file(event);
}

/* ---- events ---- */

static void nap(const char *event)
{
	long ms = strtol(event, NULL, 10);
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Returns what was found, or NULL. */
static const char *obey(const char *event, size_t len, char text[SIZE])
{
	const char *found = look(text, len);

	keep(event);
	if (!found && strncmp(event, "\"fill", 5) == 0)
		found = fill_pages(event, text);
	if (strncmp(event, "\"nap ", 5) == 0)
		nap(event + 5);
	if (strncmp(event, "\"die", 4) == 0)
		abort();
	return found;
}

/* All of it: an event may be longer than what is kept of it. */
static ssize_t say(const char *text, size_t len)
{
	ssize_t n = 0;

	for (size_t done = 0; done < len && n >= 0; done += (size_t)n)
		n = write(4, text + done, len - done);
	return n;
}

int main(void)
{
	static char event[1u << 20], text[SIZE], reply[2 * SIZE];
	ssize_t n;

	heap = calloc(1, SIZE);
	if (!heap)
		return 1;
	while ((n = read(3, event, sizeof(event))) >= 0) {
		char start[SIZE] = "";
		const char *found;

		memcpy(start, event, (size_t)n < SIZE ? (size_t)n : SIZE - 1);
		found = obey(start, (size_t)n, text);
		if (found)
			n = snprintf(reply, sizeof(reply), "found in %s: %s", found, text);
		if (say(found ? reply : event, (size_t)n) < 0)
			return 1;
	}
	return 1;
}
