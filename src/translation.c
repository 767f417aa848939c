/*-------------------------------------------------------------------------
 *
 * translation.c
 *	  What does a mapping make of a domain event?
 *
 * Runs one mapping and turns what it returns into finished events: with their
 * ids, topics and inherited headers, checked, so that to publish them is no
 * more than to write them down.  Whatever a mapping can do wrong is found
 * here; and what becomes of its error is decided here, by its on_error.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "failure.h"
#include "headers.h"
#include "json.h"
#include "mapping.h"
#include "remnant.h"
#include "transaction.h"
#include "translation.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"

static ErrorData *copy_error(int level, bool two);
static void end_subtransactions(int level, bool two, bool roll_back);
static List *run_mapping(DomevMapping *mapping, const DomevDomainEvent *domain, Datum datum);
static bool may_be_recorded(int sqlerrcode);
static void mapping_context(void *arg);
static void build_event(DomevMapping *mapping, int ordinal, const DomevDomainEvent *domain,
						DomevIntegrationEvent *result, DomevEvent *event);
static void check_produces(DomevMapping *mapping, DomevText event_type);
static const DomevTopic *result_topic(DomevMapping *mapping, DomevIntegrationEvent *result);
static void set_content(DomevEvent *event, DomevIntegrationEvent *result);

/* The domain event as mappings take it, a datum of type domev.domain_event. */
Datum
domev_translation_datum(const DomevDomainEvent *domain)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(domev_registry_domain_event_type(), -1);
	Datum	   *values = palloc0(tupdesc->natts * sizeof(Datum));
	bool	   *nulls = palloc0(tupdesc->natts * sizeof(bool));
	HeapTuple	tuple;

	/* A later version of the extension may have added attributes. */
	Assert(tupdesc->natts >= DOMEV_DOMAIN_EVENT_ATTRIBUTES);
	for (int i = DOMEV_DOMAIN_EVENT_ATTRIBUTES; i < tupdesc->natts; i++)
		nulls[i] = true;

	values[DOMEV_DOMAIN_EVENT_EVENT_ID] = UUIDPGetDatum(&domain->event_id);
	values[DOMEV_DOMAIN_EVENT_EVENT_TYPE] = CStringGetTextDatum(domain->event_type);
	values[DOMEV_DOMAIN_EVENT_AGGREGATE_TYPE] = CStringGetTextDatum(domain->aggregate_type);
	values[DOMEV_DOMAIN_EVENT_AGGREGATE_ID] = CStringGetTextDatum(domain->aggregate_id);
	values[DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION] = Int64GetDatum(domain->aggregate_version);
	nulls[DOMEV_DOMAIN_EVENT_AGGREGATE_VERSION] = !domain->has_aggregate_version;
	values[DOMEV_DOMAIN_EVENT_PAYLOAD] = JsonbPGetDatum(domain->payload);
	values[DOMEV_DOMAIN_EVENT_HEADERS] = JsonbPGetDatum(domain->headers);
	nulls[DOMEV_DOMAIN_EVENT_HEADERS] = domain->headers == NULL;
	values[DOMEV_DOMAIN_EVENT_OCCURRED_AT] = TimestampTzGetDatum(domain->occurred_at);
	tuple = heap_form_tuple(tupdesc, values, nulls);
	ReleaseTupleDesc(tupdesc);
	return HeapTupleGetDatum(tuple);
}

/* ----------------------------------------------------------------
 *		Running
 * ----------------------------------------------------------------
 */

/*
 * What the mapping makes of the event: a list of DomevTranslation *, palloc'd.
 * False and the error, palloc'd, when it failed; errors that are not the
 * mapping's go up all the same.
 *
 * In a subtransaction, for errors, and because what the mapping returned,
 * which is in the caller's memory, shall be all that is left of it: if it is
 * not (remnant.c), the subtransaction is rolled back, too.
 */
