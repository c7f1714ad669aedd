/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/serial.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "devices/board.h"
#include "engine/err.h"
#include "engine/vm.h"

/* Registers and their bits: PC16550D data sheet, whose names these are. */
enum {
	REG_DATA, /* RBR, THR; DLL while DLAB is set */
	REG_IER,  /* DLM while DLAB is set */
	REG_IIR,  /* FCR when written */
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCR,
	REG_COUNT
};

enum {
	IER_RECEIVED = 0x01,
	IER_THRE = 0x02,
	IER_LINE = 0x04,
	IER_MODEM = 0x08,
	IER_ALL = 0x0f
};

enum {
	IIR_MODEM = 0x00,
	IIR_NONE = 0x01,
	IIR_THRE = 0x02,
	IIR_RECEIVED = 0x04,
	IIR_LINE = 0x06,
	IIR_TIMEOUT = 0x0c,
	IIR_FIFOS = 0xc0,
};

enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_DMA = 0x08, FCR_TRIGGER = 0xc0 };
#define FCR_KEPT (FCR_ENABLE | FCR_DMA | FCR_TRIGGER)

enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
#define MCR_ALL (MCR_DTR | MCR_RTS | MCR_OUT1 | MCR_OUT2 | MCR_LOOP)

enum { LSR_READY = 0x01, LSR_OVERRUN = 0x02, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { MSR_DELTAS = 0x0f, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

static const struct state_field serial_fields[] = {
	STATE_ARRAY8(struct serial_state, rx),
	STATE_FIELD_MAX(struct serial_state, nrx, SERIAL_FIFO),
	STATE_FIELD_MAX(struct serial_state, ier, IER_ALL),
	STATE_FIELD(struct serial_state, fcr),
	STATE_FIELD(struct serial_state, lcr),
	STATE_FIELD_MAX(struct serial_state, mcr, MCR_ALL),
	STATE_FIELD(struct serial_state, scr),
	STATE_FIELD(struct serial_state, dll),
	STATE_FIELD(struct serial_state, dlm),
	STATE_FIELD_MAX(struct serial_state, delta, MSR_DELTAS),
	STATE_FIELD_MAX(struct serial_state, overrun, 1),
	STATE_FIELD_MAX(struct serial_state, thre, 1),
};

/* Without FIFOs there is one register (16450 mode). */
static size_t capacity(const struct serial_state *s)
{
	return s->fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
}

static int serial_check(const void *state, struct err *err)
{
	const struct serial_state *s = state;

	if (s->fcr & ~FCR_KEPT)
		return err_set(err, ERANGE, "serial port: FCR holds 0x%x", s->fcr);
	if (s->nrx > capacity(s))
		return err_set(err, ERANGE, "serial port: %u bytes received, %zu fit", s->nrx,
			       capacity(s));
	return 0;
}

/* In FIFO mode; data sheet, table of FCR bits 6 and 7. */
static size_t trigger(const struct serial_state *s)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return levels[s->fcr >> 6];
}

/* What IIR's low bits say: the most urgent interrupt that is enabled and there. */
static uint8_t interrupt(const struct serial_state *s)
{
	if (s->ier & IER_LINE && s->overrun)
		return IIR_LINE;
	if (s->ier & IER_RECEIVED && s->nrx > 0)
		return s->fcr & FCR_ENABLE && s->nrx < trigger(s) ? IIR_TIMEOUT : IIR_RECEIVED;
	if (s->ier & IER_THRE && s->thre)
		return IIR_THRE;
	if (s->ier & IER_MODEM && s->delta)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_line(struct serial *port)
{
	bool line = interrupt(&port->s) != IIR_NONE;

	if (line == port->line)
		return;
	port->line = line;
	port->interrupts += line;
	irq_set(port->dev.vm, BOARD_SERIAL_GSI, line);
}

/* In loopback a byte too many is lost: without FIFOs the one before it. */
static void loop_back(struct serial_state *s, uint8_t byte)
{
	if (s->nrx < capacity(s)) {
		s->rx[s->nrx++] = byte;
		return;
	}
	s->overrun = 1;
	if (!(s->fcr & FCR_ENABLE))
		s->rx[0] = byte;
}

/* Hand on what the guest sent. Without the lock. */
static void flush(struct serial *port)
{
	if (port->nout == 0)
		return;
	port->writes++;
	if (port->ops.out)
		port->ops.out(port->ops.arg, port->out, port->nout);
	port->nout = 0;
}

static void send(struct serial *port, uint8_t byte)
{
	struct serial_state *s = &port->s;

	s->thre = 1;
	port->sent++;
	if (s->mcr & MCR_LOOP)
		loop_back(s, byte);
	else
		port->out[port->nout++] = byte; /* there is room: after_access sees to it */
}

static uint8_t receive(struct serial_state *s)
{
	uint8_t byte = s->rx[0];

	if (s->nrx == 0)
		return 0;
	s->nrx--;
	memmove(s->rx, s->rx + 1, s->nrx);
	return byte;
}

/* With FCR's first bit clear, the others are not programmed; a change of it empties the FIFOs. */
static void set_fcr(struct serial_state *s, uint8_t value)
{
	if (!(value & FCR_ENABLE))
		value = 0;
	if (value & FCR_CLEAR_RX || (value ^ s->fcr) & FCR_ENABLE)
		s->nrx = 0;
	s->fcr = value & FCR_KEPT;
}

/* An empty transmitter tells so again when its interrupt is enabled; Linux tests for that. */
static void set_ier(struct serial_state *s, uint8_t value)
{
	if (value & ~s->ier & IER_THRE)
		s->thre = 1;
	s->ier = value & IER_ALL;
}

/* MSR's upper half: the line's other end is always there; in loopback, what MCR says. */
static uint8_t modem_inputs(const struct serial_state *s)
{
	uint8_t in = 0;

	if (!(s->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (s->mcr & MCR_RTS)
		in |= MSR_CTS;
	if (s->mcr & MCR_DTR)
		in |= MSR_DSR;
	if (s->mcr & MCR_OUT1)
		in |= MSR_RI;
	if (s->mcr & MCR_OUT2)
		in |= MSR_DCD;
	return in;
}

static void set_mcr(struct serial_state *s, uint8_t value)
{
	uint8_t before = modem_inputs(s), after, changed;

	s->mcr = value & MCR_ALL;
	after = modem_inputs(s);
	changed = before ^ after;
	/* Of the ring indicator, only the end is told. */
	if (after & MSR_RI)
		changed &= (uint8_t)~MSR_RI;
	s->delta |= changed >> 4;
}

static void write_reg(struct serial *port, uint64_t reg, uint8_t value)
{
	struct serial_state *s = &port->s;
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			s->dll = value;
		else
			send(port, value);
		break;
	case REG_IER:
		if (dlab)
			s->dlm = value;
		else
			set_ier(s, value);
		break;
	case REG_IIR:
		set_fcr(s, value);
		break;
	case REG_LCR:
		s->lcr = value;
		break;
	case REG_MCR:
		set_mcr(s, value);
		break;
	case REG_SCR:
		s->scr = value;
		break;
	default: /* LSR and MSR: for a factory's tests */
		break;
	}
}

/* Telling of the empty transmitter is what ends its interrupt. */
static uint8_t read_iir(struct serial_state *s)
{
	uint8_t id = interrupt(s);

	if (id == IIR_THRE)
		s->thre = 0;
	return s->fcr & FCR_ENABLE ? id | IIR_FIFOS : id;
}

static uint8_t read_lsr(struct serial_state *s)
{
	uint8_t lsr = LSR_THRE | LSR_TEMT;

	if (s->nrx > 0)
		lsr |= LSR_READY;
	if (s->overrun)
		lsr |= LSR_OVERRUN;
	s->overrun = 0;
	return lsr;
}

static uint8_t read_msr(struct serial_state *s)
{
	uint8_t msr = modem_inputs(s) | s->delta;

	s->delta = 0;
	return msr;
}

static uint8_t read_reg(struct serial_state *s, uint64_t reg)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? s->dll : receive(s);
	case REG_IER:
		return dlab ? s->dlm : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return read_lsr(s);
	case REG_MSR:
		return read_msr(s);
	default:
		return s->scr;
	}
}

/* The guest looks at the status, and looks again: it waits for something to come. */
static void note_poll(struct serial *port, const struct bus_access *access)
{
	bool is_status = access->off == REG_LSR && !access->is_write;

	port->polls = is_status && port->was_status;
	port->was_status = is_status;
}

/*
 * A piece of output ends with its line, or when the guest turns to something else: it waits, or finds
 * no interrupt, or sets interrupts. So a prompt is seen though no timer runs for it.
 */
static bool ends_piece(const struct serial *port, const struct bus_access *access)
{
	if (port->nout == 0)
		return false;
	if (port->nout == SERIAL_LINE || port->polls)
		return true;
	if (access->is_write)
		return access->off == REG_IER ||
		       (access->off == REG_DATA && port->out[port->nout - 1] == '\n');
	return access->off == REG_IIR && (*access->data & ~IIR_FIFOS) == IIR_NONE;
}

static size_t room(const struct serial_state *s)
{
	return s->mcr & MCR_LOOP ? 0 : capacity(s) - s->nrx;
}

/*
 * What is wanted from outside now. Nothing before a driver listens: one that starts throws away what
 * it finds, and Linux's probe enables the interrupt for a moment, but does not open its gate, OUT2.
 */
static size_t wanted(const struct serial *port)
{
	bool listens = port->s.ier & IER_RECEIVED && port->s.mcr & MCR_OUT2;

	return listens || port->polls ? room(&port->s) : 0;
}

/* Input that had to wait comes when all before it is read: not one wait for each byte. */
static int resume_input(struct serial *port)
{
	if (!port->has_input || !port->is_paused || port->s.nrx > 0 || wanted(port) == 0)
		return 0;
	port->is_paused = false;
	return loop_add(&port->dev.vm->worker.loop, &port->input, EPOLLIN, NULL);
}

static int serial_access(void *dev, const struct bus_access *access)
{
	struct serial *port = dev;
	int ret;

	/* The bus is 8 bits wide: what is wider reads as ones. */
	if (access->len != 1) {
		port->violations++;
		return 0;
	}
	worker_lock(&port->dev.vm->worker);
	if (access->is_write)
		write_reg(port, access->off, *access->data);
	else
		*access->data = read_reg(&port->s, access->off);
	update_line(port);
	note_poll(port, access);
	ret = resume_input(port);
	worker_unlock(&port->dev.vm->worker);
	if (ends_piece(port, access))
		flush(port);
	return ret;
}

size_t serial_input(struct serial *port, const void *data, size_t len)
{
	size_t n = MIN(len, room(&port->s));

	memcpy(port->s.rx + port->s.nrx, data, n);
	port->s.nrx += (uint8_t)n;
	port->received += n;
	update_line(port);
	return n;
}

static ssize_t read_input(struct serial *port, void *buf, size_t len)
{
	ssize_t n;

	if (port->ops.in)
		return port->ops.in(port->ops.arg, port->input.fd, buf, len);
	n = read(port->input.fd, buf, len);
	return n < 0 ? -errno : n;
}

/* Whatever ends it, the guest runs on: an operator's line was cut. */
static int on_input(struct loop_watch *watch, uint32_t events)
{
	struct serial *port = container_of(watch, struct serial, input);
	size_t want = wanted(port);
	uint8_t buf[SERIAL_FIFO];
	ssize_t n = want > 0 ? read_input(port, buf, want) : 0;

	(void)events;
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n > 0)
		serial_input(port, buf, (size_t)n);
	else if (want > 0)
		port->has_input = false;
	port->is_paused = wanted(port) == 0;
	if (port->is_paused || !port->has_input)
		loop_remove(&port->dev.vm->worker.loop, watch);
	return 0;
}

