/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.c - `hold PROGRAM ARG...`: run a program in what the tests of an emulated host need:
 * THAW_SLOW in the environment when the CPU is QEMU's TCG, and one VM with one vCPU in existence.
 *
 * The first VM and the last one make Linux patch its own code, also that of its scheduler
 * (preempt_notifier_key). QEMU before 8.0 may translate a page of code while another CPU writes
 * to it, and then keeps executing the breakpoint that was there for a moment: "Oops: int3".
 * With one VM from the beginning to the end there is nothing to patch in between. Started by
 * tests/tcg/init.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SLOW "20" /* seen: 10 to 45, by what a test does */

static int cpu_is_tcg(void)
{
	unsigned int id[4];

	__cpuid(0x40000000, id[0], id[1], id[2], id[3]); /* the leaf that hypervisors name */
	return memcmp(id + 1, "TCGTCGTCGTCG", 12) == 0;
}

int main(int argc, char **argv)
{
	/* The vCPU's APIC is as reset leaves it, which keeps KVM's own keys: for that it needs
	 * one in the kernel. 24: the pins of an IOAPIC. */
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	int kvm, vm;

	if (argc < 2) {
		fprintf(stderr, "usage: hold PROGRAM ARG...\n");
		return 2;
	}
	if (cpu_is_tcg())
		setenv("THAW_SLOW", SLOW, 1);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (ioctl(vm, KVM_ENABLE_CAP, &cap) < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0 ||
	    dup(vm) < 0) {
		perror("hold: /dev/kvm");
		return 1;
	}
	/* KVM's descriptors are closed on exec; the duplicate is not, here and in every child. */
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
