/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/stamp.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "engine/clock.h"
#include "engine/err.h"

int64_t stamp_now_ms(void)
{
	return (int64_t)(clock_realtime() / NSEC_PER_MSEC);
}

void stamp_second(char text[STAMP_SECOND_SIZE], int64_t s)
{
	time_t at = (time_t)s;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, STAMP_SECOND_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
}

void stamp_time(char text[STAMP_TIME_SIZE], int64_t ms)
{
	char second[STAMP_SECOND_SIZE];

	stamp_second(second, ms / 1000);
	snprintf(text, STAMP_TIME_SIZE, "%s.%03u+0000", second, (unsigned int)(ms % 1000));
}

int stamp_uuid(char text[STAMP_UUID_SIZE], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	char *at = text;
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return err_sys(err, "getrandom");
	b[6] = (uint8_t)(0x40 | (b[6] & 0x0f)); /* version 4 */
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f)); /* the variant of RFC 9562 */
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[b[i] >> 4];
		*at++ = digits[b[i] & 15];
	}
	*at = '\0';
	return 0;
}
