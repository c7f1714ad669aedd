/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "devices/board.h"
#include "devices/serial.h"
#include "engine/err.h"
#include "engine/vm.h"

/* Offsets and bits as Linux's <linux/serial_reg.h> has them: what the driver would do. */
enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, FCR = IIR, DLL = RBR, DLM = IER };

/* A VM of nothing but this port, with an interrupt line and a terminal that remember. */
struct bench {
	struct vm vm;
	struct serial *port;
	bool line;
	uint32_t edges, wrong_gsi;
	char out[4096];
	size_t nout, pieces;
};

static void on_irq(void *dev, uint32_t gsi, bool level)
{
	struct bench *b = dev;

	b->wrong_gsi += gsi != BOARD_SERIAL_GSI;
	b->edges += level && !b->line;
	b->line = level;
}

static void on_out(void *arg, const void *data, size_t len)
{
	struct bench *b = arg;

	cr_assert(le(sz, b->nout + len, sizeof(b->out)));
	memcpy(b->out + b->nout, data, len);
	b->nout += len;
	b->pieces++;
}

static struct bench *bench_new(void)
{
	static struct bench b;
	const struct device_spec spec = { &serial_type, NULL };

	b.vm.pio.name = "pio";
	b.vm.irq_chip = (struct irq_chip){ .set = on_irq, .dev = &b };
	worker_init(&b.vm.worker);
	b.vm.devices[0] = device_create(&spec, &b.vm, NULL);
	cr_assert(b.vm.devices[0] != NULL);
	b.vm.ndevices = 1;
	b.port = serial_of(&b.vm);
	b.port->ops = (struct serial_ops){ .out = on_out, .arg = &b };
	return &b;
}

static void bench_free(struct bench *b)
{
	worker_stop(&b->vm.worker);
	cr_expect(eq(u32, b->wrong_gsi, 0));
	device_destroy(b->vm.devices[0]);
}

static void put(struct bench *b, uint32_t reg, uint8_t value)
{
	cr_assert(eq(int, bus_access(&b->vm.pio, BOARD_SERIAL_PORT + reg, &value, 1, true), 0));
}

static uint8_t get(struct bench *b, uint32_t reg)
{
	uint8_t value;

	cr_assert(
		eq(int, bus_access(&b->vm.pio, BOARD_SERIAL_PORT + reg, &value, 1, false), 0));
	return value;
}

static void put_text(struct bench *b, const char *text)
{
	while (*text)
		put(b, THR, (uint8_t)*text++);
}

static void type(struct bench *b, const char *text)
{
	cr_assert(eq(sz, serial_input(b->port, text, strlen(text)), strlen(text)));
}

static void expect_out(struct bench *b, const char *text, size_t pieces)
{
	b->out[b->nout] = '\0';
	cr_expect(eq(str, b->out, (char *)text));
	cr_expect(eq(sz, b->pieces, pieces));
}

Test(serial, is_a_16550a_to_the_probes_of_linux)
{
	struct bench *b = bench_new();

	/* 8250_port.c, autoconfig(): is there one, and does loopback work? */
	put(b, IER, 0);
	cr_expect(eq(u8, get(b, IER) & 0x0f, 0));
	put(b, IER, 0x0f);
	cr_expect(eq(u8, get(b, IER), 0x0f));
	put(b, IER, 0);
	put(b, MCR, 0x10 | 0x08 | 0x02);
	cr_expect(eq(u8, get(b, MSR) & 0xf0, 0x80 | 0x10));
	put(b, MCR, 0);
	/* Which one: FIFOs, no EFR, no NS16550A's EXCR1, no 64-byte FIFO, no UUE. */
	put(b, LCR, 0xbf);
	put(b, FCR, 0);
	put(b, LCR, 0);
	put(b, FCR, 1);
	cr_expect(eq(u8, get(b, IIR) & 0xc0, 0xc0));
	put(b, LCR, 0x80);
	cr_expect(ne(u8, get(b, IIR), 0));
	put(b, LCR, 0);
	put(b, FCR, 0x21);
	cr_expect(eq(u8, get(b, IIR) & 0xe0, 0xc0));
	put(b, IER, 0x40);
	cr_expect(eq(u8, get(b, IER), 0));
	/* The scratch register, and the divisor behind DLAB. */
	put(b, SCR, 0xa5);
	put(b, LCR, 0x83);
	put(b, DLL, 1);
	put(b, DLM, 2);
	cr_expect(eq(u8, get(b, DLL), 1));
	cr_expect(eq(u8, get(b, DLM), 2));
	put(b, LCR, 3);
	cr_expect(eq(u8, get(b, IER), 0));
	cr_expect(eq(u8, get(b, SCR), 0xa5));
	cr_expect(eq(u8, get(b, LSR), 0x60));
	expect_out(b, "", 0);
	bench_free(b);
}

