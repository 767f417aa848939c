/*-------------------------------------------------------------------------
 *
 * selection.c
 *	  Which recorded events are meant, and may the caller publish them?
 *
 * Rows of the outbox by topic, type, aggregate and time.  Topics and types
 * are globs, parsed by what parses the plugin's options and matched, as
 * there, as patterns of LIKE; but here by PostgreSQL's executor, so that it
 * counts and sorts nothing that is not meant.
 *
 * To publish an event again takes the right to publish to the topic; to
 * publish what was kept in the journal only, the right to read it as well.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "argument.h"
#include "catalog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "options.h"
#include "outbox.h"
#include "right.h"
#include "selection.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"

/* In the order of add_params.  What has no topic and is no domain event was put there by a superuser. */
#define CONDITION \
	" FROM domev.outbox AS o WHERE (o.topic IS NOT NULL OR ($3 IS NOT NULL AND o.mapping IS NULL))" \
	" AND ($1 IS NULL OR o.recorded_at OPERATOR(pg_catalog.>=) $1)" \
	" AND ($2 IS NULL OR o.recorded_at OPERATOR(pg_catalog.<) $2)" \
	" AND ($4 IS NULL OR COALESCE(o.topic, $3) OPERATOR(pg_catalog.~~) ANY ($4))" \
	" AND ($5 IS NULL OR o.event_type OPERATOR(pg_catalog.~~) ANY ($5))" \
	" AND ($6 IS NULL OR o.aggregate_type OPERATOR(pg_catalog.=) $6)" \
	" AND ($7 IS NULL OR o.aggregate_id OPERATOR(pg_catalog.=) $7)" \
	" AND ($8 IS NULL OR o.xact_id OPERATOR(pg_catalog.>=) $8)"

#define SIZE_OF(column)	"COALESCE(pg_catalog.pg_column_size(o." column "), 0)"

static void add_params(DomevParams *params, const DomevSelection *selection,
					   const TimestampTz *since, const TimestampTz *until);
static ArrayType *make_patterns(const char *name, ArrayType *globs);
static void check_journal_topic(const char *topic);
static void check_scope(const DomevSelectionGroup *group);
static DomevSelectionGroup *get_group(HeapTuple tuple, TupleDesc tupdesc);
static int64 get_int64(HeapTuple tuple, TupleDesc tupdesc, int column);

/* Checks what the caller gave, and makes of it what is needed; in the current memory context. */
void
domev_selection_prepare(DomevSelection *selection)
{
	selection->topic_patterns = make_patterns("topics", selection->topics);
	selection->type_patterns = make_patterns("event_types", selection->event_types);
	if (selection->journal_topic != NULL)
		check_journal_topic(selection->journal_topic);
}

/* Each element is what the plugin's option takes. */
static ArrayType *
make_patterns(const char *name, ArrayType *globs)
{
	List	   *patterns = NIL;
	List	   *names = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	ListCell   *lc;

	if (globs == NULL)
		return NULL;
	deconstruct_array(globs, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			patterns = list_concat(patterns, domev_options_parse_globs(name, TextDatumGetCString(elements[i]),
																	   &names));
	}
	elements = palloc(sizeof(Datum) * (list_length(patterns) + 1));
	count = 0;
	foreach(lc, patterns)
		elements[count++] = PointerGetDatum(lfirst(lc));
	return construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT);
}

static void
check_journal_topic(const char *topic)
{
	DomevTopic	row;

	if (!domev_catalog_topic(topic, NULL, &row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not exist", topic),
				 errhint("Register it with domev.create_topic; domev.topics lists those that exist.")));
	if (row.external)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" is external and cannot carry domain events", topic),
				 errhint("Name an internal topic for what is in the journal; integration events of old domain events are made by domev.remap.")));
}

/* ----------------------------------------------------------------
 *		Reading, as the owner of domev's tables
 * ----------------------------------------------------------------
 */

static void
add_params(DomevParams *params, const DomevSelection *selection,
		   const TimestampTz *since, const TimestampTz *until)
{
	domev_params_add(params, TIMESTAMPTZOID, since ? TimestampTzGetDatum(*since) : (Datum) 0, since == NULL);
	domev_params_add(params, TIMESTAMPTZOID, until ? TimestampTzGetDatum(*until) : (Datum) 0, until == NULL);
	domev_params_add_string(params, selection->journal_topic);
	domev_params_add(params, TEXTARRAYOID, PointerGetDatum(selection->topic_patterns),
					 selection->topic_patterns == NULL);
	domev_params_add(params, TEXTARRAYOID, PointerGetDatum(selection->type_patterns),
					 selection->type_patterns == NULL);
	domev_params_add_string(params, selection->aggregate_type);
	domev_params_add_string(params, selection->aggregate_id);
	domev_params_add(params, XID8OID,
					 FullTransactionIdGetDatum(FullTransactionIdFromU64(selection->xact_id)),
					 !selection->has_xact_id);
}

