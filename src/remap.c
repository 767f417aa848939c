/*-------------------------------------------------------------------------
 *
 * remap.c
 *	  How is an event mapped once more?
 *
 * What a mapping failed to map is in domev.failed_mapping; what happened
 * before a mapping was registered is in the journal.  Either is mapped on the
 * state of now, and what comes of it has the ids that it would have had then.
 *
 * A mapping publishes an event once: what it made of the event when that was
 * raised has the event's transaction in the outbox; what remap made of it is
 * in domev.remapped.  Only what went into the WAL when the event was raised
 * leaves no trace to look for: it is published again, with the same ids.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "argument.h"
#include "catalog/pg_type.h"
#include "emit.h"
#include "executor/spi.h"
#include "failure.h"
#include "miscadmin.h"
#include "statement.h"
#include "translation.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "compat.h"

/* How many events are fetched at a time. */
#define BATCH	100

/* A call of remap. */
typedef struct Remap
{
	DomevMapping *mapping;
	const char *of_type;		/* the events must be of; NULL: as asked for */
	bool		dry_run;
	ReturnSetInfo *rsinfo;
	MemoryContext context;		/* reset after each event */
	uint64		found;
} Remap;

/* The columns of the queries below, which leave out what is no event, such as a superuser may have written. */
enum
{
	EVENT_ID = 1, EVENT_TYPE, AGGREGATE_TYPE, AGGREGATE_ID, AGGREGATE_VERSION,
	PAYLOAD, HEADERS, OCCURRED_AT, PUBLISHED
};

#define COLUMNS_OF_FAILURE \
	"SELECT f.event_id, (f.event).event_type, (f.event).aggregate_type, (f.event).aggregate_id," \
	" (f.event).aggregate_version, (f.event).payload, (f.event).headers, (f.event).occurred_at, false" \
	" FROM domev.failed_mapping AS f WHERE f.mapping OPERATOR(pg_catalog.=) $1" \
	" AND (f.event).event_type IS NOT NULL AND (f.event).aggregate_type IS NOT NULL AND (f.event).aggregate_id IS NOT NULL" \
	" AND (f.event).payload IS NOT NULL AND (f.event).occurred_at IS NOT NULL"

/*
 * What the mapping published when the event was raised has the event's
 * transaction.  Of one event it is looked for by that, of many at once.
 */
#define RESULTS_OF_ONE \
	"LATERAL (SELECT i.causation_id, i.xact_id FROM domev.outbox AS i" \
	" WHERE i.mapping OPERATOR(pg_catalog.=) $1 AND i.causation_id OPERATOR(pg_catalog.=) o.event_id" \
	" AND i.xact_id OPERATOR(pg_catalog.=) o.xact_id AND i.recorded_at OPERATOR(pg_catalog.>=) o.recorded_at LIMIT 1)"
#define RESULTS_OF_MANY \
	"(SELECT DISTINCT i.causation_id, i.xact_id FROM domev.outbox AS i WHERE i.mapping OPERATOR(pg_catalog.=) $1" \
	" AND ($3 IS NULL OR i.recorded_at OPERATOR(pg_catalog.>=) $3))"
#define COLUMNS_OF_JOURNAL(results) \
	"SELECT o.event_id, o.event_type, o.aggregate_type, o.aggregate_id, o.aggregate_version," \
	" o.payload::pg_catalog.jsonb, o.headers::pg_catalog.jsonb, o.occurred_at, p.causation_id IS NOT NULL OR r.event_id IS NOT NULL" \
	" FROM domev.outbox AS o LEFT JOIN " results " AS p" \
	" ON p.causation_id OPERATOR(pg_catalog.=) o.event_id AND p.xact_id OPERATOR(pg_catalog.=) o.xact_id" \
	" LEFT JOIN domev.remapped AS r ON r.event_id OPERATOR(pg_catalog.=) o.event_id AND r.mapping OPERATOR(pg_catalog.=) $1" \
	" WHERE o.mapping IS NULL AND o.event_id IS NOT NULL AND o.event_type IS NOT NULL AND o.aggregate_type IS NOT NULL" \
	" AND o.aggregate_id IS NOT NULL AND o.payload IS NOT NULL AND o.occurred_at IS NOT NULL"

static void remap_start(FunctionCallInfo fcinfo, const char *mapping, bool dry_run, Remap *remap);
static DomevMapping *find_mapping(const char *name);
static void remap_found(Remap *remap, const char *sql, DomevParams *params);
static void remap_batch(Remap *remap, SPITupleTable *table, uint64 count);
static void remap_row(Remap *remap, HeapTuple tuple, TupleDesc tupdesc);
static bool get_event(HeapTuple tuple, TupleDesc tupdesc, DomevDomainEvent *domain);
static void check_event(const DomevDomainEvent *domain);
static void remap_event(Remap *remap, const DomevDomainEvent *domain);
static void try_event(Remap *remap, const DomevDomainEvent *domain, bool published);
static char *describe(const ErrorData *error);
static void release(Remap *remap, const DomevDomainEvent *domain);
static bool claim(Remap *remap, const DomevDomainEvent *domain);
static void put_row(Remap *remap, const DomevDomainEvent *domain, const char *outcome,
					int events, const char *error);

