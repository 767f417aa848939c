/*-------------------------------------------------------------------------
 *
 * emit.c
 *	  What happens when an event is raised?
 *
 * In this order: refuse where it cannot be; check what was given, ask the
 * registry, and bring it into its final form; keep the domain event; run the
 * mappings in the order of their names and publish what they return.  All in
 * the transaction of the caller, so all or nothing.
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
#include "deferral.h"
#include "emit.h"
#include "headers.h"
#include "mapping.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "right.h"
#include "transaction.h"
#include "translation.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"

static const DomevEventType *find_event_type(const char *name);
static void build_domain_event(const DomevRaised *raised, const DomevEventType *type,
							   DomevDomainEvent *domain, DomevEvent *event);
static void keep_events(const DomevEventType *type, const DomevDomainEvent *domain,
						DomevEvent *event);
static void keep_domain_event(DomevOutbox *outbox, const DomevEventType *type,
							  DomevEvent *event);
static void run_mappings(DomevOutbox *outbox, const DomevEventType *type,
						 const DomevDomainEvent *domain);
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
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	domev_emit_check_circumstances(false);
	domev_emit_get_arguments(fcinfo, &raised);
	*result = domev_emit_event(&raised);
	PG_RETURN_UUID_P(result);
}

/* The arguments of emit and preview, which have the same forms. */
void
domev_emit_get_arguments(FunctionCallInfo fcinfo, DomevRaised *raised)
{
	Oid		   *argtypes = fcinfo->flinfo->fn_extra;

	if (argtypes == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		int			nargs;

		get_func_signature(fcinfo->flinfo->fn_oid, &argtypes, &nargs);
		fcinfo->flinfo->fn_extra = argtypes;
		MemoryContextSwitchTo(old);
	}
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(6))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of an event must not be NULL",
						PG_ARGISNULL(0) ? "event_type" : PG_ARGISNULL(1) ? "aggregate_id" :
						PG_ARGISNULL(2) ? "payload" : "occurred_at")));

	raised->event_type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	raised->aggregate_id = get_aggregate_id(fcinfo, argtypes[1]);
	raised->payload = get_payload(fcinfo, argtypes[2]);
	raised->headers = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	raised->has_aggregate_version = !PG_ARGISNULL(4);
	raised->aggregate_version = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4);
	raised->event_id = PG_ARGISNULL(5) ? NULL : PG_GETARG_UUID_P(5);
	raised->claim_id = raised->event_id != NULL;
	raised->occurred_at = PG_GETARG_TIMESTAMPTZ(6);
	raised->role = GetUserId();
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
	DomevDomainEvent domain;
	DomevEvent	event;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "domev emit",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	domev_registry_refresh();
	domev_registry_pin();
	PG_TRY();
	{
		const DomevEventType *type = domev_emit_build(raised, &domain, &event);

		if (!raised->claim_id || domev_outbox_claim(raised->event_id, raised->event_type))
			keep_events(type, &domain, &event);
	}
	PG_FINALLY();
	{
		domev_registry_unpin();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return domain.event_id;
}

/*
 * Checks what was raised and brings it into its final form: as mappings take
 * it, and as it is kept.  The strings are the caller's, the registry's, or
 * palloc'd.
 */
const DomevEventType *
domev_emit_build(const DomevRaised *raised, DomevDomainEvent *domain, DomevEvent *event)
{
	const DomevEventType *type;

	domev_emit_check_raised(raised);
	type = find_event_type(raised->event_type);
	if (OidIsValid(raised->role) &&
		!domev_right_is_known(type->may_emit, DOMEV_EMIT, type->name, raised->role))
		domev_right_raise_denied(DOMEV_EMIT, type->name, raised->role);
	build_domain_event(raised, type, domain, event);
	domev_outbox_check(event);
	return type;
}

/*
 * Where no event can be raised.  The mapping comes first, as it implies two of
 * the others.  PostgreSQL applies what was replicated in a restricted
 * operation of its own; captures may emit there, if somebody has enabled their
 * triggers for it.
 */