/* A list of DomevSelectionGroup, by topic and type, in the current memory context.  Needs no connection to SPI. */
List *
domev_selection_count(const DomevSelection *selection)
{
	MemoryContext context = CurrentMemoryContext;
	DomevParams params = {0};
	DomevCaller caller;
	List	   *groups = NIL;

	add_params(&params, selection, selection->has_since ? &selection->since : NULL,
			   selection->has_until ? &selection->until : NULL);
	domev_statement_enter(&caller);
	SPI_connect();
	if (SPI_execute_with_args("SELECT COALESCE(o.topic, $3), o.event_type, pg_catalog.bool_or(o.topic IS NULL),"
							  " pg_catalog.bool_or(o.mapping IS NULL), pg_catalog.count(*),"
							  " pg_catalog.min(o.recorded_at), pg_catalog.max(o.recorded_at),"
							  " pg_catalog.sum(" SIZE_OF("payload") " OPERATOR(pg_catalog.+) " SIZE_OF("data")
							  " OPERATOR(pg_catalog.+) " SIZE_OF("headers") ")" CONDITION
							  " GROUP BY 1, 2 ORDER BY 1, 2",
							  params.count, params.types, params.values, params.nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		groups = lappend(groups, get_group(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	domev_statement_leave(&caller);
	return groups;
}

static DomevSelectionGroup *
get_group(HeapTuple tuple, TupleDesc tupdesc)
{
	DomevSelectionGroup *group = palloc(sizeof(DomevSelectionGroup));

	group->topic = SPI_getvalue(tuple, tupdesc, 1);
	group->event_type = SPI_getvalue(tuple, tupdesc, 2);
	group->any_journaled = get_int64(tuple, tupdesc, 3) != 0;
	group->any_domain = get_int64(tuple, tupdesc, 4) != 0;
	group->events = get_int64(tuple, tupdesc, 5);
	group->first = get_int64(tuple, tupdesc, 6);
	group->last = get_int64(tuple, tupdesc, 7);
	group->bytes = get_int64(tuple, tupdesc, 8);
	return group;
}

/* A boolean, number or time that is not NULL. */
static int64
get_int64(HeapTuple tuple, TupleDesc tupdesc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, tupdesc, column, &isnull);

	return SPI_gettypeid(tupdesc, column) == BOOLOID ? DatumGetBool(value) : DatumGetInt64(value);
}

/*
 * A cursor over the selected events that were recorded in this time, in the
 * order of their recording.  The caller is connected to SPI, and acts as the
 * tables' owner.
 */
Portal
domev_selection_open(const DomevSelection *selection, TimestampTz since, TimestampTz until)
{
	DomevParams params = {0};

	add_params(&params, selection, &since, &until);

	return SPI_cursor_open_with_args(NULL, "SELECT " DOMEV_OUTBOX_COLUMN_LIST CONDITION
									 " ORDER BY o.recorded_at, o.event_id",
									 params.count, params.types, params.values, params.nulls, false, 0);
}

/*
 * A row of the cursor as an event, in the current memory context.  False: it
 * is none that could be sent.  Only its topic may be another one than the
 * row says: it is where the event goes.
 */
bool
domev_selection_get(const DomevSelection *selection, HeapTuple tuple, TupleDesc tupdesc,
					DomevEvent *event, bool *journaled)
{
	bool		complete = domev_outbox_get(tuple, tupdesc, event);

	*journaled = event->topic.data == NULL;
	if (*journaled)
		event->topic = domev_text(selection->journal_topic);
	return complete;
}

/* ----------------------------------------------------------------
 *		Rights
 * ----------------------------------------------------------------
 */

/* May the role have these events published again? */
void
domev_selection_check(const DomevSelectionGroup *group, Oid role)
{
	if (!domev_right_is_had(DOMEV_PUBLISH, group->topic, role))
		domev_right_raise_denied(DOMEV_PUBLISH, group->topic, role);
	if (group->any_journaled && !domev_right_is_had(DOMEV_READ_EVENT_TYPE, group->event_type, role))
		domev_right_raise_denied(DOMEV_READ_EVENT_TYPE, group->event_type, role);
	if (group->any_domain)
		check_scope(group);
}

/* A topic that carried domain events may have become external since: other systems must not get them now. */
static void
check_scope(const DomevSelectionGroup *group)
{
	DomevTopic	topic;

	if (domev_catalog_topic(group->topic, NULL, &topic) && topic.external)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" is external now, and domain events were recorded for it", group->topic),
				 errdetail("They are of the type \"%s\".", group->event_type),
				 errhint("Leave them out by topics or event_types.")));
}

/* ----------------------------------------------------------------
 *		Preview
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_preview_replay);

/* SQL: what would be replayed, by topic and type. */
Datum
domev_preview_replay(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DomevSelection selection = {0};
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	domev_selection_get_arguments(&selection, fcinfo, 0);
	domev_selection_prepare(&selection);
	foreach(lc, domev_selection_count(&selection))
	{
		const DomevSelectionGroup *group = lfirst(lc);
		Datum		values[] = {
			CStringGetTextDatum(group->topic), CStringGetTextDatum(group->event_type), Int64GetDatum(group->events),
			TimestampTzGetDatum(group->first), TimestampTzGetDatum(group->last), Int64GetDatum(group->bytes)
		};
		bool		nulls[lengthof(values)] = {false};

		domev_selection_check(group, GetUserId());
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* What replay and preview_replay take alike, from the argument of this number on. */
void
domev_selection_get_arguments(DomevSelection *selection, FunctionCallInfo fcinfo, int first)
{
	if (domev_argument_names(fcinfo, first, "topics") != NIL)
		selection->topics = PG_GETARG_ARRAYTYPE_P(first);
	if (domev_argument_names(fcinfo, first + 1, "event_types") != NIL)
		selection->event_types = PG_GETARG_ARRAYTYPE_P(first + 1);
	selection->aggregate_type = domev_argument_optional(fcinfo, first + 2);
	selection->aggregate_id = domev_argument_optional(fcinfo, first + 3);
	selection->has_since = !PG_ARGISNULL(first + 4);
	selection->since = selection->has_since ? PG_GETARG_TIMESTAMPTZ(first + 4) : 0;
	selection->has_until = !PG_ARGISNULL(first + 5);
	selection->until = selection->has_until ? PG_GETARG_TIMESTAMPTZ(first + 5) : 0;
	selection->journal_topic = domev_argument_optional(fcinfo, first + 6);
}