/* ----------------------------------------------------------------
 *		Doors
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_remap);
PG_FUNCTION_INFO_V1(domev_remap_event);

/* SQL: what a mapping failed to map, or the journal's events of a time. */
Datum
domev_remap(PG_FUNCTION_ARGS)
{
	char	   *mapping = domev_argument_required(fcinfo, 0, "mapping");
	bool		journal = !PG_ARGISNULL(1) || !PG_ARGISNULL(2);
	char	   *event_type = domev_argument_optional(fcinfo, 3);
	DomevParams params = {0};
	Remap		remap;

	remap_start(fcinfo, mapping, domev_argument_flag(fcinfo, 4), &remap);
	domev_params_add_string(&params, mapping);
	if (journal && event_type == NULL)
		event_type = pstrdup(remap.mapping->event_type);
	domev_params_add_string(&params, event_type);
	if (journal)
	{
		domev_params_add(&params, TIMESTAMPTZOID, PG_GETARG_DATUM(1), PG_ARGISNULL(1));
		domev_params_add(&params, TIMESTAMPTZOID, PG_GETARG_DATUM(2), PG_ARGISNULL(2));
		remap_found(&remap, COLUMNS_OF_JOURNAL(RESULTS_OF_MANY)
					" AND o.event_type OPERATOR(pg_catalog.=) $2"
					" AND ($3 IS NULL OR o.recorded_at OPERATOR(pg_catalog.>=) $3)"
					" AND ($4 IS NULL OR o.recorded_at OPERATOR(pg_catalog.<) $4)"
					" ORDER BY o.recorded_at", &params);
	}
	else
		remap_found(&remap, psprintf(COLUMNS_OF_FAILURE
									 " AND ($2 IS NULL OR (f.event).event_type OPERATOR(pg_catalog.=) $2)"
									 " ORDER BY (f.event).occurred_at, f.event_id %s",
									 remap.dry_run ? "" : "FOR UPDATE SKIP LOCKED"), &params);
	return (Datum) 0;
}

/* SQL: one event, failed or journaled. */
Datum
domev_remap_event(PG_FUNCTION_ARGS)
{
	char	   *mapping = domev_argument_required(fcinfo, 1, "mapping");
	DomevParams params = {0};
	Datum		id;
	Remap		remap;

	if (PG_ARGISNULL(0))
		(void) domev_argument_required(fcinfo, 0, "event_id");
	id = PG_GETARG_DATUM(0);
	if (get_fn_expr_argtype(fcinfo->flinfo, 0) != UUIDOID)
		id = DirectFunctionCall1(uuid_in, CStringGetDatum(TextDatumGetCString(id)));

	remap_start(fcinfo, mapping, domev_argument_flag(fcinfo, 2), &remap);
	remap.of_type = remap.mapping->event_type;
	domev_params_add_string(&params, mapping);
	domev_params_add(&params, UUIDOID, id, false);
	remap_found(&remap, psprintf(COLUMNS_OF_FAILURE " AND f.event_id OPERATOR(pg_catalog.=) $2 %s",
								 remap.dry_run ? "" : "FOR UPDATE"), &params);
	if (remap.found == 0)
		remap_found(&remap, COLUMNS_OF_JOURNAL(RESULTS_OF_ONE) " AND o.event_id OPERATOR(pg_catalog.=) $2"
					" AND o.recorded_at OPERATOR(pg_catalog.>=) (domev.time_of_id($2) OPERATOR(pg_catalog.-) '1 minute'::pg_catalog.interval)"
					" AND o.recorded_at OPERATOR(pg_catalog.<=) (domev.time_of_id($2) OPERATOR(pg_catalog.+) '1 hour'::pg_catalog.interval)"
					" LIMIT 1", &params);
	if (remap.found == 0)
		remap_found(&remap, COLUMNS_OF_JOURNAL(RESULTS_OF_ONE) " AND o.event_id OPERATOR(pg_catalog.=) $2 LIMIT 1", &params);
	if (remap.found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event %s does not exist", DatumGetCString(DirectFunctionCall1(uuid_out, id))),
				 errdetail("It is neither in domev.failed_mapping for this mapping nor a domain event in domev.outbox.")));
	return (Datum) 0;
}