bool
domev_translation_try(DomevMapping *mapping, const DomevDomainEvent *domain,
					  Datum datum, List **translations, ErrorData **error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			level = GetCurrentTransactionNestLevel();
	volatile bool succeeded = true;
	DomevRemnant remnant = {NULL};
	instr_time	start;
	bool		counted = domev_stats_begin(&start);

	/*
	 * Before, not to be locked anew for each event; after, as it may be
	 * another one now.
	 */
	domev_mapping_lock(mapping);
	PG_TRY();
	{
		/*
		 * At COMMIT and PREPARE there must be another one around it:
		 * PostgreSQL asserts that what a subtransaction is rolled back to is
		 * not ending.
		 */
		if (mapping->deferred)
			BeginInternalSubTransaction(NULL);
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
		domev_remnant_watch(&remnant);
		*translations = run_mapping(mapping, domain, datum);
		end_subtransactions(level, mapping->deferred, domev_remnant_is_left(&remnant));
	}
	PG_CATCH();
	{
		/*
		 * They must go even if the error goes on: who catches it ends his
		 * own.
		 */
		(void) domev_remnant_is_left(&remnant);
		MemoryContextSwitchTo(context);
		*error = copy_error(level, mapping->deferred);
		FlushErrorState();
		end_subtransactions(level, mapping->deferred, true);
		succeeded = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	domev_mapping_lock(mapping);
	if (counted)
		domev_stats_count(mapping->name, &mapping->stats, start, succeeded);
	if (!succeeded && !may_be_recorded((*error)->sqlerrcode))
		ReThrowError(*error);
	return succeeded;
}

/*
 * The error, palloc'd, before the subtransactions end: if it was thrown again,
 * parts of it are in their memory.  They end as well when there is no memory
 * for the copy.
 */
static ErrorData *
copy_error(int level, bool two)
{
	ErrorData  *error = NULL;

	PG_TRY();
	{
		error = CopyErrorData();
	}
	PG_CATCH();
	{
		end_subtransactions(level, two, true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return error;
}

/* Those that there are.  In the outer one of two nothing was done. */
static void
end_subtransactions(int level, bool two, bool roll_back)
{
	if (GetCurrentTransactionNestLevel() == level + (two ? 2 : 1))
	{
		if (roll_back)
			RollbackAndReleaseCurrentSubTransaction();
		else
			ReleaseCurrentSubTransaction();
	}
	if (GetCurrentTransactionNestLevel() > level)
		ReleaseCurrentSubTransaction();
}

/* In the subtransaction.  Strings may be the domain event's or the registry's. */
static List *
run_mapping(DomevMapping *mapping, const DomevDomainEvent *domain, Datum datum)
{
	ErrorContextCallback context;
	List	   *translations = NIL;
	ListCell   *lc;
	int			ordinal = 0;

	context.callback = mapping_context;
	context.arg = mapping;
	context.previous = error_context_stack;
	error_context_stack = &context;

	foreach(lc, domev_mapping_run(mapping, datum))
	{
		DomevIntegrationEvent *result = lfirst(lc);
		DomevTranslation *translation = palloc(sizeof(DomevTranslation));

		translation->topic = result_topic(mapping, result);
		build_event(mapping, ordinal++, domain, result, &translation->event);
		translation->event.topic = domev_text(translation->topic->name);
		domev_outbox_check(&translation->event);
		translations = lappend(translations, translation);
	}
	error_context_stack = context.previous;
	return translations;
}

static void
mapping_context(void *arg)
{
	DomevMapping *mapping = arg;

	errcontext("mapping \"%s\" of event type \"%s\"", mapping->name, mapping->event_type);
}

/*
 * Is the error one of the mapping, not of the server or the transaction?  A
 * cancelled query must end, a server that shuts down must not be held up, a
 * serialization failure or deadlock is to be retried as a whole, and what is
 * out of memory or disk, or broken, must not go on.
 */
static bool
may_be_recorded(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return true;
	}
}

/* Runs the mapping and publishes what it made of the event, or keeps its failure. */
void
domev_translation_publish(DomevOutbox *outbox, DomevMapping *mapping,
						  const DomevDomainEvent *domain, Datum datum)
{
	List	   *translations;
	ErrorData  *error;

	if (!domev_translation_try(mapping, domain, datum, &translations, &error))
	{
		if (!mapping->records_errors)
			ReThrowError(error);
		domev_failure_record(mapping->name, datum, &domain->event_id, error);
		return;
	}
	domev_translation_put(outbox, translations);
}

/* Publishes events that are ready. */
void
domev_translation_put(DomevOutbox *outbox, List *translations)
{
	ListCell   *lc;

	foreach(lc, translations)
	{
		DomevTranslation *translation = lfirst(lc);

		domev_outbox_publish(outbox, translation->topic, &translation->event);
		domev_transaction_note(&translation->event);
	}
}

/* ----------------------------------------------------------------
 *		What it returned
 * ----------------------------------------------------------------
 */

static void
build_event(DomevMapping *mapping, int ordinal, const DomevDomainEvent *domain,
			DomevIntegrationEvent *result, DomevEvent *event)
{
	memset(event, 0, sizeof(DomevEvent));
	event->aggregate_type = domev_text(domain->aggregate_type);
	event->aggregate_id = domev_text(domain->aggregate_id);
	event->has_aggregate_version = domain->has_aggregate_version;
	event->aggregate_version = domain->aggregate_version;
	event->occurred_at = domain->occurred_at;
	event->mapping = domev_text(mapping->name);
	domev_event_derive_id(&event->event_id, &domain->event_id, event->mapping, ordinal);
	event->has_causation_id = true;
	event->causation_id = domain->event_id;

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
	event->headers = domev_translation_jsonb_text(domev_headers_merge(domain->headers, result->headers));
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
	if (topic != mapping->last_topic)
		mapping->may_publish.role = InvalidOid;
	mapping->last_topic = topic;
	if (!domev_right_is_known(&mapping->may_publish, DOMEV_PUBLISH, name, mapping->owner))
		domev_right_raise_denied(DOMEV_PUBLISH, name, mapping->owner);
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
	event->payload = domev_translation_jsonb_text(result->payload);
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
		domev_event_check_uri("data schema", event->data_schema, true);
}

/* Its text, palloc'd; absent for NULL. */
DomevText
domev_translation_jsonb_text(Jsonb *jsonb)
{
	DomevText	result = {NULL, 0};
	StringInfoData buffer;

	if (jsonb != NULL)
	{
		initStringInfo(&buffer);
		domev_json_append(&buffer, jsonb);
		result.data = buffer.data;
		result.size = buffer.len;
	}
	return result;
}
