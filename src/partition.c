/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  How does a row get into its partition of the outbox?
 *
 * By the executor's own functions below the level of a query, as
 * PostgreSQL's logical apply worker does it: they route to the right
 * partition and keep whatever indexes, constraints and triggers it has.  No
 * plan and no rights are involved; that is why nobody else needs any right
 * on the table.
 *
 * To find the partition and to prepare the executor costs several times what
 * the row does.  So both are kept for the next event, of whatever
 * transaction, until a partition changes or time has come to another one.  What
 * is kept holds no relation open: each insertion takes its locks, opens, and
 * closes, so that DDL in the same session finds the tables unused.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "partition.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"

/* All that it takes to put a row into a partition. */
typedef struct Partition
{
	MemoryContext context;		/* of this and all below */
	uint64		known;			/* partitions_changed when it was worked out */
	bool		may_be_kept;
	Oid			outbox;
	Oid			relid;
	TimestampTz from;			/* rows of this time go there */
	TimestampTz to;				/* and of those before this */
	AttrNumber	columns[DOMEV_OUTBOX_COLUMNS];
	EState	   *estate;
	ResultRelInfo *target;		/* its relations are open only during an
								 * insertion */
	Oid		   *indexes;
	TupleTableSlot *slot;
	Datum	   *values;			/* of a row, by column */
	bool	   *nulls;
} Partition;

/*
 * The partition of the last row, under CacheMemoryContext.  While it is in
 * use it is taken out, and under the caller's context: an error takes it
 * along, and an emit of a trigger on the outbox has its own.
 */
static Partition *kept = NULL;

/* Counts what may have changed it; the callback asks for these two. */
static uint64 partitions_changed = 0;
static Oid	watched_outbox = InvalidOid;
static Oid	watched_partition = InvalidOid;

static Partition *take_partition(const DomevEvent *event);
static void give_back(Partition *partition);
static void let_go(Partition *partition);
static bool takes(const Partition *partition, TimestampTz time);
static Partition *work_out(const DomevEvent *event);
static void find_partition(Partition *partition, const DomevEvent *event);
static void check_columns(Relation table, AttrNumber *columns);
static void raise_changed(void);
static Oid	route(Relation outbox, const AttrNumber *columns, const DomevEvent *event);
static void check_partition(Relation relation);
static void find_interval(Partition *partition, Relation outbox, AttrNumber column, TimestampTz time);
static EState *make_estate(Relation relation);
static void prepare_target(Partition *partition, Relation relation);
static bool is_plain(Relation relation, const ResultRelInfo *target);
static void open_relations(Partition *partition);
static void close_relations(Partition *partition);
static void fill(const DomevEvent *event, const AttrNumber *columns, int natts,
				 Datum *values, bool *nulls);
static void relcache_callback(Datum arg, Oid relid);

/*
 * Inserts the event's row.  What this allocates, it allocates in the current
 * memory context, which the caller resets.
 */
void
domev_partition_insert(const DomevEvent *event)
{
	Partition  *partition = take_partition(event);
	TupleTableSlot *slot = partition->slot;
	bool		has_triggers;

	open_relations(partition);
	has_triggers = partition->target->ri_TrigDesc != NULL;
	fill(event, partition->columns, slot->tts_tupleDescriptor->natts, partition->values, partition->nulls);
	ExecStoreHeapTuple(heap_form_tuple(slot->tts_tupleDescriptor, partition->values, partition->nulls),
					   slot, true);
	slot->tts_tableOid = partition->relid;
	partition->estate->es_output_cid = GetCurrentCommandId(true);

	if (has_triggers)
		AfterTriggerBeginQuery();
	ExecSimpleRelationInsert(partition->target, partition->estate, slot);
	if (has_triggers)
	{
		AfterTriggerEndQuery(partition->estate);
		ExecCloseResultRelations(partition->estate);	/* what triggers opened */
	}

	ExecClearTuple(slot);
	ResetPerTupleExprContext(partition->estate);
	close_relations(partition);
	give_back(partition);
}

/* ----------------------------------------------------------------
 *		Keeping
 * ----------------------------------------------------------------
 */

/*
 * The partition for the event, locked as by an INSERT.  To get a lock is to
 * hear of what was done before by whoever held it against us: only what is
 * still known to be a partition is locked then.  What may be done beside us is
 * not heard of while we have the locks, and does not matter: DETACH
 * CONCURRENTLY waits for us before it ends, and an index that is made
 * meanwhile shows by itself whether it takes rows.
 */
static Partition *
take_partition(const DomevEvent *event)
{
	Partition  *partition = kept;

	if (partition != NULL)
	{
		kept = NULL;
		MemoryContextSetParent(partition->context, CurrentMemoryContext);
		if (takes(partition, event->recorded_at))
		{
			LockRelationOid(partition->outbox, RowExclusiveLock);
			if (partition->known == partitions_changed)
				LockRelationOid(partition->relid, RowExclusiveLock);
			if (partition->known == partitions_changed)
				return partition;
		}
		let_go(partition);
	}
	return work_out(event);
}

