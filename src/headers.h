/*-------------------------------------------------------------------------
 *
 * headers.h
 *	  What may a header be, and which headers does an event inherit?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_HEADERS_H
#define DOMEV_HEADERS_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

extern void domev_headers_init(void);

/* A header "causationid" is for domain events: emit and context may set it. */
extern void domev_headers_check(Jsonb *headers, bool may_set_causation);

extern Jsonb *domev_headers_context(void);
extern Jsonb *domev_headers_merge(Jsonb *inherited, Jsonb *own);
extern Jsonb *domev_headers_take_causation(Jsonb *headers, pg_uuid_t *causation_id,
										   bool *found);

#endif							/* DOMEV_HEADERS_H */
