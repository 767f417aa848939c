/*-------------------------------------------------------------------------
 *
 * deferral.h
 *	  How is a mapping put off until the transaction commits?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_DEFERRAL_H
#define DOMEV_DEFERRAL_H

#include "domev.h"
#include "nodes/pg_list.h"

/* mappings: a list of char * */
extern void domev_deferral_put(const DomevDomainEvent *domain, List *mappings);

#endif							/* DOMEV_DEFERRAL_H */
