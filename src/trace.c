/*-------------------------------------------------------------------------
 *
 * trace.c
 *	  What has become of a domain event?
 *
 * domev.find_trace finds it, as the owner of domev's tables; the caller is
 * shown what he may read.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "right.h"
#include "statement.h"

#include "compat.h"

/* The columns of domev.trace and domev.find_trace that say who may read a row. */
enum
{
	TRACE_EVENT_TYPE = 3, TRACE_MAPPING, TRACE_TOPIC, TRACE_COLUMNS = 11
};

static void put_readable(ReturnSetInfo *rsinfo, Oid role);

PG_FUNCTION_INFO_V1(domev_trace);

Datum
domev_trace(PG_FUNCTION_ARGS)
{
	DomevParams params = {0};
	DomevCaller caller;
	Oid			role = GetUserId();

	InitMaterializedSRF(fcinfo, 0);
	domev_params_add(&params, UUIDOID, PG_GETARG_DATUM(0), PG_ARGISNULL(0));
	domev_statement_enter(&caller);
	SPI_connect();
	if (SPI_execute_with_args("SELECT * FROM domev.find_trace($1)", params.count, params.types,
							  params.values, params.nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	domev_statement_leave(&caller);
	put_readable((ReturnSetInfo *) fcinfo->resultinfo, role);
	SPI_finish();
	return (Datum) 0;
}

/* A failure has no topic, and goes by the event's type, as the event does. */
static void
put_readable(ReturnSetInfo *rsinfo, Oid role)
{
	TupleDesc	tupdesc = SPI_tuptable->tupdesc;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		DomevEvent	event = {0};
		Datum		values[TRACE_COLUMNS];
		bool		nulls[TRACE_COLUMNS];

		event.topic = domev_text(SPI_getvalue(tuple, tupdesc, TRACE_TOPIC));
		event.event_type = domev_text(SPI_getvalue(tuple, tupdesc, TRACE_EVENT_TYPE));
		if (event.topic.data != NULL)
			event.mapping = domev_text(SPI_getvalue(tuple, tupdesc, TRACE_MAPPING));
		if (!domev_right_reads_event(&event, role))
			continue;
		heap_deform_tuple(tuple, tupdesc, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}
