/*-------------------------------------------------------------------------
 *
 * domev.h
 *	  What a mapping written in C needs.
 *
 * Installed by "make install" into the server's include folder, as
 * extension/domev/domev.h.  Everything here is inline: a library that uses
 * it need not be linked against domev, nor loaded after it.
 *
 * A mapping is a function of one argument of type domev.domain_event that
 * returns domev.integration_event, or SETOF it.  Declare it STRICT: somebody
 * may call it with NULL.
 *
 *	  PG_FUNCTION_INFO_V1(order_placed);
 *
 *	  Datum
 *	  order_placed(PG_FUNCTION_ARGS)
 *	  {
 *		  DomevDomainEvent in;
 *		  DomevIntegrationEvent out = {0};
 *
 *		  domev_get_domain_event(PG_GETARG_HEAPTUPLEHEADER(0), &in);
 *		  out.event_type = "shop.order-placed.v1";
 *		  out.payload = in.payload;
 *		  PG_RETURN_DATUM(domev_integration_event_datum(fcinfo, &out));
 *	  }
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_H
#define DOMEV_H

#include "access/htup_details.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

/* The attributes of type domev.domain_event. */
enum
{
	DOMEV_DOMAIN_EVENT_EVENT_ID,
	DOMEV_DOMAIN_EVENT_EVENT_TYPE,
	DOMEV_DOMAIN_EVENT_AGGREGATE_TYPE,
	DOMEV_DOMAIN_EVENT_AGGREGATE_ID,
	DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION,
	DOMEV_DOMAIN_EVENT_PAYLOAD,
	DOMEV_DOMAIN_EVENT_HEADERS,
	DOMEV_DOMAIN_EVENT_OCCURRED_AT,
	DOMEV_DOMAIN_EVENT_ATTRIBUTES
};

/* The attributes of type domev.integration_event. */
enum
{
	DOMEV_INTEGRATION_EVENT_TOPIC,
	DOMEV_INTEGRATION_EVENT_EVENT_TYPE,
	DOMEV_INTEGRATION_EVENT_KEY,
	DOMEV_INTEGRATION_EVENT_PAYLOAD,
	DOMEV_INTEGRATION_EVENT_DATA,
	DOMEV_INTEGRATION_EVENT_CONTENT_TYPE,
	DOMEV_INTEGRATION_EVENT_DATA_SCHEMA,
	DOMEV_INTEGRATION_EVENT_HEADERS,
	DOMEV_INTEGRATION_EVENT_ATTRIBUTES
};

/*
 * What a mapping takes.  payload and headers may point into the argument, the
 * rest is allocated in the current memory context; a function that returns
 * its set value by value has to copy the argument first.
 */
typedef struct DomevDomainEvent
{
	pg_uuid_t	event_id;
	char	   *event_type;
	char	   *aggregate_type;
	char	   *aggregate_id;
	bool		has_aggregate_version;
	int64		aggregate_version;
	Jsonb	   *payload;
	Jsonb	   *headers;		/* NULL: none */
	TimestampTz occurred_at;
} DomevDomainEvent;

/* What it returns.  Start from {0} and set what the event has. */
typedef struct DomevIntegrationEvent
{
	const char *topic;			/* NULL: the mapping's */
	const char *event_type;
	const char *key;			/* NULL: the aggregate id */
	Jsonb	   *payload;		/* either this */
	bytea	   *data;			/* or this */
	const char *content_type;
	const char *data_schema;
	Jsonb	   *headers;
} DomevIntegrationEvent;

