/*-------------------------------------------------------------------------
 *
 * emit.c
 *	  What happens when an event is raised?
 *
 * In this order: refuse where it cannot be; check what was given and bring
 * it into its final form; ask the registry; keep the domain event; run the
 * mappings in the order of their names and keep what they return.  All in the
 * transaction of the caller, so all or nothing.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "emit.h"
#include "fmgr.h"
#include "headers.h"
#include "mapping.h"
#include "miscadmin.h"
#include "outbox.h"
#include "registry.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"

/* An emit in progress.  Lives in a memory context of its own. */
typedef struct Emit
{
	const DomevEventType *type;
	DomevOutbox *outbox;
	DomevEvent	event;			/* the domain event */
	Jsonb	   *payload;
	Jsonb	   *headers;		/* without causationid; NULL: none */
} Emit;

static void check_circumstances(void);
static void check_raised(const DomevRaised *raised);
static const DomevEventType *find_event_type(const char *name);
static void build_domain_event(Emit *emit, const DomevRaised *raised);
static void keep_events(Emit *emit);
static void keep_domain_event(Emit *emit);
static Datum domain_event_datum(Emit *emit);
static void run_mapping(Emit *emit, DomevMapping *mapping, Datum domain_event);
static void build_integration_event(Emit *emit, DomevMapping *mapping, int ordinal,
									DomevIntegrationEvent *result, DomevEvent *event);
static void check_produces(DomevMapping *mapping, DomevText event_type);
static const DomevTopic *result_topic(DomevMapping *mapping, DomevIntegrationEvent *result);
static void set_content(DomevEvent *event, DomevIntegrationEvent *result);
static DomevText jsonb_text(Jsonb *jsonb);
static void mapping_context(void *arg);
static char *get_aggregate_id(FunctionCallInfo fcinfo, Oid type);
static Jsonb *get_payload(FunctionCallInfo fcinfo, Oid type);

/* ----------------------------------------------------------------
 *		domev.emit
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_emit);

/* All forms of domev.emit, which differ in the types of aggregate id and payload. */
Datum
domev_emit(PG_FUNCTION_ARGS)
{
	DomevRaised raised = {0};
	Oid		   *argtypes = fcinfo->flinfo->fn_extra;
	pg_uuid_t  *result;

	if (argtypes == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		int			nargs;

		get_func_signature(fcinfo->flinfo->fn_oid, &argtypes, &nargs);
		fcinfo->flinfo->fn_extra = argtypes;
		MemoryContextSwitchTo(old);
	}
	check_circumstances();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(6))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of an event must not be NULL",
						PG_ARGISNULL(0) ? "event_type" : PG_ARGISNULL(1) ? "aggregate_id" :
						PG_ARGISNULL(2) ? "payload" : "occurred_at")));

	raised.event_type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	raised.aggregate_id = get_aggregate_id(fcinfo, argtypes[1]);
	raised.payload = get_payload(fcinfo, argtypes[2]);
	raised.headers = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	raised.has_aggregate_version = !PG_ARGISNULL(4);
	raised.aggregate_version = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4);
	raised.event_id = PG_ARGISNULL(5) ? NULL : PG_GETARG_UUID_P(5);
	raised.claim_id = raised.event_id != NULL;
	raised.occurred_at = PG_GETARG_TIMESTAMPTZ(6);

	result = palloc(sizeof(pg_uuid_t));
	*result = domev_emit_event(&raised);
	PG_RETURN_UUID_P(result);
}

static char *
get_aggregate_id(FunctionCallInfo fcinfo, Oid type)
{
	switch (type)
	{
		case INT8OID:
			return DatumGetCString(DirectFunctionCall1(int8out, PG_GETARG_DATUM(1)));
		case UUIDOID:
			return DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(1)));
		default:
			return text_to_cstring(PG_GETARG_TEXT_PP(1));
	}
}

static Jsonb *
get_payload(FunctionCallInfo fcinfo, Oid type)
{
	char	   *string;

	if (type == JSONBOID)
		return PG_GETARG_JSONB_P(2);
	string = text_to_cstring(PG_GETARG_TEXT_PP(2));
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(string)));
}

/* ----------------------------------------------------------------
 *		Raising an event
 * ----------------------------------------------------------------
 */

/*
 * Raises an event and returns its id.  An id to be claimed that was claimed
 * before: nothing more is done.
 */
