/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/log.h"

#include "guest/kindling/bytes.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/text.h"

#define LOG_LINE 512 /* ours: bounds the stack; a longer line is cut */

void log_write(uint32_t stream, const void *data, uint64_t size)
{
	const uint8_t *p = data;

	while (size) {
		uint64_t n = size < ABI_WINDOW_LOG_SIZE ? size : ABI_WINDOW_LOG_SIZE;

		memcpy(mailbox_log(), p, n);
		mailbox()->log_size = n;
		mailbox()->log_stream = stream;
		mailbox_ring(ABI_DOORBELL_LOG);
		p += n;
		size -= n;
	}
}

static void log_vline(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
static void log_vline(const char *fmt, va_list args)
{
	char line[LOG_LINE];
	uint64_t len = text_vprint(line, sizeof(line) - 1, fmt, args);

	line[len++] = '\n';
	log_write(ABI_LOG_KERNEL, line, len);
}

void log_line(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vline(fmt, args);
	va_end(args);
}

void log_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vline(fmt, args);
	va_end(args);
	log_exit(127);
}

void log_exit(uint32_t status)
{
	mailbox()->exit_status = status;
	for (;;)
		mailbox_ring(ABI_DOORBELL_EXIT);
}
