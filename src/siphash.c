/*-------------------------------------------------------------------------
 *
 * siphash.c
 *	  How is a short message hashed with a key, fast and the same everywhere?
 *
 * SipHash-2-4 in its 128-bit form, after the authors' paper (Aumasson and
 * Bernstein, 2012) and their note on 128 bits.  domev needs a keyed hash in
 * two places: the MAC of WAL messages, and the ids of integration events.
 * PostgreSQL has none that is both: HMAC-SHA256 by its own interface costs
 * 1.5 microseconds for 600 bytes, more than writing the message does, and
 * hash_bytes() is neither keyed nor the same on every architecture.
 *
 * The result must never change: ids of events that were published depend on
 * it.  expected/mapping.out holds ids computed by another implementation.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "siphash.h"

typedef struct SipState
{
	uint64		v0;
	uint64		v1;
	uint64		v2;
	uint64		v3;
} SipState;

/* Inline, so that the state stays in registers: a third fewer instructions. */
static inline void siphash_init(SipState *s, const uint8 *key);
static inline void siphash_word(SipState *s, uint64 word);
static inline void siphash_round(SipState *s);
static inline uint64 siphash_load(const uint8 *bytes, Size size);
static void siphash_store(uint8 *bytes, uint64 word);

/* Hashes data under a key of 16 bytes into 16 bytes at result. */
void
domev_siphash(const uint8 *key, const void *data, Size size, uint8 *result)
{
	const uint8 *bytes = data;
	Size		whole = size - size % sizeof(uint64);
	SipState	s;

	siphash_init(&s, key);
	for (Size i = 0; i < whole; i += sizeof(uint64))
		siphash_word(&s, siphash_load(bytes + i, sizeof(uint64)));

	/* The last word: what is left, and the length's low byte on top. */
	siphash_word(&s, siphash_load(bytes + whole, size - whole) | ((uint64) size << 56));

	s.v2 ^= 0xee;
	for (int i = 0; i < 4; i++)
		siphash_round(&s);
	siphash_store(result, s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
	s.v1 ^= 0xdd;
	for (int i = 0; i < 4; i++)
		siphash_round(&s);
	siphash_store(result + sizeof(uint64), s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
}

static inline void
siphash_init(SipState *s, const uint8 *key)
{
	uint64		k0 = siphash_load(key, sizeof(uint64));
	uint64		k1 = siphash_load(key + sizeof(uint64), sizeof(uint64));

	s->v0 = k0 ^ UINT64CONST(0x736f6d6570736575);
	s->v1 = k1 ^ UINT64CONST(0x646f72616e646f6d) ^ 0xee;	/* 128-bit output */
	s->v2 = k0 ^ UINT64CONST(0x6c7967656e657261);
	s->v3 = k1 ^ UINT64CONST(0x7465646279746573);
}

static inline void
siphash_word(SipState *s, uint64 word)
{
	s->v3 ^= word;
	siphash_round(s);
	siphash_round(s);
	s->v0 ^= word;
}

static inline uint64
rotate_left(uint64 word, int bits)
{
	return (word << bits) | (word >> (64 - bits));
}

static inline void
siphash_round(SipState *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 = rotate_left(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v2 = rotate_left(s->v2, 32);
}

/* Up to eight bytes as a little-endian number, on any machine. */
static inline uint64
siphash_load(const uint8 *bytes, Size size)
{
	uint64		word = 0;

	memcpy(&word, bytes, size);
#ifdef WORDS_BIGENDIAN
	word = pg_bswap64(word);
#endif
	return word;
}

static void
siphash_store(uint8 *bytes, uint64 word)
{
#ifdef WORDS_BIGENDIAN
	word = pg_bswap64(word);
#endif
	memcpy(bytes, &word, sizeof(word));
}
