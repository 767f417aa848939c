/*-------------------------------------------------------------------------
 *
 * remnant.h
 *	  Has a mapping left something behind?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_REMNANT_H
#define DOMEV_REMNANT_H

#include "utils/palloc.h"

typedef struct DomevRemnant
{
	MemoryContext marker;
} DomevRemnant;

/* In the mapping's subtransaction, before it runs; and after it, also when it failed. */
extern void domev_remnant_watch(DomevRemnant *remnant);
extern bool domev_remnant_is_left(DomevRemnant *remnant);

#endif							/* DOMEV_REMNANT_H */