static void
give_back(Partition *partition)
{
	/* Whatever came in between may have worked out another one. */
	if (partition->may_be_kept && kept == NULL &&
		watched_outbox == partition->outbox && watched_partition == partition->relid)
	{
		MemoryContextSetParent(partition->context, CacheMemoryContext);
		kept = partition;
	}
	else
		let_go(partition);
}

/* Not after an error: then nothing is open any more, and memory goes by itself. */
static void
let_go(Partition *partition)
{
	ExecResetTupleTable(partition->estate->es_tupleTable, false);	/* what triggers made */
	FreeExecutorState(partition->estate);
	MemoryContextDelete(partition->context);
}

static bool
takes(const Partition *partition, TimestampTz time)
{
	return partition->known == partitions_changed && time >= partition->from && time < partition->to;
}

/* Only counts what concerns the partition that is kept, or is being worked out. */
static void
relcache_callback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == watched_outbox || relid == watched_partition)
		partitions_changed++;
}

/* ----------------------------------------------------------------
 *		Working out
 * ----------------------------------------------------------------
 */

static Partition *
work_out(const DomevEvent *event)
{
	static bool watching = false;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "domev partition",
												  ALLOCSET_SMALL_SIZES);
	Partition  *partition = MemoryContextAllocZero(context, sizeof(Partition));
	Relation	relation;
	MemoryContext old;

	if (!watching)
		CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	watching = true;

	partition->context = context;
	find_partition(partition, event);
	relation = table_open(partition->relid, NoLock);
	check_columns(relation, partition->columns);
	old = MemoryContextSwitchTo(context);
	prepare_target(partition, relation);
	MemoryContextSwitchTo(old);
	table_close(relation, NoLock);
	return partition;
}

/* Asks the executor, and takes the locks. */
static void
find_partition(Partition *partition, const DomevEvent *event)
{
	Relation	outbox = domev_catalog_open("outbox", RowExclusiveLock);
	AttrNumber	columns[DOMEV_OUTBOX_COLUMNS];

	/*
	 * The count is from before anything is read.  The partition is watched
	 * late, but it is locked by then, and as new as its lock.
	 */
	watched_outbox = partition->outbox = RelationGetRelid(outbox);
	partition->known = partitions_changed;
	if (outbox->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		raise_changed();
	check_columns(outbox, columns);
	watched_partition = partition->relid = route(outbox, columns, event);
	find_interval(partition, outbox, columns[DOMEV_OUTBOX_RECORDED_AT], event->recorded_at);
	table_close(outbox, NoLock);
}

/* A superuser may have changed the table. */
static void
check_columns(Relation table, AttrNumber *columns)
{
	if (!domev_event_find_columns(RelationGetDescr(table), columns))
		raise_changed();
}

static void
raise_changed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s.%s\" is not as domev made it", DOMEV_SCHEMA, "outbox"),
			 errhint("Columns may be added to it, which stay NULL; its own must not be dropped, renamed or changed.")));
}

/* Which partition does a row go to?  It is locked then. */
static Oid
route(Relation outbox, const AttrNumber *columns, const DomevEvent *event)
{
	EState	   *estate = make_estate(outbox);
	ResultRelInfo *root = makeNode(ResultRelInfo);
	ModifyTableState *mtstate = makeNode(ModifyTableState);
	PartitionTupleRouting *routing;
	TupleTableSlot *slot;
	ResultRelInfo *found;
	Oid			relid;

	InitResultRelInfo(root, outbox, 1, NULL, 0);

	/* ExecFindPartition() wants the node of an INSERT. */
	mtstate->ps.state = estate;
	mtstate->operation = CMD_INSERT;
	mtstate->resultRelInfo = mtstate->rootResultRelInfo = root;
	routing = ExecSetupPartitionTupleRouting(estate, outbox);

	slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(outbox), &TTSOpsVirtual);
	fill(event, columns, slot->tts_tupleDescriptor->natts, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	found = ExecFindPartition(mtstate, root, routing, slot, estate);
	check_partition(found->ri_RelationDesc);
	relid = RelationGetRelid(found->ri_RelationDesc);
	ExecCleanupTupleRouting(mtstate, routing);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	return relid;
}

/* What is not in the WAL would never be published. */
static void
check_partition(Relation relation)
{
	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		relation->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot keep an event in \"%s\"", RelationGetRelationName(relation)),
				 errdetail("Partitions of \"%s.%s\" must be ordinary tables, and logged.", DOMEV_SCHEMA, "outbox")));
}

/*
 * Between the same two bounds all rows go to the same partition, be it the
 * default one.  For a partition of a partition, or another key than the
 * outbox has from us, we do not know: then the interval is empty.  The
 * partitions are those that route() has seen.
 */
