/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  How does a consumer tell an event that it has received before?
 *
 * Brokers deliver at least once.  domev.inbox has the ids of what was
 * received, each written in the transaction that handles the event: both
 * happen, or neither.
 *
 * One table with one unique index, not partitions by time.  A unique index of
 * a partition knows nothing of the others', so two receivers at a boundary
 * could both have an event for the first time; what could prevent it costs a
 * lock for each event, or halts all receivers at each boundary.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "argument.h"
#include "catalog/pg_type.h"
#include "consumer.h"
#include "event.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "compat.h"

/* In bytes: with the longest source and consumer it still fits into an index. */
#define MAX_EVENT_ID	512

static char *get_event_id(FunctionCallInfo fcinfo);
static bool put(const char *consumer, const char *event_id, const char *source);
static SPIPlanPtr make_plan(void);

PG_FUNCTION_INFO_V1(domev_receive);

/* SQL: both forms of domev.receive, which differ in the type of the event's id. */
Datum
domev_receive(PG_FUNCTION_ARGS)
{
	char	   *consumer = domev_argument_required(fcinfo, 0, "consumer");
	char	   *event_id = get_event_id(fcinfo);
	char	   *source = domev_argument_required(fcinfo, 2, "source");

	PreventCommandDuringRecovery("domev.receive()");
	PreventCommandIfReadOnly("domev.receive()");
	domev_event_check_name("event id", domev_text(event_id), MAX_EVENT_ID);
	if (source[0] != '\0')
		domev_event_check_name("source", domev_text(source), DOMEV_MAX_URI);
	domev_consumer_use(consumer);
	PG_RETURN_BOOL(put(consumer, event_id, source));
}

static char *
get_event_id(FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(1) && get_fn_expr_argtype(fcinfo->flinfo, 1) == UUIDOID)
		return DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(1)));
	return domev_argument_required(fcinfo, 1, "event_id");
}

/*
 * False: it was there.  Waits for a transaction that has put it and has not
 * ended yet.  PostgreSQL raises 40001 where the transaction's snapshot is too
 * old to see what is there.
 */
static bool
put(const char *consumer, const char *event_id, const char *source)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[] = {CStringGetTextDatum(consumer), CStringGetTextDatum(event_id), CStringGetTextDatum(source)};
	DomevCaller caller;
	int			result;
	bool		is_new;

	domev_statement_enter(&caller);
	SPI_connect();
	if (plan == NULL)
		plan = make_plan();
	result = SPI_execute_plan(plan, values, NULL, false, 0);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not write a table of domev: %s", SPI_result_code_string(result));
	is_new = SPI_processed == 1;
	SPI_finish();
	domev_statement_leave(&caller);
	return is_new;
}

/* Kept for the session: planning takes longer than executing it. */
static SPIPlanPtr
make_plan(void)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	SPIPlanPtr	plan = SPI_prepare("INSERT INTO domev.inbox (consumer, event_id, source) VALUES ($1, $2, $3)"
								   " ON CONFLICT DO NOTHING", lengthof(types), types);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not write a table of domev: %s", SPI_result_code_string(SPI_result));
	return plan;
}

PG_FUNCTION_INFO_V1(domev_purge_inbox);

/* SQL: forgets what was received long ago, at most so many at a time. */
Datum
domev_purge_inbox(PG_FUNCTION_ARGS)
{
	DomevParams params = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", PG_ARGISNULL(0) ? "older_than" : "max_rows")));
	if (PG_GETARG_INT64(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", "max_rows"),
				 errdetail("It must be 1 or more.")));
	domev_params_add(&params, INTERVALOID, PG_GETARG_DATUM(0), false);
	domev_params_add(&params, INT8OID, PG_GETARG_DATUM(1), false);
	PG_RETURN_INT64(domev_statement_execute("DELETE FROM domev.inbox WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
											"SELECT i.ctid FROM domev.inbox AS i WHERE i.received_at OPERATOR(pg_catalog.<)"
											" (pg_catalog.now() OPERATOR(pg_catalog.-) $1)"
											" ORDER BY i.received_at LIMIT $2))", &params));
}
