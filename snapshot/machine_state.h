/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_state.h - everything of a stopped machine but its memory, as plain data: taken from
 * a machine, written to state.bin, read from there with all checks, put into a machine.
 */
#pragma once

#include "devices/types.h"
#include "engine/vcpu_state.h"
#include "engine/vm.h"

struct err;
struct machine;
struct mem;
struct shape;
struct state_file;
struct state_writer;

struct machine_state {
	struct vm_state vm;
	uint32_t nvcpus;
	struct vcpu_state *vcpus;
	struct device_list list;
	uint8_t *devices; /* the state structs of @list, in order, each 8-byte aligned */
};

/* Bytes that the state of a device takes in machine_state.devices. */
size_t machine_state_room(const struct device_type *type);

/* Bytes of machine_state.devices for @list. */
size_t machine_state_devices_size(const struct device_list *list);

/* Room for @nvcpus and the devices of @list. Errors: -ENOMEM. machine_state_fini is safe after a
 * failed init. */
int machine_state_init(struct machine_state *s, uint32_t nvcpus, const struct device_list *list,
		       struct err *err) must_check;
/* For the state of @m. */
int machine_state_init_for(struct machine_state *s, const struct machine *m,
			   struct err *err) must_check;
void machine_state_fini(struct machine_state *s);

/*
 * machine_state_save - complete pending exits and copy everything out. The vCPUs are stopped. The
 * caller holds the worker's lock, and goes on to hold it until what belongs to the state is copied,
 * too, memory and drives: a device that finds a request in its ring would change all three.
 */
int machine_state_save(struct machine_state *s, struct machine *m, struct err *err) must_check;

/* The shape of a machine of this state and RAM layout: with the vCPU's own CPUID, TSC and XCR0,
 * not the shell's: they are what an image needs. Points into @s. */
void machine_state_shape(const struct machine_state *s, const struct mem *mem,
			 struct shape *out);

/*
 * machine_state_load - copy everything into a machine of the same shape whose memory is
 * attached. @now: both TSCs of vCPU 0 afterwards.
 */
int machine_state_load(const struct machine_state *s, struct machine *m,
		       struct vcpu_tsc_now *now, struct err *err) must_check;

/* Only the devices' part of it; the caller holds the worker's lock. */
int machine_devices_load(const struct machine_state *s, struct machine *m,
			 struct err *err) must_check;

int machine_state_encode(const struct machine_state *s, struct state_writer *w,
			 struct err *err) must_check;

/* Errors: -ERR_DAMAGED; -ERR_UNFIT a section that this version does not know. */
int machine_state_decode(struct machine_state *s, struct state_file *f,
			 struct err *err) must_check;

/* The tables of every section there is, in file order, NULL from the last one on: for
 * inspect, the golden layout and the tests. */
const struct state_desc *machine_state_desc(uint32_t i);