Test(serial, tells_of_an_empty_transmitter_as_often_as_linux_asks)
{
	struct bench *b = bench_new();

	/* serial8250_THRE_test() */
	put(b, IER, 2);
	cr_expect(eq(u8, get(b, IIR), 0x02));
	cr_expect(eq(u8, get(b, IIR), 0x01)); /* told */
	put(b, IER, 0);
	put(b, IER, 2);
	cr_expect(eq(u8, get(b, IIR), 0x02));
	/* Each byte, or lot of bytes, empties it anew; the line rises once for a lot. */
	cr_expect(eq(u32, b->edges, 2));
	put_text(b, "abc");
	cr_expect(eq(u32, b->edges, 3));
	cr_expect(b->line);
	cr_expect(eq(u8, get(b, IIR), 0x02));
	cr_expect(not(b->line));
	/* What is enabled already is not news. */
	put(b, IER, 2);
	cr_expect(eq(u8, get(b, IIR), 0x01));
	bench_free(b);
}

Test(serial, a_fifo_in_loopback_holds_16_bytes)
{
	struct bench *b = bench_new();
	unsigned int n = 0;

	/* size_fifo() */
	put(b, FCR, 0x07);
	put(b, MCR, 0x10);
	for (unsigned int i = 0; i < 256; i++)
		put(b, THR, (uint8_t)i);
	cr_expect(eq(u8, get(b, LSR), 0x63)); /* overrun, told once */
	while (get(b, LSR) & 1)
		cr_expect(eq(uint, get(b, RBR), n++));
	cr_expect(eq(uint, n, 16));
	cr_expect(eq(u8, get(b, LSR), 0x60));
	/* Without FIFOs, the last byte is the one that stays. */
	put(b, FCR, 0);
	put_text(b, "xyz");
	cr_expect(eq(u8, get(b, LSR), 0x63));
	cr_expect(eq(u8, get(b, RBR), 'z'));
	expect_out(b, "", 0);
	bench_free(b);
}

Test(serial, interrupts_have_the_order_of_the_data_sheet)
{
	struct bench *b = bench_new();

	put(b, FCR, 0x41); /* trigger level 4 */
	put(b, MCR, 0x10);
	cr_expect(eq(u8, get(b, MSR), 0x0b)); /* the other end is cut off */
	put_text(b, "0123456789abcdefg");     /* one too many; the transmitter is empty */
	put(b, MCR, 0x11);		      /* DSR rises */
	put(b, IER, 0x0f);
	cr_expect(eq(u8, get(b, IIR), 0xc6)); /* line status: overrun */
	get(b, LSR);
	cr_expect(eq(u8, get(b, IIR), 0xc4)); /* received */
	for (int i = 0; i < 13; i++)
		get(b, RBR);
	cr_expect(eq(u8, get(b, IIR), 0xcc)); /* below the level: timeout */
	for (int i = 0; i < 3; i++)
		get(b, RBR);
	cr_expect(eq(u8, get(b, IIR), 0xc2)); /* transmitter empty */
	cr_expect(eq(u8, get(b, IIR), 0xc0)); /* modem status */
	cr_expect(eq(u8, get(b, MSR), 0x22));
	cr_expect(eq(u8, get(b, IIR), 0xc1));
	cr_expect(not(b->line));
	cr_expect(eq(u32, b->edges, 1)); /* it never fell in between */
	/* RI tells of its end only. */
	put(b, MCR, 0x14);
	cr_expect(eq(u8, get(b, MSR), 0x42));
	put(b, MCR, 0x10);
	cr_expect(eq(u8, get(b, MSR), 0x04));
	bench_free(b);
}

