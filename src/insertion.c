/*-------------------------------------------------------------------------
 *
 * insertion.c
 *	  How does a row inserted into an event type's view become an event?
 *
 * By the trigger on the view (view.c), so that whatever can only write rows,
 * such as an object-relational mapper, can emit.  A column that is NULL is
 * taken as not given, as such a mapper writes all columns.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "emit.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"

/* The columns of an event type's view, in the order of view.c. */
enum
{
	VIEW_EVENT_ID, VIEW_AGGREGATE_ID, VIEW_AGGREGATE_VERSION, VIEW_PAYLOAD, VIEW_HEADERS,
	VIEW_OCCURRED_AT, VIEW_RECORDED_AT, VIEW_COLUMNS
};

static void check_call(FunctionCallInfo fcinfo);
static void get_row(TriggerData *trigger, Datum *values, bool *nulls);

PG_FUNCTION_INFO_V1(domev_emit_inserted);

/*
 * The trigger.  PostgreSQL has seen to the right: that of the caller, or of
 * the owner of a view on top of this one.  What it returns is for RETURNING.
 */
Datum
domev_emit_inserted(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	DomevRaised raised = {0};
	Datum		values[VIEW_COLUMNS];
	bool		nulls[VIEW_COLUMNS];
	bool		replace[VIEW_COLUMNS] = {0};
	pg_uuid_t	event_id;

	check_call(fcinfo);
	domev_emit_check_circumstances(false);
	get_row(trigger, values, nulls);
	raised.event_type = RelationGetRelationName(trigger->tg_relation);
	raised.aggregate_id = TextDatumGetCString(values[VIEW_AGGREGATE_ID]);
	raised.payload = DatumGetJsonbP(values[VIEW_PAYLOAD]);
	raised.headers = nulls[VIEW_HEADERS] ? NULL : DatumGetJsonbP(values[VIEW_HEADERS]);
	raised.has_aggregate_version = !nulls[VIEW_AGGREGATE_VERSION];
	if (raised.has_aggregate_version)
		raised.aggregate_version = DatumGetInt64(values[VIEW_AGGREGATE_VERSION]);
	raised.event_id = nulls[VIEW_EVENT_ID] ? NULL : DatumGetUUIDP(values[VIEW_EVENT_ID]);
	raised.claim_id = raised.event_id != NULL;
	raised.occurred_at = DatumGetTimestampTz(values[VIEW_OCCURRED_AT]);

	event_id = domev_emit_event(&raised);
	values[VIEW_EVENT_ID] = UUIDPGetDatum(&event_id);
	nulls[VIEW_EVENT_ID] = false;
	replace[VIEW_EVENT_ID] = replace[VIEW_PAYLOAD] = replace[VIEW_OCCURRED_AT] = true;
	PG_RETURN_POINTER(heap_modify_tuple(trigger->tg_trigtuple,
										RelationGetDescr(trigger->tg_relation),
										values, nulls, replace));
}

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_INSTEAD(trigger->tg_event) &&
		TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
		RelationGetNamespace(trigger->tg_relation) == get_namespace_oid(DOMEV_EVENT_SCHEMA, true) &&
		RelationGetDescr(trigger->tg_relation)->natts == VIEW_COLUMNS)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"%s\" was not called by its trigger", "emit_inserted"),
			 errhint("Only the views that domev.create_event_type makes have it.")));
}

/* The row, with its defaults. */
static void
get_row(TriggerData *trigger, Datum *values, bool *nulls)
{
	heap_deform_tuple(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation), values, nulls);
	if (nulls[VIEW_AGGREGATE_ID])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of an event must not be NULL", "aggregate_id")));
	if (!nulls[VIEW_RECORDED_AT])
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("cannot insert a value into column \"%s\"", "recorded_at"),
				 errdetail("It is the time when the event is recorded.")));
	if (nulls[VIEW_PAYLOAD])
		values[VIEW_PAYLOAD] = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	if (nulls[VIEW_OCCURRED_AT])
		values[VIEW_OCCURRED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[VIEW_PAYLOAD] = nulls[VIEW_OCCURRED_AT] = false;
}