pg_uuid_t
domev_emit_event(const DomevRaised *raised)
{
	Emit		emit = {0};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "domev emit",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	check_raised(raised);
	domev_registry_refresh();
	domev_registry_pin();
	PG_TRY();
	{
		emit.type = find_event_type(raised->event_type);
		build_domain_event(&emit, raised);
		if (!raised->claim_id || domev_outbox_claim(raised->event_id))
			keep_events(&emit);
	}
	PG_FINALLY();
	{
		domev_registry_unpin();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return emit.event.event_id;
}

/* Where no event can be raised.  The mapping comes first, as it implies two of the others. */
static void
check_circumstances(void)
{
	if (domev_mapping_running())
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED),
				 errmsg("cannot emit an event inside a mapping"),
				 errdetail("A mapping computes and reads; what it returns is published."),
				 errhint("Return a further integration event, or emit a domain event from the code that emitted this one.")));
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot emit an event within security-restricted operation"),
				 errdetail("Index expressions, ANALYZE and REFRESH MATERIALIZED VIEW run so; they may run any number of times."),
				 errhint("Emit from the statement or trigger that changes the aggregate.")));
	if (IsParallelWorker() || IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot emit an event during a parallel operation"),
				 errdetail("Parallel workers cannot write."),
				 errhint("A function that emits must be declared PARALLEL UNSAFE.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot emit an event during recovery"),
				 errdetail("This server is a standby."),
				 errhint("Emit on the primary server.")));
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot emit an event in a read-only transaction"),
				 errdetail("The event would have to be written."),
				 errhint("Start the transaction with READ WRITE.")));
}

/* What can be wrong with an event whatever the registry says. */
static void
check_raised(const DomevRaised *raised)
{
	domev_event_check_name("event type", domev_text(raised->event_type), DOMEV_MAX_NAME);
	domev_event_check_name("aggregate id", domev_text(raised->aggregate_id), DOMEV_MAX_KEY);
	domev_event_check_time(raised->occurred_at);
	if (raised->headers != NULL)
		domev_headers_check(raised->headers, true);
}

static const DomevEventType *
find_event_type(const char *name)
{
	const DomevEventType *type = domev_registry_event_type(name);

	if (type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event type \"%s\" does not exist", name),
				 errhint("Register it with domev.create_event_type; domev.event_types lists those that exist.")));
	return type;
}

static void
build_domain_event(Emit *emit, const DomevRaised *raised)
{
	DomevEvent *event = &emit->event;

	if (raised->event_id != NULL)
		event->event_id = *raised->event_id;
	else
		domev_event_new_id(&event->event_id);
	event->event_type = domev_text(emit->type->name);
	event->aggregate_type = domev_text(emit->type->aggregate_type);
	event->aggregate_id = domev_text(raised->aggregate_id);
	event->has_aggregate_version = raised->has_aggregate_version;
	event->aggregate_version = raised->aggregate_version;
	event->occurred_at = raised->occurred_at;

	emit->payload = raised->payload;
	event->payload = jsonb_text(raised->payload);
	emit->headers = domev_headers_merge(domev_headers_context(), raised->headers);
	emit->headers = domev_headers_take_causation(emit->headers, &event->causation_id,
												 &event->has_causation_id);
	event->headers = jsonb_text(emit->headers);
}

/* The domain event, and what its mappings make of it. */
static void
keep_events(Emit *emit)
{
	emit->outbox = domev_outbox_open();
	keep_domain_event(emit);
	if (emit->type->mappings != NIL)
	{
		Datum		datum = domain_event_datum(emit);
		ListCell   *lc;

		foreach(lc, emit->type->mappings)
			run_mapping(emit, lfirst(lc), datum);
	}
	domev_outbox_close(emit->outbox);
}

/* The domain event itself: on its topic, if it has one, and in the journal. */
static void
keep_domain_event(Emit *emit)
{
	const DomevTopic *topic = emit->type->topic;
	DomevEvent	event = emit->event;

	domev_outbox_check(emit->outbox, &event);
	if (topic != NULL && topic->in_wal)
	{
		event.topic = domev_text(topic->name);
		domev_outbox_put_message(emit->outbox, &event);
		event.topic = domev_text(NULL);
	}
	else if (topic != NULL)
		event.topic = domev_text(topic->name);
	if (emit->type->keeps_row)
		domev_outbox_put_row(emit->outbox, &event);
}

/* The domain event as mappings take it. */
static Datum
domain_event_datum(Emit *emit)
{
	const DomevEvent *event = &emit->event;
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(domev_catalog_type("domain_event"), -1);
	Datum	   *values = palloc0(tupdesc->natts * sizeof(Datum));
	bool	   *nulls = palloc0(tupdesc->natts * sizeof(bool));
	HeapTuple	tuple;

	/* A later version of the extension may have added attributes. */
	Assert(tupdesc->natts >= DOMEV_DOMAIN_EVENT_ATTRIBUTES);
	for (int i = DOMEV_DOMAIN_EVENT_ATTRIBUTES; i < tupdesc->natts; i++)
		nulls[i] = true;

	values[DOMEV_DOMAIN_EVENT_EVENT_ID] = UUIDPGetDatum(&event->event_id);
	values[DOMEV_DOMAIN_EVENT_EVENT_TYPE] = CStringGetTextDatum(event->event_type.data);
	values[DOMEV_DOMAIN_EVENT_AGGREGATE_TYPE] = CStringGetTextDatum(event->aggregate_type.data);
	values[DOMEV_DOMAIN_EVENT_AGGREGATE_ID] = CStringGetTextDatum(event->aggregate_id.data);
	values[DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION] = Int64GetDatum(event->aggregate_version);
	nulls[DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION] = !event->has_aggregate_version;
	values[DOMEV_DOMAIN_EVENT_PAYLOAD] = JsonbPGetDatum(emit->payload);
	values[DOMEV_DOMAIN_EVENT_HEADERS] = JsonbPGetDatum(emit->headers);
	nulls[DOMEV_DOMAIN_EVENT_HEADERS] = emit->headers == NULL;
	values[DOMEV_DOMAIN_EVENT_OCCURRED_AT] = TimestampTzGetDatum(event->occurred_at);
	tuple = heap_form_tuple(tupdesc, values, nulls);
	ReleaseTupleDesc(tupdesc);
	return HeapTupleGetDatum(tuple);
}

