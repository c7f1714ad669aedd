/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thaw/look.h"
#include "tools/thaw/metrics.h"
#include "tools/thawd/histogram.h"

TestSuite(metrics, .timeout = 20);
TestSuite(look, .timeout = 20);

Test(metrics, samples_come_one_by_one)
{
	const char *at = "# HELP a_total Words { of \"all\" kinds.\n"
			 "# TYPE a_total counter\n"
			 "a_total{function=\"f\",version=\"$LATEST\"} 12\n"
			 "\n"
			 "b 1.5e3 1700000000000\n"
			 "c{} -2\n"
			 "d{le=\"+Inf\", x=\"a\\\\b\\\"c\\nd\",} +Inf";
	struct metric m;

	cr_assert(eq(int, metrics_next(&m, &at, NULL), 1));
	cr_expect(eq(str, m.name, "a_total"));
	cr_expect(eq(str, (char *)metrics_label(&m, "function"), "f"));
	cr_expect(eq(str, (char *)metrics_label(&m, "version"), "$LATEST"));
	cr_expect(eq(str, (char *)metrics_label(&m, "le"), ""));
	cr_expect(eq(dbl, m.value, 12));
	cr_assert(eq(int, metrics_next(&m, &at, NULL), 1));
	cr_expect(eq(str, m.name, "b"));
	cr_expect(eq(dbl, m.value, 1500));
	cr_expect(eq(sz, m.nlabels, 0));
	cr_assert(eq(int, metrics_next(&m, &at, NULL), 1));
	cr_expect(eq(dbl, m.value, -2));
	cr_assert(eq(int, metrics_next(&m, &at, NULL), 1));
	cr_expect(eq(str, (char *)metrics_label(&m, "x"), "a\\b\"c\nd"));
	cr_expect(isinf(m.value));
	cr_expect(eq(int, metrics_next(&m, &at, NULL), 0));
	cr_expect(eq(int, metrics_next(&m, &at, NULL), 0));
}

Test(metrics, what_is_no_sample_is_refused)
{
	static const char *const cases[] = {
		"a",
		"a\n1",
		"a \n1",
		" a 1",
		"a{ 1",
		"a{x} 1",
		"a{x=} 1",
		"a{x=1} 1",
		"a{x=\"1} 2",
		"a{x=\"1\ny\"} 2",
		"a{x=\"1\\",
		"a{x=\"1\"\"} 2",
		"a{x=\"1\"}2",
		"a{=\"1\"} 2",
		"a one",
		"a 1 2 3",
		"{x=\"1\"} 2",
		"<html>",
		"a{x=\"1\"y=\"2\"} 3",
	};
	char text[400];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *at = cases[i];
		struct metric m;
		struct err err;

		cr_expect(eq(int, metrics_next(&m, &at, &err), -EINVAL), "'%s'", cases[i]);
		cr_expect(at == cases[i], "'%s'", cases[i]);
	}
	/* Bounds: a name, a label's value, and one label more than there is room for. */
	for (int width = 127; width <= 128; width++) {
		const char *at = text;
		struct metric m;

		snprintf(text, sizeof(text), "%0*d 1", width, 0);
		cr_expect(eq(int, metrics_next(&m, &at, NULL), width == 127 ? 1 : -EINVAL));
	}
	for (int width = 191; width <= 192; width++) {
		const char *at = text;
		struct metric m;

		snprintf(text, sizeof(text), "a{x=\"%0*d\"} 1", width, 0);
		cr_expect(eq(int, metrics_next(&m, &at, NULL), width == 191 ? 1 : -EINVAL));
	}
	for (size_t n = METRICS_LABELS; n <= METRICS_LABELS + 1; n++) {
		const char *at = text;
		struct metric m;

		strcpy(text, "a{");
		for (size_t i = 0; i < n; i++)
			strcat(text, "x=\"\",");
		strcat(text, "} 1");
		cr_expect(eq(int, metrics_next(&m, &at, NULL),
			     n == METRICS_LABELS ? 1 : -EINVAL));
	}
}

/* ---- looks ---- */