int serial_listen(struct serial *port, int fd, struct err *err)
{
	struct worker *w = &port->dev.vm->worker;
	int ret;

	port->input = (struct loop_watch){ .fd = fd, .callback = on_input };
	port->has_input = true;
	worker_lock(w);
	ret = worker_watch(w, &port->input, EPOLLIN, err);
	worker_unlock(w);
	if (ret == 0)
		ret = worker_start(w, err);
	return ret < 0 ? err_wrap(err, ret, "serial port") : 0;
}

static int serial_init(struct device *dev, const void *config, struct err *err)
{
	struct serial *port = container_of(dev, struct serial, dev);
	struct bus_range ports = { .base = BOARD_SERIAL_PORT,
				   .size = REG_COUNT,
				   .handler = serial_access,
				   .dev = port };

	(void)config;
	port->input.fd = -1;
	return bus_add(&dev->vm->pio, &ports, err);
}

static int serial_drain(struct device *dev, struct err *err)
{
	(void)err;
	flush(container_of(dev, struct serial, dev));
	return 0;
}

/* Output of the machine that was here before is nobody's any more. */
static int serial_load(struct device *dev, struct err *err)
{
	struct serial *port = container_of(dev, struct serial, dev);

	(void)err;
	port->nout = 0;
	port->was_status = port->polls = false;
	update_line(port);
	return resume_input(port);
}

static const struct device_counter counters[] = {
	{ "sent", offsetof(struct serial, sent) },
	{ "received", offsetof(struct serial, received) },
	{ "writes", offsetof(struct serial, writes) },
	{ "interrupts", offsetof(struct serial, interrupts) },
	{ "violations", offsetof(struct serial, violations) },
	{ 0 },
};

const struct device_type serial_type = {
	.name = "serial",
	.size = sizeof(struct serial),
	.state_off = offsetof(struct serial, s),
	.state = { .name = "dev.serial",
		   .version = 1,
		   .size = sizeof(struct serial_state),
		   .fields = serial_fields,
		   .nfields = ARRAY_SIZE(serial_fields),
		   .check = serial_check },
	.init = serial_init,
	.drain = serial_drain,
	.load = serial_load,
	.counters = counters,
};

struct serial *serial_of(const struct vm *vm)
{
	struct device *dev = vm_device(vm, &serial_type);

	return dev ? container_of(dev, struct serial, dev) : NULL;
}
