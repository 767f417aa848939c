/*-------------------------------------------------------------------------
 *
 * payload.h
 *	  How do the rows of a change become the payload of its event?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_PAYLOAD_H
#define DOMEV_PAYLOAD_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A row as it is in the table, all columns; no values: there is none. */
typedef struct DomevRow
{
	Datum	   *values;
	bool	   *nulls;
} DomevRow;

typedef struct DomevPayload DomevPayload;

extern DomevPayload *domev_payload_prepare(TupleDesc tupdesc, const AttrNumber *numbers, int count);
extern Jsonb *domev_payload_make(DomevPayload *payload, const DomevRow *before,
								 const DomevRow *after, List *changed);
extern void domev_payload_to_jsonb(FmgrInfo *flinfo, Oid type);

#endif							/* DOMEV_PAYLOAD_H */
