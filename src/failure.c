/*-------------------------------------------------------------------------
 *
 * failure.c
 *	  How is it kept that a mapping has failed?
 *
 * In domev.failed_mapping, with all that is needed to try again: remap.c
 * does.  The row is the transaction's, like the events that it published.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog.h"
#include "catalog/pg_type.h"
#include "failure.h"
#include "fmgr.h"
#include "statement.h"

#include "compat.h"

/* Keeps a failure, or counts one more attempt. */
void
domev_failure_record(const char *mapping, Datum domain_event, const pg_uuid_t *event_id,
					 const ErrorData *error)
{
	DomevParams params = {0};
	bool		read_only = XactReadOnly;

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(event_id), false);
	domev_params_add_string(&params, mapping);
	domev_params_add(&params, domev_catalog_type("domain_event"), domain_event, false);
	domev_params_add_string(&params, unpack_sql_state(error->sqlerrcode));
	domev_params_add_string(&params, error->message ? error->message : "");
	domev_params_add_string(&params, error->detail);
	domev_params_add_string(&params, error->context);

	/*
	 * The transaction was not when the event was raised, but may have become
	 * so before a deferred mapping failed.
	 */
	XactReadOnly = false;
	domev_statement_execute("INSERT INTO domev.failed_mapping AS f"
							" (event_id, mapping, event, sqlstate, message, detail, context, failed_at, attempts)"
							" VALUES ($1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp(), 1)"
							" ON CONFLICT (event_id, mapping) DO UPDATE SET sqlstate = excluded.sqlstate,"
							" message = excluded.message, detail = excluded.detail, context = excluded.context,"
							" failed_at = excluded.failed_at, attempts = f.attempts OPERATOR(pg_catalog.+) 1",
							&params);
	XactReadOnly = read_only;
}

/* The mapping has not failed any more. */
void
domev_failure_forget(const char *mapping, const pg_uuid_t *event_id)
{
	DomevParams params = {0};

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(event_id), false);
	domev_params_add_string(&params, mapping);
	domev_statement_execute("DELETE FROM domev.failed_mapping"
							" WHERE event_id OPERATOR(pg_catalog.=) $1 AND mapping OPERATOR(pg_catalog.=) $2",
							&params);
}

PG_FUNCTION_INFO_V1(domev_purge_failed);

/* SQL: forgets what failed long ago. */
Datum
domev_purge_failed(PG_FUNCTION_ARGS)
{
	DomevParams params = {0};

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", "older_than")));
	domev_params_add(&params, INTERVALOID, PG_GETARG_DATUM(0), false);
	PG_RETURN_INT64(domev_statement_execute("DELETE FROM domev.failed_mapping WHERE failed_at OPERATOR(pg_catalog.<)"
											" (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) $1)",
											&params));
}