/* As thawd prints it, with so many responses of each time. */
static struct look look_at(nsec_t at, double answered, const struct histogram *h)
{
	struct look l = { .at = at };
	char *text;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	fprintf(to, "thawd_invocations_answered_total{function=\"f\",version=\"1\"} %.0f\n",
		answered);
	fprintf(to, "thawd_invocations_failed_total{function=\"f\",version=\"1\"} 2\n");
	fprintf(to, "thawd_invocations_answered_total{function=\"g\",version=\"1\"} 7\n");
	fprintf(to, "thawd_unheard_of{function=\"h\"} 1\n");
	histogram_print(h, to, "thawd_response_seconds", "function=\"f\",version=\"1\"");
	fprintf(to, "thawd_machines{function=\"f\",version=\"1\",state=\"idle\"} 3\n");
	fprintf(to, "thawd_queued{function=\"f\",version=\"1\"} 4\n");
	fprintf(to, "thawd_memory_bytes 4096\n");
	fclose(to);
	cr_assert(eq(int, look_read(&l, text, NULL), 0));
	free(text);
	return l;
}

Test(look, what_happened_between_two)
{
	struct histogram h = { 0 };
	struct look_change changes[2];
	struct look before, now;

	histogram_add(&h, 5 * NSEC_PER_SEC); /* long ago */
	before = look_at(NSEC_PER_SEC, 10, &h);
	for (int i = 0; i < 98; i++)
		histogram_add(&h, 100 * NSEC_PER_USEC);
	histogram_add(&h, 900 * NSEC_PER_USEC);
	histogram_add(&h, 900 * NSEC_PER_USEC);
	now = look_at(3 * NSEC_PER_SEC, 110, &h);
	cr_assert(eq(sz, now.n, 2));
	look_compare(changes, &before, &now);
	cr_expect(eq(str, (char *)changes[0].function->name, "f"));
	cr_expect(eq(str, (char *)changes[1].function->name, "g"));
	cr_expect(eq(dbl, changes[0].invocations_per_s, 50));
	cr_expect(eq(dbl, changes[0].errors_per_s, 0));
	/* 98 of 100 are between 64 and 128 us, two between 512 and 1024. */
	cr_expect(epsilon_eq(dbl, changes[0].times[LOOK_RESPONSE].p50_s * 1e6,
			     64 + 64 * 50.0 / 98, 0.01));
	cr_expect(
		epsilon_eq(dbl, changes[0].times[LOOK_RESPONSE].p99_s * 1e6, 512 + 256, 0.01));
	cr_expect(isnan(changes[0].times[LOOK_QUEUE].p50_s));
	cr_expect(isnan(changes[1].times[LOOK_RESPONSE].p50_s));
	cr_expect(eq(dbl, changes[0].function->machines[LOOK_IDLE], 3));
	cr_expect(eq(dbl, changes[0].function->queued, 4));
	cr_expect(eq(dbl, now.memory_bytes, 4096));
	look_fini(&before);
	look_fini(&now);
}

Test(look, one_that_counts_anew_counts_from_nothing)
{
	struct histogram many = { 0 }, few = { 0 };
	struct look_change changes[2];
	struct look before, now;

	for (int i = 0; i < 10; i++)
		histogram_add(&many, NSEC_PER_SEC);
	histogram_add(&few, 1000 * NSEC_PER_SEC); /* above the last limit, 2^26 us */
	before = look_at(0, 100, &many);
	now = look_at(NSEC_PER_SEC, 1, &few);
	look_compare(changes, &before, &now);
	cr_expect(eq(str, (char *)changes[0].function->name, "f"));
	cr_expect(eq(dbl, changes[0].invocations_per_s, 3));
	cr_expect(eq(dbl, changes[0].errors_per_s, 2));
	cr_expect(epsilon_eq(dbl, changes[0].times[LOOK_RESPONSE].p99_s, 67.108864, 1e-6));
	look_fini(&before);
	look_fini(&now);
}

Test(look, an_answer_of_something_else_is_refused)
{
	struct look l = { 0 };

	cr_expect(eq(int, look_read(&l, "<html>\n", NULL), -EINVAL));
	cr_expect(eq(int, look_read(&l, "", NULL), 0));
	cr_expect(eq(sz, l.n, 0));
	look_fini(&l);
}
