/*-------------------------------------------------------------------------
 *
 * schema.c
 *	  What are others told of the events that they will get?
 *
 * domev.set_schema keeps what the data of an event type looks like, and
 * domev.asyncapi tells it.  The document is made in SQL (make_asyncapi); what
 * is asked for is checked here.
 *
 * Nobody else reads the table of schemas, while WAL is decoded or at any other
 * time: so it is no user_catalog_table, and has ON CONFLICT.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "argument.h"
#include "catalog/pg_type.h"
#include "event.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "statement.h"
#include "utils/datum.h"
#include "utils/jsonb.h"

#include "compat.h"

static void check_schema(Jsonb *schema);

PG_FUNCTION_INFO_V1(domev_set_schema);
PG_FUNCTION_INFO_V1(domev_asyncapi);

Datum
domev_set_schema(PG_FUNCTION_ARGS)
{
	char	   *event_type = domev_argument_required(fcinfo, 0, "event_type");
	DomevParams params = {0};

	domev_event_check_name("event type", domev_text(event_type), DOMEV_MAX_INTEGRATION_TYPE);
	domev_params_add_string(&params, event_type);
	if (PG_ARGISNULL(1))
	{
		domev_statement_execute("DELETE FROM domev.schemas WHERE event_type OPERATOR(pg_catalog.=) $1", &params);
		PG_RETURN_VOID();
	}
	check_schema(PG_GETARG_JSONB_P(1));
	domev_params_add(&params, JSONBOID, PG_GETARG_DATUM(1), false);
	domev_statement_execute("INSERT INTO domev.schemas (event_type, schema) VALUES ($1, $2)"
							" ON CONFLICT (event_type) DO UPDATE SET schema = excluded.schema", &params);
	PG_RETURN_VOID();
}

/* A schema is an object or a boolean; whether it is a good one is its author's business. */
static void
check_schema(Jsonb *schema)
{
	JsonbValue	scalar;

	if (JB_ROOT_IS_OBJECT(schema))
		return;
	if (JB_ROOT_IS_SCALAR(schema) && JsonbExtractScalar(&schema->root, &scalar) && scalar.type == jbvBool)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid schema"),
			 errdetail("A JSON Schema is a JSON object, or true or false.")));
}

Datum
domev_asyncapi(PG_FUNCTION_ARGS)
{
	char	   *scope = domev_argument_optional(fcinfo, 0);
	char	   *title = domev_argument_optional(fcinfo, 1);
	char	   *version = domev_argument_required(fcinfo, 2, "version");
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old;
	DomevParams params = {0};
	DomevCaller caller;
	Datum		document;
	bool		isnull;

	if (scope != NULL)
		domev_argument_check_choice("scope", scope, "internal", "external");
	domev_params_add_string(&params, scope);
	domev_params_add_string(&params, title);
	domev_params_add_string(&params, version);
	domev_statement_enter(&caller);
	SPI_connect();
	if (SPI_execute_with_args("SELECT domev.make_asyncapi($1, $2, $3)", params.count, params.types,
							  params.values, params.nulls, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read the tables of domev");
	document = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	old = MemoryContextSwitchTo(context);
	document = datumCopy(document, false, -1);
	MemoryContextSwitchTo(old);
	SPI_finish();
	domev_statement_leave(&caller);
	PG_RETURN_DATUM(document);
}
