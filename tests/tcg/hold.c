/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.c - `hold PROGRAM ARG...`: run a program in what the tests of an emulated host need:
 * THAW_SLOW in the environment when the CPU is QEMU's TCG, and one VM of each kind in existence.
 *
 * The first VM of a kind and the last one make Linux patch its own code, also that of its
 * scheduler (preempt_notifier_key, kvm_has_noapic_vcpu). QEMU before 8.0 may translate a page of
 * code while another CPU writes to it, and then keeps executing the breakpoint that was there
 * for a moment: "Oops: int3". With VMs from the beginning to the end there is nothing to patch
 * in between. Started by tests/tcg/init.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SLOW	    "20" /* seen: 10 to 45, by what a test does */
#define IOAPIC_PINS 24

static int cpu_is_tcg(void)
{
	unsigned int id[4];

	__cpuid(0x40000000, id[0], id[1], id[2], id[3]); /* the leaf that hypervisors name */
	return memcmp(id + 1, "TCGTCGTCGTCG", 12) == 0;
}

/* A VM with one vCPU, for as long as anyone has its descriptor. APIC: in the kernel, as reset
 * leaves it, or none. Negative when KVM refuses. */
static int hold_vm(int kvm, int apic)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_PINS } };
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	if (apic && ioctl(vm, KVM_ENABLE_CAP, &cap) < 0)
		return -1;
	if (ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		return -1;
	/* KVM's descriptors are closed on exec; the duplicate is not, here and in every child. */
	return dup(vm);
}

int main(int argc, char **argv)
{
	int kvm;

	if (argc < 2) {
		fprintf(stderr, "usage: hold PROGRAM ARG...\n");
		return 2;
	}
	if (cpu_is_tcg())
		setenv("THAW_SLOW", SLOW, 1);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (hold_vm(kvm, 1) < 0 || hold_vm(kvm, 0) < 0) {
		perror("hold: /dev/kvm");
		return 1;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
