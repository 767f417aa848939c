/*-------------------------------------------------------------------------
 *
 * deferral.c
 *	  How is a mapping put off until the transaction commits?
 *
 * The event goes into domev.deferred, a table with a deferred constraint
 * trigger: PostgreSQL runs it at commit or PREPARE TRANSACTION, in the order of
 * the events, and not for what was rolled back to a savepoint.  The trigger
 * maps the event and deletes the row, which nobody else ever sees.
 *
 * The row names the mappings: those that the event found deferred, whatever is
 * registered by the end of the transaction.  One that is dropped or disabled
 * by then does not run.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "deferral.h"
#include "executor/executor.h"
#include "mapping.h"
#include "translation.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"

/* The columns of domev.deferred, in the order of sql/domev.sql. */
enum
{
	DEFERRED_EVENT_ID, DEFERRED_EVENT_TYPE, DEFERRED_AGGREGATE_TYPE,
	DEFERRED_AGGREGATE_ID, DEFERRED_AGGREGATE_VERSION, DEFERRED_PAYLOAD,
	DEFERRED_HEADERS, DEFERRED_OCCURRED_AT, DEFERRED_MAPPINGS,
	DEFERRED_COLUMNS
};

static void fill_slot(TupleTableSlot *slot, const DomevDomainEvent *domain, List *mappings);
static Datum text_array(List *strings);
static List *read_slot(TupleTableSlot *slot, DomevDomainEvent *domain);
static void map_event(const DomevDomainEvent *domain, List *mappings);

/*
 * Puts an event off.  The insert is below the level of a query, as that of
 * the outbox is, but fires the trigger; there is no change of user around it,
 * as the trigger runs as who is current here.
 */
void
domev_deferral_put(const DomevDomainEvent *domain, List *mappings)
{
	Relation	table = domev_catalog_open("deferred", RowExclusiveLock);
	EState	   *estate = CreateExecutorState();
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slot;

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(table);
	rte->relkind = table->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	domev_init_range_table_compat(estate, rte);
	estate->es_output_cid = GetCurrentCommandId(true);
	InitResultRelInfo(target, table, 1, NULL, 0);
	estate->es_opened_result_relations = lappend(estate->es_opened_result_relations, target);
	ExecOpenIndices(target, false);
	slot = table_slot_create(table, &estate->es_tupleTable);

	AfterTriggerBeginQuery();
	fill_slot(slot, domain, mappings);
	ExecSimpleRelationInsert(target, estate, slot);
	AfterTriggerEndQuery(estate);

	ExecCloseIndices(target);
	ExecCloseResultRelations(estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(table, NoLock);
}

static void
fill_slot(TupleTableSlot *slot, const DomevDomainEvent *domain, List *mappings)
{
	Datum	   *values = slot->tts_values;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	memset(slot->tts_isnull, false, DEFERRED_COLUMNS * sizeof(bool));
	values[DEFERRED_EVENT_ID] = UUIDPGetDatum(&domain->event_id);
	values[DEFERRED_EVENT_TYPE] = CStringGetTextDatum(domain->event_type);
	values[DEFERRED_AGGREGATE_TYPE] = CStringGetTextDatum(domain->aggregate_type);
	values[DEFERRED_AGGREGATE_ID] = CStringGetTextDatum(domain->aggregate_id);
	values[DEFERRED_AGGREGATE_VERSION] = Int64GetDatum(domain->aggregate_version);
	slot->tts_isnull[DEFERRED_AGGREGATE_VERSION] = !domain->has_aggregate_version;
	values[DEFERRED_PAYLOAD] = JsonbPGetDatum(domain->payload);
	values[DEFERRED_HEADERS] = JsonbPGetDatum(domain->headers);
	slot->tts_isnull[DEFERRED_HEADERS] = domain->headers == NULL;
	values[DEFERRED_OCCURRED_AT] = TimestampTzGetDatum(domain->occurred_at);
	values[DEFERRED_MAPPINGS] = text_array(mappings);
	ExecStoreVirtualTuple(slot);
}

static Datum
text_array(List *strings)
{
	Datum	   *elements = palloc(list_length(strings) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, strings)
		elements[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, list_length(strings), TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* ----------------------------------------------------------------
 *		At commit
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_map_deferred);

/*
 * The constraint trigger on domev.deferred.  Rights were checked when the
 * event was raised.  A mapping that uses SET CONSTRAINTS gets here too.
 */
Datum
domev_map_deferred(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	DomevDomainEvent domain;
	List	   *mappings;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		RelationGetRelid(trigger->tg_relation) != domev_catalog_table("deferred"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by its trigger", "map_deferred")));
	if (domev_mapping_running())
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED),
				 errmsg("cannot run deferred mappings inside a mapping"),
				 errhint("A mapping function must not use SET CONSTRAINTS.")));
	mappings = read_slot(trigger->tg_trigslot, &domain);

	/* The row may have been inserted by the command that is still current. */
	CommandCounterIncrement();
	simple_table_tuple_delete(trigger->tg_relation, &trigger->tg_trigslot->tts_tid,
							  GetActiveSnapshot());
	map_event(&domain, mappings);
	return PointerGetDatum(NULL);
}

/* Returns the names of the mappings, a list of char *. */
static List *
read_slot(TupleTableSlot *slot, DomevDomainEvent *domain)
{
	List	   *mappings = NIL;
	Datum	   *values = slot->tts_values;
	Datum	   *names;
	int			count;

	slot_getallattrs(slot);
	memset(domain, 0, sizeof(DomevDomainEvent));
	domain->event_id = *DatumGetUUIDP(values[DEFERRED_EVENT_ID]);
	domain->event_type = TextDatumGetCString(values[DEFERRED_EVENT_TYPE]);
	domain->aggregate_type = TextDatumGetCString(values[DEFERRED_AGGREGATE_TYPE]);
	domain->aggregate_id = TextDatumGetCString(values[DEFERRED_AGGREGATE_ID]);
	domain->has_aggregate_version = !slot->tts_isnull[DEFERRED_AGGREGATE_VERSION];
	if (domain->has_aggregate_version)
		domain->aggregate_version = DatumGetInt64(values[DEFERRED_AGGREGATE_VERSION]);
	domain->payload = DatumGetJsonbP(values[DEFERRED_PAYLOAD]);
	if (!slot->tts_isnull[DEFERRED_HEADERS])
		domain->headers = DatumGetJsonbP(values[DEFERRED_HEADERS]);
	domain->occurred_at = DatumGetTimestampTz(values[DEFERRED_OCCURRED_AT]);

	deconstruct_array(DatumGetArrayTypeP(values[DEFERRED_MAPPINGS]), TEXTOID, -1, false,
					  TYPALIGN_INT, &names, NULL, &count);
	for (int i = 0; i < count; i++)
		mappings = lappend(mappings, TextDatumGetCString(names[i]));
	return mappings;
}

static void
map_event(const DomevDomainEvent *domain, List *mappings)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "domev deferral",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	domev_registry_refresh();
	domev_registry_pin();
	PG_TRY();
	{
		const DomevEventType *type = domev_registry_event_type(domain->event_type);
		DomevOutbox *outbox = domev_outbox_open();
		Datum		datum = domev_translation_datum(domain);
		ListCell   *lc;

		foreach(lc, mappings)
		{
			DomevMapping *mapping = type ? domev_registry_mapping(type, lfirst(lc)) : NULL;

			if (mapping != NULL)
				domev_translation_publish(outbox, mapping, domain, datum);
		}
		domev_outbox_close(outbox);
	}
	PG_FINALLY();
	{
		domev_registry_unpin();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
