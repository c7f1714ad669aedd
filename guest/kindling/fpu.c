/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/fpu.h"

#include <asm/sigcontext.h>
#include <linux/errno.h>

#include "guest/kindling/bytes.h"

#define CPUID_XSAVE  (1u << 27) /* leaf 1, ECX: OSXSAVE */
#define CPUID_XSTATE 0xdu	/* its subleaf 0, EBX: bytes that XCR0's components take */
#define MXCSR_INIT   0x1f80u
#define MXCSR_MASK   0xffbfu /* of processors that do not tell (SDM vol. 1, 11.6.6) */
#define LEGACY_SIZE  512u
#define HEADER_SIZE  64u /* of the XSAVE header behind the legacy area */
#define FEATURE_PKRU (1ull << 9)

/* What an instruction's memory operand is: the compiler has to know that it is used. */
struct legacy {
	uint8_t bytes[LEGACY_SIZE];
};

/* The 64 bytes behind the legacy area (SDM vol. 1, 13.4.2). */
struct header {
	uint64_t present; /* XSTATE_BV */
	uint64_t compact; /* XCOMP_BV: 0 in standard form */
	uint64_t reserved[6];
};

static uint64_t features; /* XCR0; 0: there is no XSAVE */
static uint32_t size = LEGACY_SIZE;

static uint32_t cpuid(uint32_t leaf, int want_ecx)
{
	uint32_t a = leaf, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return want_ecx ? c : b;
}

void fpu_init(void)
{
	uint32_t low, high;

	if (!(cpuid(1, 1) & CPUID_XSAVE))
		return;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	features = (uint64_t)high << 32 | low;
	size = cpuid(CPUID_XSTATE, 0);
}

uint64_t fpu_size(void)
{
	return features ? size + FP_XSTATE_MAGIC2_SIZE : size;
}

static void xrstor(const void *area, uint64_t what)
{
	__asm__ volatile("xrstor64 %0" ::"m"(*(const struct legacy *)area), "a"((uint32_t)what),
			 "d"((uint32_t)(what >> 32)));
}

void fpu_save(void *area)
{
	struct _fpstate_64 *fp = area;
	uint32_t magic = FP_XSTATE_MAGIC2;

	if (!features) {
		__asm__ volatile("fxsave64 %0" : "=m"(*(struct legacy *)area));
		memset(&fp->sw_reserved, 0, sizeof(fp->sw_reserved));
		return;
	}
	/* XSAVE leaves most of the header alone, and it has to be zero. */
	memset((uint8_t *)area + LEGACY_SIZE, 0, HEADER_SIZE);
	__asm__ volatile("xsave64 %0"
			 : "+m"(*(struct legacy *)area)
			 : "a"((uint32_t)features), "d"((uint32_t)(features >> 32))
			 : "memory");
	fp->sw_reserved = (struct _fpx_sw_bytes){
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = size + FP_XSTATE_MAGIC2_SIZE,
		.xfeatures = features,
		.xstate_size = size,
	};
	memcpy((uint8_t *)area + size, &magic, sizeof(magic));
}

/* Would XRSTOR or FXRSTOR fault on @fp? MXCSR's mask is in what was saved, but the program
 * may have changed it; the processor's own is asked for. */
static int fpu_check(const struct _fpstate_64 *fp)
{
	static uint8_t own[LEGACY_SIZE] __attribute__((aligned(16)));
	const struct _fpstate_64 *now = (const void *)own;
	const struct header *h = (const void *)((const uint8_t *)fp + LEGACY_SIZE);
	uint64_t reserved = 0;
	uint32_t mask;

	__asm__ volatile("fxsave64 %0" : "=m"(own));
	mask = now->mxcsr_mask ? now->mxcsr_mask : MXCSR_MASK;
	if ((uintptr_t)fp % FPU_ALIGN || fp->mxcsr & ~mask)
		return -EINVAL;
	if (!features)
		return 0;
	for (unsigned int i = 0; i < 6; i++)
		reserved |= h->reserved[i];
	return h->present & ~features || h->compact || reserved ? -EINVAL : 0;
}

int fpu_load(const void *area)
{
	int ret = fpu_check(area);

	if (ret < 0)
		return ret;
	if (features)
		xrstor(area, features);
	else
		__asm__ volatile("fxrstor64 %0" ::"m"(*(const struct legacy *)area));
	return 0;
}

void fpu_reset(void)
{
	/* Nothing present: XRSTOR then takes the processor's initial state, but MXCSR. */
	static struct {
		struct _fpstate_64 fp;
		struct header header;
	} initial __attribute__((aligned(FPU_ALIGN)));

	initial.fp.mxcsr = MXCSR_INIT;
	initial.fp.cwd = 0x37f;
	if (features)
		xrstor(&initial, features & ~FEATURE_PKRU);
	else
		__asm__ volatile("fxrstor64 %0" ::"m"(initial));
}
