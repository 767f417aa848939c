/*-------------------------------------------------------------------------
 *
 * catchup.c
 *	  What did a slot not deliver that the server has given up?
 *
 * At some point before the position of a slot its catalog_xmin was the oldest
 * running transaction.  So what committed behind that position has this
 * number or a higher one, and a slot remembers it when it is lost: the rows
 * of these transactions are all that it has not delivered, those of long
 * transactions too, and some that it has.  They are replayed, for the
 * publisher of a new slot.
 *
 * What went into the WAL only went with the slot; that is said, and where it
 * was.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "argument.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replay.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/pg_lsn.h"

#include "compat.h"

/* What pg_replication_slots says of a slot. */
typedef struct Slot
{
	char	   *name;
	char	   *confirmed;		/* confirmed_flush_lsn; NULL: it is still
								 * being made, and waits for transactions to
								 * end */
	bool		has_catalog_xmin;
	TransactionId catalog_xmin;
	bool		usable;			/* not lost */
} Slot;

static void check_isolation(void);
static char *get_name(FunctionCallInfo fcinfo, int arg);
static void select_undelivered(DomevSelection *selection, const Slot *lost);
static List *read_slots(void);
static Slot *find_slot(List *slots, const char *name);
static const char *find_end(List *slots, const char *lost, const char *new);
static void warn_of_messages(const DomevSelection *selection, const Slot *lost, const char *end);
static char *list_wal_topics(const DomevSelection *selection);

PG_FUNCTION_INFO_V1(domev_catch_up);

/* SQL: a replay of what a lost slot has not delivered, or of all since a time. */
Datum
domev_catch_up(PG_FUNCTION_ARGS)
{
	DomevReplayRequest request = {0};
	DomevSelection *selection = &request.selection;
	const char *new = get_name(fcinfo, 3);
	List	   *slots;
	Slot	   *lost;
	const char *end;

	check_isolation();
	request.publisher = domev_replay_publisher(fcinfo, 0);
	request.lost_slot = get_name(fcinfo, 2);
	if (PG_ARGISNULL(1) == (request.lost_slot == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("either since or lost_slot must be given, and not both"),
				 errhint("Name the lost slot while pg_replication_slots still lists it; else give a time well before the last event that was published.")));
	selection->has_since = !PG_ARGISNULL(1);
	selection->since = selection->has_since ? PG_GETARG_TIMESTAMPTZ(1) : 0;
	if (domev_argument_names(fcinfo, 4, "topics") != NIL)
		selection->topics = PG_GETARG_ARRAYTYPE_P(4);
	request.dry_run = domev_argument_flag(fcinfo, 5);
	domev_replay_get_id(fcinfo, 6, &request);
	domev_selection_prepare(selection);

	slots = read_slots();
	lost = request.lost_slot ? find_slot(slots, request.lost_slot) : NULL;
	end = find_end(slots, request.lost_slot, new);
	if (lost != NULL)
		select_undelivered(selection, lost);
	warn_of_messages(selection, lost, end);
	return domev_replay_start(fcinfo, &request);
}

/* What was committed between an old snapshot and the making of the new slot would be in neither. */
static void
check_isolation(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot catch up in a transaction with a snapshot of its own"),
				 errdetail("What was committed after the snapshot, and before the new slot was made, would be lost."),
				 errhint("Call it in a READ COMMITTED transaction, or by itself with default_transaction_isolation = 'read committed'.")));
}

static char *
get_name(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(arg)));
}

/* catalog_xmin has the lower 32 bits of a number that is not far behind the next one. */
static void
select_undelivered(DomevSelection *selection, const Slot *lost)
{
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());

	if (!lost->has_catalog_xmin)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("replication slot \"%s\" does not say any more what it has delivered", lost->name),
				 errhint("Give a time instead: domev.catch_up(..., since => ...).")));
	if (lost->usable)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("replication slot \"%s\" is not lost", lost->name),
				 errdetail("A publisher that reads it gets all that it has not delivered.")));
	selection->has_xact_id = true;
	selection->xact_id = next - (uint32) ((uint32) next - lost->catalog_xmin);
}

/* ----------------------------------------------------------------
 *		Slots
 * ----------------------------------------------------------------
 */

