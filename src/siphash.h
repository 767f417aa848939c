/*-------------------------------------------------------------------------
 *
 * siphash.h
 *	  SipHash-2-4 with 128 bits of output.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_SIPHASH_H
#define DOMEV_SIPHASH_H

#define DOMEV_SIPHASH_SIZE	16	/* bytes, of the key and of the result */

extern void domev_siphash(const uint8 *key, const void *data, Size size,
						  uint8 *result);

#endif							/* DOMEV_SIPHASH_H */