/* ----------------------------------------------------------------
 *		Mapping it
 * ----------------------------------------------------------------
 */

/* Runs one mapping and keeps what it returns. */
static void
run_mapping(Emit *emit, DomevMapping *mapping, Datum domain_event)
{
	ErrorContextCallback context;
	List	   *results;
	ListCell   *lc;
	int			ordinal = 0;

	context.callback = mapping_context;
	context.arg = mapping;
	context.previous = error_context_stack;
	error_context_stack = &context;

	results = domev_mapping_run(mapping, domain_event);
	foreach(lc, results)
	{
		DomevIntegrationEvent *result = lfirst(lc);
		const DomevTopic *topic = result_topic(mapping, result);
		DomevEvent	event = {0};

		build_integration_event(emit, mapping, ordinal++, result, &event);
		event.topic = domev_text(topic->name);
		domev_outbox_check(emit->outbox, &event);
		if (topic->in_wal)
			domev_outbox_put_message(emit->outbox, &event);
		else
			domev_outbox_put_row(emit->outbox, &event);
	}
	error_context_stack = context.previous;
}

static void
mapping_context(void *arg)
{
	DomevMapping *mapping = arg;

	errcontext("mapping \"%s\" of event type \"%s\"", mapping->name, mapping->event_type);
}

static void
build_integration_event(Emit *emit, DomevMapping *mapping, int ordinal,
						DomevIntegrationEvent *result, DomevEvent *event)
{
	*event = emit->event;
	event->mapping = domev_text(mapping->name);
	domev_event_derive_id(&event->event_id, &emit->event.event_id, event->mapping, ordinal);
	event->has_causation_id = true;
	event->causation_id = emit->event.event_id;

	if (result->event_type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("event_type of an integration event must not be NULL")));
	event->event_type = domev_text(result->event_type);
	domev_event_check_name("event type", event->event_type, DOMEV_MAX_INTEGRATION_TYPE);
	check_produces(mapping, event->event_type);

	event->key = domev_text(result->key);
	if (result->key != NULL)
		domev_event_check_name("key", event->key, DOMEV_MAX_KEY);
	set_content(event, result);
	if (result->headers != NULL)
		domev_headers_check(result->headers, false);
	event->headers = jsonb_text(domev_headers_merge(emit->headers, result->headers));
}

static void
check_produces(DomevMapping *mapping, DomevText event_type)
{
	ListCell   *lc;

	if (mapping->produces == NIL)
		return;
	foreach(lc, mapping->produces)
	{
		if (strcmp(lfirst(lc), event_type.data) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("mapping returned an event of type \"%s\", which it is not registered to produce",
					event_type.data),
			 errhint("Add the type to \"produces\" with domev.alter_mapping.")));
}

/* The topic that the result names, else the mapping's. */
static const DomevTopic *
result_topic(DomevMapping *mapping, DomevIntegrationEvent *result)
{
	const char *name = result->topic ? result->topic : mapping->topic;
	const DomevTopic *topic;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("integration event has no topic"),
				 errdetail("Neither the mapping function nor the mapping names one."),
				 errhint("Give make_integration_event a topic, or the mapping with domev.alter_mapping.")));
	topic = domev_registry_topic(name);
	if (topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not exist", name),
				 errhint("Register it with domev.create_topic; domev.topics lists those that exist.")));
	return topic;
}

/* Payload or bytes, and what they are. */
static void
set_content(DomevEvent *event, DomevIntegrationEvent *result)
{
	if (result->payload != NULL && result->data != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("integration event has both a payload and data"),
				 errhint("Return JSON as payload, or the bytes of another format as data.")));
	event->payload = jsonb_text(result->payload);
	if (result->data != NULL)
	{
		event->data.data = VARDATA_ANY(result->data);
		event->data.size = VARSIZE_ANY_EXHDR(result->data);
	}
	event->content_type = domev_text(result->content_type);
	if (result->content_type != NULL)
		domev_event_check_content_type(event->content_type, result->payload != NULL);
	event->data_schema = domev_text(result->data_schema);
	if (result->data_schema != NULL)
		domev_event_check_uri("data schema", event->data_schema);
}

/* Its text, palloc'd; absent for NULL. */
static DomevText
jsonb_text(Jsonb *jsonb)
{
	DomevText	result = {NULL, 0};
	StringInfoData buffer;

	if (jsonb != NULL)
	{
		initStringInfo(&buffer);
		JsonbToCString(&buffer, &jsonb->root, VARSIZE(jsonb));
		result.data = buffer.data;
		result.size = buffer.len;
	}
	return result;
}