/* Those of the plugin in this database, a list of Slot. */
static List *
read_slots(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *slots = NIL;

	SPI_connect();
	if (SPI_execute("SELECT slot_name::pg_catalog.text, confirmed_flush_lsn::pg_catalog.text, catalog_xmin,"
					" COALESCE(wal_status OPERATOR(pg_catalog.<>) 'lost', true) FROM pg_catalog.pg_replication_slots"
					" WHERE plugin OPERATOR(pg_catalog.=) 'domev'"
					" AND database OPERATOR(pg_catalog.=) pg_catalog.current_database()",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		Slot	   *slot = palloc(sizeof(Slot));
		bool		isnull;
		Datum		xmin = SPI_getbinval(tuple, tupdesc, 3, &isnull);

		slot->name = SPI_getvalue(tuple, tupdesc, 1);
		slot->confirmed = SPI_getvalue(tuple, tupdesc, 2);
		slot->has_catalog_xmin = !isnull;
		slot->catalog_xmin = isnull ? InvalidTransactionId : DatumGetTransactionId(xmin);
		slot->usable = DatumGetBool(SPI_getbinval(tuple, tupdesc, 4, &isnull));
		slots = lappend(slots, slot);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return slots;
}

static Slot *
find_slot(List *slots, const char *name)
{
	ListCell   *lc;

	foreach(lc, slots)
	{
		Slot	   *slot = lfirst(lc);

		if (strcmp(slot->name, name) == 0)
			return slot;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("replication slot \"%s\" does not exist", name),
			 errdetail("There is none of this name with the plugin \"domev\" in this database.")));
}

/*
 * Up to where what was committed comes from no slot: the position of the new
 * one.  Without a name, and if there are several, up to now at the most: NULL.
 */
static const char *
find_end(List *slots, const char *lost, const char *new)
{
	const Slot *found = new ? find_slot(slots, new) : NULL;
	int			usable = 0;
	ListCell   *lc;

	foreach(lc, slots)
	{
		const Slot *slot = lfirst(lc);

		if (!slot->usable || slot->confirmed == NULL || (lost != NULL && strcmp(slot->name, lost) == 0) || (new != NULL && slot != found))
			continue;
		usable++;
		found = slot;
	}
	if (usable == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no replication slot that could deliver a replay"),
				 errdetail("It is in the WAL only, and is seen by slots that are ready when it is written."),
				 errhint("Create the new publisher's slot first: SELECT pg_create_logical_replication_slot('my_publisher', 'domev');")));
	return usable == 1 ? found->confirmed : NULL;
}

/* ----------------------------------------------------------------
 *		What cannot be replayed
 * ----------------------------------------------------------------
 */

/* Topics with WAL storage have no rows. */
static void
warn_of_messages(const DomevSelection *selection, const Slot *lost, const char *end)
{
	char	   *topics = list_wal_topics(selection);

	if (topics == NULL)
		return;
	if (end == NULL)
		end = DatumGetCString(DirectFunctionCall1(pg_lsn_out, LSNGetDatum(RecoveryInProgress() ? 0 : GetXLogInsertRecPtr())));
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("events of topics with storage \"wal\" cannot be caught up with"),
			 lost ? errdetail("Lost is at most what was committed between %s and %s in: %s.", lost->confirmed ? lost->confirmed : "0/0", end, topics) :
			 errdetail("There are: %s.", topics),
			 errhint("What mappings made for them of domain events in the journal, domev.remap makes again.")));
}

/* NULL: there are none, among those selected. */
static char *
list_wal_topics(const DomevSelection *selection)
{
	DomevParams params = {0};
	DomevCaller caller;
	char	   *topics;
	char	   *copy;

	domev_params_add(&params, TEXTARRAYOID, PointerGetDatum(selection->topic_patterns),
					 selection->topic_patterns == NULL);
	domev_statement_enter(&caller);
	SPI_connect();
	if (SPI_execute_with_args("SELECT pg_catalog.string_agg(topic, ', ' ORDER BY topic) FROM domev.topics"
							  " WHERE storage OPERATOR(pg_catalog.=) 'wal'"
							  " AND ($1 IS NULL OR topic OPERATOR(pg_catalog.~~) ANY ($1))",
							  params.count, params.types, params.values, params.nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	topics = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	copy = topics ? SPI_palloc(strlen(topics) + 1) : NULL;
	if (topics != NULL)
		strcpy(copy, topics);
	SPI_finish();
	domev_statement_leave(&caller);
	return copy;
}