static void
find_interval(Partition *partition, Relation outbox, AttrNumber column, TimestampTz time)
{
	PartitionKey key = RelationGetPartitionKey(outbox);
	PartitionDesc partitions = RelationGetPartitionDesc(outbox, !IsolationUsesXactSnapshot());
	PartitionBoundInfo bounds = partitions->boundinfo;
	Datum		value = TimestampTzGetDatum(time);
	bool		is_equal;
	int			bound;
	int			index;

	partition->from = partition->to = DT_NOBEGIN;
	if (key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1 || key->partattrs[0] != column)
		return;
	bound = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value, &is_equal);
	index = bounds->indexes[bound + 1] >= 0 ? bounds->indexes[bound + 1] : bounds->default_index;
	if (index < 0 || partitions->oids[index] != partition->relid)
		return;
	partition->from = domev_partition_bound(bounds, bound);
	partition->to = domev_partition_bound(bounds, bound + 1);
}

/* The time of one of the bounds that separate partitions, in their order. */
TimestampTz
domev_partition_bound(PartitionBoundInfo bounds, int i)
{
	if (i < 0 || (i < bounds->ndatums && bounds->kind[i][0] == PARTITION_RANGE_DATUM_MINVALUE))
		return DT_NOBEGIN;
	if (i >= bounds->ndatums || bounds->kind[i][0] == PARTITION_RANGE_DATUM_MAXVALUE)
		return DT_NOEND;
	return DatumGetTimestampTz(bounds->datums[i][0]);
}

static EState *
make_estate(Relation relation)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	EState	   *estate = CreateExecutorState();

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(relation);
	rte->relkind = relation->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	domev_init_range_table_compat(estate, rte);
	return estate;
}

/* In the partition's memory context. */
static void
prepare_target(Partition *partition, Relation relation)
{
	TupleDesc	tupdesc = CreateTupleDescCopy(RelationGetDescr(relation));
	ResultRelInfo *target = makeNode(ResultRelInfo);

	partition->estate = make_estate(relation);
	partition->target = target;
	InitResultRelInfo(target, relation, 1, NULL, 0);
	ExecOpenIndices(target, false);
	partition->indexes = palloc((target->ri_NumIndices + 1) * sizeof(Oid));
	for (int i = 0; i < target->ri_NumIndices; i++)
		partition->indexes[i] = RelationGetRelid(target->ri_IndexRelationDescs[i]);
	partition->may_be_kept = is_plain(relation, target);
	ExecCloseIndices(target);

	/* Where triggers look for it. */
	partition->estate->es_tuple_routing_result_relations = list_make1(target);

	partition->slot = MakeSingleTupleTableSlot(tupdesc, &TTSOpsHeapTuple);
	partition->values = palloc0(tupdesc->natts * sizeof(Datum));
	partition->nulls = palloc(tupdesc->natts * sizeof(bool));
}

/*
 * Is there nothing of a user's that would be called?  The executor keeps what
 * it has looked up of functions, and nobody would tell it of their changes.
 */
static bool
is_plain(Relation relation, const ResultRelInfo *target)
{
	TupleConstr *constraints = RelationGetDescr(relation)->constr;

	/* Generated columns have their expressions among the defaults. */
	if (relation->trigdesc != NULL ||
		(constraints != NULL && (constraints->num_check > 0 || constraints->num_defval > 0)))
		return false;
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		IndexInfo  *info = target->ri_IndexRelationInfo[i];

		if (info->ii_Expressions != NIL || info->ii_Predicate != NIL || info->ii_ExclusionOps != NULL)
			return false;
	}
	return true;
}

/* ----------------------------------------------------------------
 *		Inserting
 * ----------------------------------------------------------------
 */

/*
 * An access method may keep something for the index's next row; that must not
 * outlive this opening, nor its memory.  An index that is being made says so
 * in its own entry, of whose changes the table does not hear.
 */
static void
open_relations(Partition *partition)
{
	ResultRelInfo *target = partition->target;

	target->ri_RelationDesc = table_open(partition->relid, NoLock);
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		target->ri_IndexRelationDescs[i] = index_open(partition->indexes[i], RowExclusiveLock);
		target->ri_IndexRelationInfo[i]->ii_ReadyForInserts = target->ri_IndexRelationDescs[i]->rd_index->indisready;
		target->ri_IndexRelationInfo[i]->ii_AmCache = NULL;
		target->ri_IndexRelationInfo[i]->ii_Context = CurrentMemoryContext;
	}
}

static void
close_relations(Partition *partition)
{
	ResultRelInfo *target = partition->target;

	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		domev_index_insert_cleanup_compat(target->ri_IndexRelationDescs[i], target->ri_IndexRelationInfo[i]);
		index_close(target->ri_IndexRelationDescs[i], RowExclusiveLock);
		target->ri_IndexRelationDescs[i] = NULL;
	}
	table_close(target->ri_RelationDesc, NoLock);
	target->ri_RelationDesc = NULL;
}

/* Columns that are not domev's are NULL. */
static void
fill(const DomevEvent *event, const AttrNumber *columns, int natts, Datum *values, bool *nulls)
{
	Datum		event_values[DOMEV_OUTBOX_COLUMNS];
	bool		event_nulls[DOMEV_OUTBOX_COLUMNS];

	domev_event_to_row(event, event_values, event_nulls);
	memset(nulls, true, natts * sizeof(bool));
	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
	{
		values[columns[i] - 1] = event_values[i];
		nulls[columns[i] - 1] = event_nulls[i];
	}
}