Test(serial, a_line_is_one_piece_and_a_prompt_is_not_kept_back)
{
	struct bench *b = bench_new();

	put_text(b, "Linux\r\n");
	expect_out(b, "Linux\r\n", 1);
	/* A driver with interrupts stops its transmitter. */
	put_text(b, "login: ");
	expect_out(b, "Linux\r\n", 1);
	put(b, IER, 1);
	expect_out(b, "Linux\r\nlogin: ", 2);
	/* One that polls looks at the status between two bytes, and again and again afterwards. */
	get(b, LSR);
	put_text(b, "a");
	get(b, LSR);
	put_text(b, "b");
	get(b, LSR);
	expect_out(b, "Linux\r\nlogin: ", 2);
	get(b, LSR);
	expect_out(b, "Linux\r\nlogin: ab", 3);
	/* One that finds nothing more to do. */
	put_text(b, "c");
	get(b, IIR);
	expect_out(b, "Linux\r\nlogin: abc", 4);
	/* And what a freeze finds. */
	put_text(b, "d");
	cr_assert(eq(int, vm_drain(&b->vm, NULL), 0));
	expect_out(b, "Linux\r\nlogin: abcd", 5);
	bench_free(b);
}

Test(serial, output_without_an_end_is_handed_on_in_pieces)
{
	struct bench *b = bench_new();

	for (unsigned int i = 0; i < 3 * SERIAL_LINE; i++)
		put(b, THR, 'x');
	cr_expect(eq(sz, b->nout, 3 * SERIAL_LINE));
	cr_expect(eq(sz, b->pieces, 3));
	cr_expect(eq(u64, b->port->sent, 3 * SERIAL_LINE));
	bench_free(b);
}

Test(serial, nobody_at_the_other_end_is_no_matter)
{
	struct bench *b = bench_new();

	b->port->ops = (struct serial_ops){ 0 };
	for (unsigned int i = 0; i < 3 * SERIAL_LINE; i++)
		put(b, THR, 'x');
	cr_expect(eq(u64, b->port->writes, 3));
	bench_free(b);
}

Test(serial, received_bytes_raise_the_line_until_they_are_read)
{
	struct bench *b = bench_new();

	put(b, FCR, 0x81);
	put(b, IER, 1);
	type(b, "ok");
	cr_expect(b->line);
	cr_expect(eq(u8, get(b, IIR), 0xcc));
	cr_expect(eq(u8, get(b, RBR), 'o'));
	cr_expect(b->line);
	cr_expect(eq(u8, get(b, RBR), 'k'));
	cr_expect(not(b->line));
	cr_expect(eq(sz, serial_input(b->port, "0123456789abcdefXYZ", 19), 16));
	cr_expect(eq(u8, get(b, IIR), 0xc4));
	put(b, FCR, 0x83);
	cr_expect(eq(u8, get(b, LSR), 0x60));
	cr_expect(not(b->line));
	cr_expect(eq(u8, get(b, RBR), 0));
	bench_free(b);
}

Test(serial, accesses_that_are_not_a_byte_wide_are_refused)
{
	struct bench *b = bench_new();
	uint32_t value = 0x41414141;

	cr_assert(eq(int, bus_access(&b->vm.pio, BOARD_SERIAL_PORT, &value, 4, true), 0));
	cr_assert(eq(int, bus_access(&b->vm.pio, BOARD_SERIAL_PORT, &value, 2, false), 0));
	cr_expect(eq(u32, value, 0x4141ffff));
	cr_expect(eq(u64, b->port->violations, 2));
	cr_expect(eq(u64, b->port->sent, 0));
	bench_free(b);
}

/* Read as a guest would that is told by interrupts, until @n bytes are there. */
static void read_all(struct bench *b, char *to, size_t n)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int tries = 0; n > 0; tries++) {
		cr_assert(lt(int, tries, 10000));
		if (get(b, LSR) & 1) {
			*to++ = (char)get(b, RBR);
			n--;
		} else {
			nanosleep(&pause, NULL);
		}
	}
}