/* Takes the argument apart. */
static inline void
domev_get_domain_event(HeapTupleHeader tuple, DomevDomainEvent *event)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(tuple),
												 HeapTupleHeaderGetTypMod(tuple));
	Datum	   *values = (Datum *) palloc(tupdesc->natts * sizeof(Datum));
	bool	   *nulls = (bool *) palloc(tupdesc->natts * sizeof(bool));
	HeapTupleData data;

	if (tupdesc->natts < DOMEV_DOMAIN_EVENT_ATTRIBUTES)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("argument is not a domev.domain_event")));
	memset(&data, 0, sizeof(data));
	data.t_len = HeapTupleHeaderGetDatumLength(tuple);
	data.t_data = tuple;
	heap_deform_tuple(&data, tupdesc, values, nulls);
	ReleaseTupleDesc(tupdesc);

	/* domev leaves only these two NULL, but anybody may call the function. */
	for (int i = 0; i < DOMEV_DOMAIN_EVENT_ATTRIBUTES; i++)
	{
		if (nulls[i] && i != DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION && i != DOMEV_DOMAIN_EVENT_HEADERS)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("attribute %d of domev.domain_event must not be NULL", i + 1)));
	}
	event->event_id = *DatumGetUUIDP(values[DOMEV_DOMAIN_EVENT_EVENT_ID]);
	event->event_type = TextDatumGetCString(values[DOMEV_DOMAIN_EVENT_EVENT_TYPE]);
	event->aggregate_type = TextDatumGetCString(values[DOMEV_DOMAIN_EVENT_AGGREGATE_TYPE]);
	event->aggregate_id = TextDatumGetCString(values[DOMEV_DOMAIN_EVENT_AGGREGATE_ID]);
	event->payload = DatumGetJsonbP(values[DOMEV_DOMAIN_EVENT_PAYLOAD]);
	event->occurred_at = DatumGetTimestampTz(values[DOMEV_DOMAIN_EVENT_OCCURRED_AT]);

	event->has_aggregate_version = !nulls[DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION];
	event->aggregate_version = event->has_aggregate_version ?
		DatumGetInt64(values[DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION]) : 0;
	event->headers = nulls[DOMEV_DOMAIN_EVENT_HEADERS] ? NULL :
		DatumGetJsonbP(values[DOMEV_DOMAIN_EVENT_HEADERS]);
}

/*
 * Makes the row, palloc'd.  Attributes that a later domev has added are NULL,
 * so a library need not be built again for it.
 */
static inline HeapTuple
domev_form_integration_event(const DomevIntegrationEvent *event, TupleDesc tupdesc)
{
	const char *strings[DOMEV_INTEGRATION_EVENT_ATTRIBUTES] = {NULL};
	const void *pointers[DOMEV_INTEGRATION_EVENT_ATTRIBUTES] = {NULL};
	Datum	   *values = (Datum *) palloc0(tupdesc->natts * sizeof(Datum));
	bool	   *nulls = (bool *) palloc0(tupdesc->natts * sizeof(bool));

	if (tupdesc->natts < DOMEV_INTEGRATION_EVENT_ATTRIBUTES)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("function does not return domev.integration_event")));

	strings[DOMEV_INTEGRATION_EVENT_TOPIC] = event->topic;
	strings[DOMEV_INTEGRATION_EVENT_EVENT_TYPE] = event->event_type;
	strings[DOMEV_INTEGRATION_EVENT_KEY] = event->key;
	strings[DOMEV_INTEGRATION_EVENT_CONTENT_TYPE] = event->content_type;
	strings[DOMEV_INTEGRATION_EVENT_DATA_SCHEMA] = event->data_schema;
	pointers[DOMEV_INTEGRATION_EVENT_PAYLOAD] = event->payload;
	pointers[DOMEV_INTEGRATION_EVENT_DATA] = event->data;
	pointers[DOMEV_INTEGRATION_EVENT_HEADERS] = event->headers;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		nulls[i] = i >= DOMEV_INTEGRATION_EVENT_ATTRIBUTES ||
			(strings[i] == NULL && pointers[i] == NULL);
		if (!nulls[i])
			values[i] = strings[i] ? CStringGetTextDatum(strings[i]) : PointerGetDatum(pointers[i]);
	}
	return heap_form_tuple(tupdesc, values, nulls);
}

/* The result of a function RETURNS domev.integration_event. */
static inline Datum
domev_integration_event_datum(FunctionCallInfo fcinfo, const DomevIntegrationEvent *event)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(get_func_rettype(fcinfo->flinfo->fn_oid), -1);
	HeapTuple	tuple = domev_form_integration_event(event, tupdesc);

	ReleaseTupleDesc(tupdesc);
	return HeapTupleGetDatum(tuple);
}

/*
 * Adds one result of a function RETURNS SETOF domev.integration_event, which
 * has called InitMaterializedSRF(fcinfo, 0) before and returns (Datum) 0.
 */
static inline void
domev_put_integration_event(FunctionCallInfo fcinfo, const DomevIntegrationEvent *event)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_puttuple(rsinfo->setResult, domev_form_integration_event(event, rsinfo->setDesc));
}

#endif							/* DOMEV_H */
