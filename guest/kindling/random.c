/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/random.h"

#include <linux/errno.h>
#include <linux/random.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/user.h"

#define KEY_WORDS   8u
#define BLOCK_WORDS 16u
#define BLOCK_SIZE  64u
#define ROUNDS	    20u

_Static_assert(ABI_ENTROPY_SIZE == 2 * KEY_WORDS * 4, "entropy is two keys");

static uint32_t key[KEY_WORDS];
static uint64_t generation; /* of the entropy in the key; 0: none yet */

static uint32_t rotate(uint32_t x, unsigned int n)
{
	return x << n | x >> (32 - n);
}

static void quarter_round(uint32_t *x, unsigned int a, unsigned int b, unsigned int c,
			  unsigned int d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

/* One ChaCha20 block (RFC 8439, 2.3) of the key, nonce zero. */
static void chacha_block(uint64_t counter, uint32_t *out)
{
	/* "expand 32-byte k" */
	uint32_t in[BLOCK_WORDS] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	memcpy(in + 4, key, sizeof(key));
	in[12] = (uint32_t)counter;
	in[13] = (uint32_t)(counter >> 32);
	memcpy(out, in, sizeof(in));
	for (unsigned int i = 0; i < ROUNDS; i += 2) {
		quarter_round(out, 0, 4, 8, 12);
		quarter_round(out, 1, 5, 9, 13);
		quarter_round(out, 2, 6, 10, 14);
		quarter_round(out, 3, 7, 11, 15);
		quarter_round(out, 0, 5, 10, 15);
		quarter_round(out, 1, 6, 11, 12);
		quarter_round(out, 2, 7, 8, 13);
		quarter_round(out, 3, 4, 9, 14);
	}
	for (unsigned int i = 0; i < BLOCK_WORDS; i++)
		out[i] += in[i];
	bytes_wipe(in, sizeof(in));
}

/* Add 32 bytes of entropy to the key so that both count, and clear them. */
static void key_mix(volatile uint8_t *entropy)
{
	uint32_t block[BLOCK_WORDS];
	uint8_t *k = (uint8_t *)key;

	for (unsigned int i = 0; i < sizeof(key); i++) {
		k[i] ^= entropy[i];
		entropy[i] = 0;
	}
	chacha_block(0, block);
	memcpy(key, block, sizeof(key));
	bytes_wipe(block, sizeof(block));
}

/* The first block becomes the next key; the blocks after it go out. */
void random_fill(void *dst, uint64_t size)
{
	uint32_t next_key[BLOCK_WORDS], block[BLOCK_WORDS];
	uint8_t *d = dst;

	if (mailbox()->generation != generation) {
		generation = mailbox()->generation;
		key_mix(mailbox()->entropy);
		key_mix(mailbox()->entropy + sizeof(key));
	}
	chacha_block(0, next_key);
	for (uint64_t counter = 1; size; counter++) {
		uint64_t n = size < BLOCK_SIZE ? size : BLOCK_SIZE;

		chacha_block(counter, block);
		memcpy(d, block, n);
		d += n;
		size -= n;
	}
	memcpy(key, next_key, sizeof(key));
	bytes_wipe(next_key, sizeof(next_key));
	bytes_wipe(block, sizeof(block));
}

int64_t random_get(const struct regs *r)
{
	if (r->rdx & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if (!user_can_write(r->rdi, r->rsi))
		return -EFAULT;
	random_fill((void *)r->rdi, r->rsi);
	return (int64_t)r->rsi;
}