static void
remap_start(FunctionCallInfo fcinfo, const char *mapping, bool dry_run, Remap *remap)
{
	if (dry_run)
		domev_emit_check_trial();
	else
	{
		domev_emit_check_circumstances(false);

		/*
		 * What will be written is locked before it is read: REINDEX comes
		 * before or after, not in between.
		 */
		table_close(domev_catalog_open("failed_mapping", RowExclusiveLock), NoLock);
		table_close(domev_catalog_open("remapped", RowExclusiveLock), NoLock);
	}
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	memset(remap, 0, sizeof(Remap));
	remap->dry_run = dry_run;
	remap->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	domev_registry_refresh();
	remap->mapping = find_mapping(mapping);
}

static DomevMapping *
find_mapping(const char *name)
{
	DomevMappingRow *row = domev_catalog_mapping(name, NULL);
	const DomevEventType *type = row ? domev_registry_event_type(row->event_type) : NULL;
	DomevMapping *mapping = type ? domev_registry_mapping(type, name) : NULL;

	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("mapping \"%s\" does not exist", name),
				 errhint("Register it with domev.create_mapping; domev.mappings lists those that exist.")));
	if (mapping == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("mapping \"%s\" is disabled", name),
				 errhint("Enable it with domev.alter_mapping(..., enabled => true).")));
	return mapping;
}

/* ----------------------------------------------------------------
 *		Events
 * ----------------------------------------------------------------
 */

/*
 * Maps what the query finds.  It is read as the owner of domev's tables, the
 * mapping starts from the caller.
 */
static void
remap_found(Remap *remap, const char *sql, DomevParams *params)
{
	DomevCaller caller;
	Portal volatile portal = NULL;

	domev_registry_pin();
	PG_TRY();
	{
		SPI_connect();
		remap->context = AllocSetContextCreate(CurrentMemoryContext, "domev remap",
											   ALLOCSET_DEFAULT_SIZES);
		domev_statement_enter(&caller);
		portal = SPI_cursor_open_with_args(NULL, sql, params->count, params->types, params->values,
										   params->nulls, false, 0);
		for (;;)
		{
			SPI_cursor_fetch(portal, true, BATCH);
			if (SPI_processed == 0)
				break;
			remap->found += SPI_processed;
			domev_statement_leave(&caller);

			/*
			 * A mapping may know its name, and must not close it, nor fetch
			 * from it.
			 */
			MarkPortalActive(portal);
			remap_batch(remap, SPI_tuptable, SPI_processed);
			portal->status = PORTAL_READY;
			domev_statement_enter(&caller);
		}
		SPI_cursor_close(portal);
		domev_statement_leave(&caller);
		SPI_finish();
	}
	PG_CATCH();
	{
		/* PostgreSQL does not drop those that are active. */
		if (portal != NULL && portal->status == PORTAL_ACTIVE)
			MarkPortalFailed(portal);
		domev_registry_unpin();
		PG_RE_THROW();
	}
	PG_END_TRY();
	domev_registry_unpin();
}

static void
remap_batch(Remap *remap, SPITupleTable *table, uint64 count)
{
	for (uint64 i = 0; i < count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(remap->context);

		CHECK_FOR_INTERRUPTS();
		remap_row(remap, table->vals[i], table->tupdesc);
		MemoryContextSwitchTo(old);
		MemoryContextReset(remap->context);
	}
	SPI_freetuptable(table);
}

static void
remap_row(Remap *remap, HeapTuple tuple, TupleDesc tupdesc)
{
	DomevDomainEvent domain;
	bool		published = get_event(tuple, tupdesc, &domain);

	check_event(&domain);
	if (remap->of_type != NULL && strcmp(domain.event_type, remap->of_type) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("event is of type \"%s\", but mapping \"%s\" is of type \"%s\"",
						domain.event_type, remap->mapping->name, remap->of_type),
				 errhint("To map events of another type, name it: domev.remap(mapping, since => ..., event_type => ...).")));
	if (remap->dry_run)
		try_event(remap, &domain, published);
	else if (published || !claim(remap, &domain))
	{
		/*
		 * What another session has published meanwhile may have failed here
		 * before.
		 */
		domev_failure_forget(remap->mapping->name, &domain.event_id);
		put_row(remap, &domain, "skipped", 0, NULL);
	}
	else
		remap_event(remap, &domain);
}