Test(serial, input_that_does_not_fit_waits_outside)
{
	struct bench *b = bench_new();
	char sent[1000], got[1000];
	int ends[2];

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)('a' + i % 26);
	cr_assert(eq(int, pipe2(ends, O_CLOEXEC), 0));
	put(b, FCR, 1);
	cr_assert(eq(int, serial_listen(b->port, ends[0], NULL), 0));
	cr_assert(eq(sz, (size_t)write(ends[1], sent, sizeof(sent)), sizeof(sent)));
	close(ends[1]); /* the end of it is no byte */
	read_all(b, got, sizeof(got));
	cr_expect(eq(int, memcmp(got, sent, sizeof(got)), 0));
	cr_expect(eq(u64, b->port->received, sizeof(sent)));
	cr_expect(eq(u8, get(b, LSR), 0x60));
	bench_free(b);
	close(ends[0]);
}

Test(serial, input_waits_until_a_driver_has_started)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct bench *b = bench_new();
	char got[6] = "";
	int ends[2];

	cr_assert(eq(int, pipe2(ends, O_CLOEXEC), 0));
	cr_assert(eq(int, serial_listen(b->port, ends[0], NULL), 0));
	cr_assert(eq(sz, (size_t)write(ends[1], "hello", 5), 5));
	for (int i = 0; i < 3; i++) {
		put(b, IER, 0x0f);
		nanosleep(&pause, NULL);
		put(b, IER, 0);
		put(b, FCR, 1);
		put(b, FCR, 7);
		put(b, FCR, 0);
		get(b, LSR);
	}
	cr_expect(eq(u64, b->port->received, 0));
	put(b, FCR, 0x81);
	put(b, MCR, 0x0b);
	put(b, IER, 5);
	for (int i = 0; i < 10000 && b->port->received < 5; i++)
		nanosleep(&pause, NULL);
	read_all(b, got, 5);
	cr_expect(eq(str, got, "hello"));
	cr_expect(ge(u32, b->edges, 1));
	bench_free(b);
	close(ends[0]);
	close(ends[1]);
}

Test(serial, a_file_cannot_be_listened_to)
{
	struct bench *b = bench_new();
	struct err err = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_expect(eq(int, serial_listen(b->port, fd, &err), -EPERM));
	cr_expect(ne(ptr, strstr(err.text, "serial port: watch descriptor"), NULL));
	bench_free(b);
	close(fd);
}

Test(serial, states_that_cannot_be_are_refused)
{
	static const struct {
		const char *why, *text;
		struct serial_state s;
	} cases[] = {
		{ "FIFO", "nrx", { .fcr = 1, .nrx = 17 } },
		{ "no FIFO", "serial port: 2 bytes received, 1 fit", { .nrx = 2 } },
		{ "FCR", "serial port: FCR holds 0x6", { .fcr = 6 } },
		{ "IER", "ier", { .ier = 0x10 } },
		{ "MCR", "mcr", { .mcr = 0x20 } },
		{ "delta", "delta", { .delta = 0x10 } },
		{ "flags", "thre", { .thre = 2 } },
	};
	struct err err = { 0 };

	cr_expect(eq(int, state_covers(&serial_type.state, &err), 0), "%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_Alignas(8) struct serial_state s = cases[i].s;
		struct serial_state into;

		cr_expect(eq(int, state_load(&serial_type.state, &into, &s, sizeof(s), &err),
			     -ERANGE),
			  "%s", cases[i].why);
		cr_expect(ne(ptr, strstr(err.text, cases[i].text), NULL), "%s: %s",
			  cases[i].why, err.text);
	}
}

Test(serial, a_thawed_port_goes_on_where_it_stood)
{
	struct bench *b = bench_new();
	struct serial_state frozen;

	put(b, FCR, 1);
	put(b, IER, 1);
	type(b, "xy");
	frozen = b->port->s;
	get(b, RBR);
	get(b, RBR);
	cr_expect(not(b->line));
	put_text(b, "of a machine that is gone");
	*(struct serial_state *)device_state(b->vm.devices[0]) = frozen;
	cr_assert(eq(int, serial_type.load(b->vm.devices[0], NULL), 0));
	cr_expect(b->line);
	cr_expect(eq(u8, get(b, RBR), 'x'));
	cr_expect(eq(u8, get(b, RBR), 'y'));
	cr_assert(eq(int, vm_drain(&b->vm, NULL), 0));
	expect_out(b, "", 0);
	bench_free(b);
}