void
domev_emit_check_circumstances(bool capture)
{
	if (domev_mapping_running())
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED),
				 errmsg("cannot emit an event inside a mapping"),
				 errdetail("A mapping computes and reads; what it returns is published."),
				 errhint("Return a further integration event, or emit a domain event from the code that emitted this one.")));
	if (InSecurityRestrictedOperation() && !(capture && IsLogicalWorker()))
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

void
domev_emit_check_trial(void)
{
	if (domev_mapping_running())
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED),
				 errmsg("cannot try a mapping inside a mapping")));
	if (IsParallelWorker() || IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot try a mapping during a parallel operation")));
}

/* What can be wrong with an event whatever the registry says. */
void
domev_emit_check_raised(const DomevRaised *raised)
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
build_domain_event(const DomevRaised *raised, const DomevEventType *type,
				   DomevDomainEvent *domain, DomevEvent *event)
{
	memset(domain, 0, sizeof(DomevDomainEvent));
	memset(event, 0, sizeof(DomevEvent));
	if (raised->event_id != NULL)
		domain->event_id = *raised->event_id;
	else
		domev_event_new_id(&domain->event_id);
	domain->event_type = unconstify(char *, (const char *) type->name);
	domain->aggregate_type = unconstify(char *, type->aggregate_type);
	domain->aggregate_id = unconstify(char *, raised->aggregate_id);
	domain->has_aggregate_version = raised->has_aggregate_version;
	domain->aggregate_version = raised->aggregate_version;
	domain->payload = raised->payload;
	domain->headers = domev_headers_merge(domev_headers_context(), raised->headers);
	domain->headers = domev_headers_take_causation(domain->headers, &event->causation_id,
												   &event->has_causation_id);
	domain->occurred_at = raised->occurred_at;

	event->event_id = domain->event_id;
	event->event_type = domev_text(domain->event_type);
	event->topic = domev_text(type->topic ? type->topic->name : NULL);
	event->aggregate_type = domev_text(domain->aggregate_type);
	event->aggregate_id = domev_text(domain->aggregate_id);
	event->has_aggregate_version = domain->has_aggregate_version;
	event->aggregate_version = domain->aggregate_version;
	event->occurred_at = domain->occurred_at;
	event->payload = domev_translation_jsonb_text(domain->payload);
	event->headers = domev_translation_jsonb_text(domain->headers);
}

/* The domain event, and what its mappings make of it. */
static void
keep_events(const DomevEventType *type, const DomevDomainEvent *domain, DomevEvent *event)
{
	DomevOutbox *outbox;

	domev_transaction_check_aggregate(type->aggregate_type, domain->aggregate_id);
	outbox = domev_outbox_open();
	keep_domain_event(outbox, type, event);
	if (type->mappings != NIL)
		run_mappings(outbox, type, domain);
	domev_outbox_close(outbox);
}

/* The domain event itself: on its topic, if it has one, and in the journal. */
static void
keep_domain_event(DomevOutbox *outbox, const DomevEventType *type, DomevEvent *event)
{
	const DomevTopic *topic = type->topic;

	domev_transaction_note(event);
	if (topic != NULL && topic->in_wal)
	{
		domev_outbox_put_message(outbox, event);
		event->topic = domev_text(NULL);
	}
	if (type->keeps_row)
		domev_outbox_put_row(outbox, event);
}

/* Immediate ones now, deferred ones at the end of the transaction. */
static void
run_mappings(DomevOutbox *outbox, const DomevEventType *type, const DomevDomainEvent *domain)
{
	Datum		datum = domev_translation_datum(domain);
	List	   *deferred = NIL;
	ListCell   *lc;

	foreach(lc, type->mappings)
	{
		DomevMapping *mapping = lfirst(lc);

		if (mapping->deferred)
			deferred = lappend(deferred, unconstify(char *, mapping->name));
		else
			domev_translation_publish(outbox, mapping, domain, datum);
	}
	if (deferred != NIL)
		domev_deferral_put(domain, deferred);
}