/* Returns whether the mapping has published it. */
static bool
get_event(HeapTuple tuple, TupleDesc tupdesc, DomevDomainEvent *domain)
{
	bool		isnull;
	Datum		value;

	memset(domain, 0, sizeof(DomevDomainEvent));
	domain->event_id = *DatumGetUUIDP(SPI_getbinval(tuple, tupdesc, EVENT_ID, &isnull));
	domain->event_type = SPI_getvalue(tuple, tupdesc, EVENT_TYPE);
	domain->aggregate_type = SPI_getvalue(tuple, tupdesc, AGGREGATE_TYPE);
	domain->aggregate_id = SPI_getvalue(tuple, tupdesc, AGGREGATE_ID);
	value = SPI_getbinval(tuple, tupdesc, AGGREGATE_VERSION, &isnull);
	domain->has_aggregate_version = !isnull;
	domain->aggregate_version = isnull ? 0 : DatumGetInt64(value);
	domain->payload = DatumGetJsonbP(SPI_getbinval(tuple, tupdesc, PAYLOAD, &isnull));
	value = SPI_getbinval(tuple, tupdesc, HEADERS, &isnull);
	domain->headers = isnull ? NULL : DatumGetJsonbP(value);
	domain->occurred_at = DatumGetTimestampTz(SPI_getbinval(tuple, tupdesc, OCCURRED_AT, &isnull));
	return DatumGetBool(SPI_getbinval(tuple, tupdesc, PUBLISHED, &isnull));
}

/* A member of pg_write_all_data may have written what emit would have refused. */
static void
check_event(const DomevDomainEvent *domain)
{
	DomevRaised raised = {
		.event_type = domain->event_type,
		.aggregate_id = domain->aggregate_id,
		.headers = domain->headers,
		.occurred_at = domain->occurred_at
	};

	domev_emit_check_raised(&raised);
}

static void
try_event(Remap *remap, const DomevDomainEvent *domain, bool published)
{
	List	   *translations = NIL;
	ErrorData  *error;

	if (published)
		put_row(remap, domain, "skipped", 0, NULL);
	else if (domev_translation_try(remap->mapping, domain, domev_translation_datum(domain),
								   &translations, &error))
		put_row(remap, domain, "published", list_length(translations), NULL);
	else
		put_row(remap, domain, "failed", 0, describe(error));
}

/* The event is claimed. */
static void
remap_event(Remap *remap, const DomevDomainEvent *domain)
{
	Datum		datum = domev_translation_datum(domain);
	List	   *translations = NIL;
	ErrorData  *error;
	DomevOutbox *outbox;

	if (!domev_translation_try(remap->mapping, domain, datum, &translations, &error))
	{
		release(remap, domain);
		domev_failure_record(remap->mapping->name, datum, &domain->event_id, error);
		put_row(remap, domain, "failed", 0, describe(error));
		return;
	}
	outbox = domev_outbox_open();
	domev_translation_put(outbox, translations);
	domev_outbox_close(outbox);
	domev_failure_forget(remap->mapping->name, &domain->event_id);
	put_row(remap, domain, "published", list_length(translations), NULL);
}

static char *
describe(const ErrorData *error)
{
	return psprintf("%s: %s", unpack_sql_state(error->sqlerrcode),
					error->message ? error->message : "");
}

/* False: another session has mapped it meanwhile.  Waits for one that is about to. */
static bool
claim(Remap *remap, const DomevDomainEvent *domain)
{
	DomevParams params = {0};

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(&domain->event_id), false);
	domev_params_add_string(&params, remap->mapping->name);

	/*
	 * In the order of a session that tries failures again, which locks them
	 * first, or the two may deadlock.
	 */
	domev_statement_execute("SELECT FROM domev.failed_mapping WHERE event_id OPERATOR(pg_catalog.=) $1"
							" AND mapping OPERATOR(pg_catalog.=) $2 FOR UPDATE", &params);
	return domev_statement_execute("INSERT INTO domev.remapped (event_id, mapping, xact_id, remapped_at)"
								   " VALUES ($1, $2, pg_catalog.pg_current_xact_id(), pg_catalog.clock_timestamp())"
								   " ON CONFLICT DO NOTHING", &params) == 1;
}

/* The mapping has failed once more. */
static void
release(Remap *remap, const DomevDomainEvent *domain)
{
	DomevParams params = {0};

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(&domain->event_id), false);
	domev_params_add_string(&params, remap->mapping->name);
	domev_statement_execute("DELETE FROM domev.remapped WHERE event_id OPERATOR(pg_catalog.=) $1"
							" AND mapping OPERATOR(pg_catalog.=) $2", &params);
}

/* In the order of the attributes of domev.remapped_event. */
static void
put_row(Remap *remap, const DomevDomainEvent *domain, const char *outcome, int events,
		const char *error)
{
	Datum		values[] = {
		UUIDPGetDatum(&domain->event_id), CStringGetTextDatum(outcome), Int32GetDatum(events),
		error ? CStringGetTextDatum(error) : (Datum) 0
	};
	bool		nulls[] = {false, false, false, error == NULL};

	tuplestore_putvalues(remap->rsinfo->setResult, remap->rsinfo->setDesc, values, nulls);
}
