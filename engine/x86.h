/* SPDX-License-Identifier: Apache-2.0 */
/* x86.h - the constants of the architecture that the engine needs. Source: Intel SDM, AMD APM. */
#pragma once

/* Control registers: SDM vol. 3A, 2.5 */
#define CR0_PE	       (1ull << 0)
#define CR0_MP	       (1ull << 1)
#define CR0_ET	       (1ull << 4)
#define CR0_NE	       (1ull << 5)
#define CR0_WP	       (1ull << 16)
#define CR0_AM	       (1ull << 18)
#define CR0_PG	       (1ull << 31)
#define CR4_PAE	       (1ull << 5)
#define CR4_PGE	       (1ull << 7)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_LA57       (1ull << 12)
#define CR4_FSGSBASE   (1ull << 16)
#define CR4_OSXSAVE    (1ull << 18)

/* IA32_APIC_BASE: SDM vol. 3A, 12.4.4 */
#define APIC_BASE_BSP (1ull << 8) /* the first processor */

/* Local APIC: SDM vol. 3A, 12.4.1 */
#define APIC_DEFAULT_GPA   0xfee00000u
#define APIC_ISR	   0x100u /* then TMR, then IRR; 4 bytes in each 16 */
#define APIC_IRR	   0x200u
#define APIC_VECTORS_SIZE  0x80u  /* of one of these */
#define APIC_TMICT	   0x380u /* initial count of the timer */
#define APIC_CURRENT_COUNT 0x390u /* which runs */

/* Breakpoints that are on: SDM vol. 3B, 18.2.4 */
#define DR7_ENABLED 0xffull

/* Extended feature enable register: SDM vol. 3A, 2.2.1 */
#define EFER_SCE (1ull << 0)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)

/* Page-table entries: SDM vol. 3A, 4.5 */
#define PTE_P  (1ull << 0)
#define PTE_W  (1ull << 1)
#define PTE_U  (1ull << 2)
#define PTE_A  (1ull << 5)
#define PTE_D  (1ull << 6)
#define PTE_PS (1ull << 7)

/* Model-specific registers: SDM vol. 4 */
#define MSR_IA32_TSC	      0x00000010u
#define MSR_IA32_APIC_BASE    0x0000001bu
#define MSR_IA32_FEAT_CTL     0x0000003au
#define MSR_AMD64_NB_CFG      0xc001001fu /* northbridge; source: AMD BKDG, Family 10h */
#define MSR_IA32_PRED_CMD     0x00000049u
#define MSR_IA32_FLUSH_CMD    0x0000010bu
#define MSR_SYSENTER_CS	      0x00000174u
#define MSR_SYSENTER_ESP      0x00000175u
#define MSR_SYSENTER_EIP      0x00000176u
#define MSR_IA32_MISC_ENABLE  0x000001a0u
#define MSR_IA32_PAT	      0x00000277u
#define MSR_IA32_TSC_DEADLINE 0x000006e0u
#define MSR_EFER	      0xc0000080u
#define MSR_STAR	      0xc0000081u
#define MSR_LSTAR	      0xc0000082u
#define MSR_CSTAR	      0xc0000083u
#define MSR_SYSCALL_MASK      0xc0000084u
#define MSR_FS_BASE	      0xc0000100u
#define MSR_GS_BASE	      0xc0000101u
#define MSR_KERNEL_GS_BASE    0xc0000102u
#define MSR_TSC_AUX	      0xc0000103u

/* Clocks that KVM offers to guests for Hyper-V. Source: Microsoft, Hypervisor Top-Level Functional
 * Specification, 12.4 and 7.8 */
#define MSR_HV_VP_RUNTIME     0x40000010u
#define MSR_HV_TIME_REF_COUNT 0x40000020u

/* XSTATE_BV in the XSAVE area, as an index of 8-byte words: SDM vol. 1, 13.4.2 */
#define XSAVE_BV_WORD 64u

/* RFLAGS: SDM vol. 1, 3.4.3 */
#define RFLAGS_FIXED (1ull << 1)
