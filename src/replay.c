/*-------------------------------------------------------------------------
 *
 * replay.c
 *	  How are recorded events published again?
 *
 * Each as a WAL message for the one publisher that asks for it by name, with
 * the id that it had and the id of the replay, in the order in which they
 * were recorded.
 *
 * By windows of recorded_at, each a transaction of its own when the caller's
 * circumstances allow it: what is done stays done, others see how far it is,
 * and nobody decodes one transaction of millions.  How far it is, is written
 * by the transaction that goes there; so a replay that was ended goes on
 * without a gap, and without having written an event twice.
 *
 * The windows grow and shrink with what is found in them, and with what it
 * takes to find it: there is no btree.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "argument.h"
#include "catalog.h"
#include "catalog/pg_type.h"
#include "cloudevent.h"
#include "emit.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "outbox.h"
#include "portability/instr_time.h"
#include "registry.h"
#include "replay.h"
#include "statement.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"

/* How many events a transaction has, about: at first, and at the most; and how many bytes. */
#define FIRST_TARGET	5000
#define LAST_TARGET		100000
#define MAX_BYTES		(16 * 1024 * 1024)

/* How many rows are fetched at a time. */
#define BATCH			100

/* So often it is said how far it is. */
#define NOTICE_MS		10000

/* An event's topic and type, and whether it is of the journal: what rights are asked for. */
typedef struct CheckedKey
{
	char		topic[DOMEV_MAX_NAME + 1];
	char		event_type[DOMEV_MAX_INTEGRATION_TYPE + 1];
	bool		journaled;
	bool		domain;
} CheckedKey;

/* A replay at work. */
typedef struct Replay
{
	pg_uuid_t	id;
	char	   *id_text;
	char	   *publisher;
	DomevSelection selection;
	bool		atomic;			/* in the caller's transaction */
	Oid			role;			/* the caller */
	LOCKTAG		tag;			/* that it is worked at */
	TimestampTz position;		/* recorded before: done */
	TimestampTz until;
	int64		events;			/* done */
	int64		expected;
	int64		target;			/* events in a window */
	uint64		width;			/* of the next window, in microseconds */
	TimestampTz noticed;		/* when it was last said how far it is */
	MemoryContext window;		/* reset after each window */
	MemoryContext scratch;		/* after each event */
	HTAB	   *checked;		/* of CheckedKey, in a window */
	TimestampTz last;			/* recorded_at of the last event */
	Size		bytes;			/* in the window */
} Replay;

static bool is_atomic(FunctionCallInfo fcinfo);
static void check_publisher(const char *publisher);
static void begin_replay(Replay *replay, FunctionCallInfo fcinfo, const pg_uuid_t *id);
static void lock_replay(Replay *replay);
static int64 check_groups(const Replay *replay, List *groups);
static void say_groups(List *groups);
static void find_range(Replay *replay, List *groups);
static void record_start(const Replay *replay, const DomevReplayRequest *request);
static bool read_replay(Replay *replay);
static ArrayType *get_array(HeapTuple tuple, TupleDesc tupdesc, int column);
static int64 get_int64(HeapTuple tuple, TupleDesc tupdesc, int column, bool *given);
static void raise_missing(const Replay *replay);
static TimestampTz window_end(const Replay *replay);
static void run_replay(Replay *replay);
static void run_window(Replay *replay);
static int64 put_window(Replay *replay, TimestampTz *end, bool *slow);
static int64 put_batch(Replay *replay, SPITupleTable *table, uint64 count, int64 events,
					   TimestampTz *end);
static void put_event(Replay *replay, HeapTuple tuple, TupleDesc tupdesc);
static void check_event(Replay *replay, const DomevEvent *event, bool journaled);
static void copy_text(char *to, Size size, DomevText text);
static void fit_window(Replay *replay, TimestampTz end, int64 events, bool slow);
static void record_progress(const Replay *replay, bool finished);
static void say_progress(Replay *replay);
static Datum make_result(FunctionCallInfo fcinfo, const pg_uuid_t *id);

/* ----------------------------------------------------------------
 *		Doors
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_replay);
PG_FUNCTION_INFO_V1(domev_resume_replay);

/* SQL: a replay of what the arguments select. */
Datum
domev_replay(PG_FUNCTION_ARGS)
{
	DomevReplayRequest request = {0};

	request.publisher = domev_replay_publisher(fcinfo, 0);
	domev_selection_get_arguments(&request.selection, fcinfo, 1);
	request.dry_run = domev_argument_flag(fcinfo, 8);
	domev_replay_get_id(fcinfo, 9, &request);
	return domev_replay_start(fcinfo, &request);
}

/* SQL: the rest of one that was ended. */
Datum
domev_resume_replay(PG_FUNCTION_ARGS)
{
	Replay		replay;

	if (PG_ARGISNULL(0))
		(void) domev_argument_required(fcinfo, 0, "replay_id");
	domev_emit_check_circumstances(false);
	SPI_connect_ext(is_atomic(fcinfo) ? 0 : SPI_OPT_NONATOMIC);
	begin_replay(&replay, fcinfo, PG_GETARG_UUID_P(0));
	if (read_replay(&replay))
		ereport(NOTICE,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("replay %s is finished, nothing is left of it", replay.id_text)));
	else
	{
		List	   *groups;

		domev_selection_prepare(&replay.selection);
		groups = domev_selection_count(&replay.selection);
		replay.expected = replay.events + check_groups(&replay, groups);
		find_range(&replay, groups);
		run_replay(&replay);
	}
	if (!replay.atomic)
		LockRelease(&replay.tag, ExclusiveLock, true);
	SPI_finish();
	return (Datum) 0;
}

char *
domev_replay_publisher(FunctionCallInfo fcinfo, int arg)
{
	char	   *publisher = domev_argument_required(fcinfo, arg, "publisher");

	check_publisher(publisher);
	return publisher;
}

static void
check_publisher(const char *publisher)
{
	if (!domev_event_is_publisher(domev_text(publisher)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid publisher"),
				 errdetail("It has 1 to %d letters a to z and A to Z, digits, \".\", \"_\" and \"-\".", DOMEV_MAX_NAME),
				 errhint("It is the name that the publisher gives in the option \"replay\" of the output plugin.")));
}

void
domev_replay_get_id(FunctionCallInfo fcinfo, int arg, DomevReplayRequest *request)
{
	request->has_id = !PG_ARGISNULL(arg);
	if (request->has_id)
		request->id = *PG_GETARG_UUID_P(arg);
	else
		domev_event_new_id(&request->id);
}

/* What the procedures that start a replay return: its id, NULL after a dry run. */
Datum
domev_replay_start(FunctionCallInfo fcinfo, DomevReplayRequest *request)
{
	Replay		replay;
	List	   *groups;

	domev_emit_check_circumstances(false);
	SPI_connect_ext(is_atomic(fcinfo) ? 0 : SPI_OPT_NONATOMIC);
	begin_replay(&replay, fcinfo, &request->id);
	replay.publisher = pstrdup(request->publisher);
	replay.selection = request->selection;
	domev_selection_prepare(&replay.selection);
	groups = domev_selection_count(&replay.selection);
	replay.expected = check_groups(&replay, groups);
	find_range(&replay, groups);
	if (request->dry_run)
		say_groups(groups);
	else
	{
		record_start(&replay, request);
		run_replay(&replay);
	}
	if (!replay.atomic)
		LockRelease(&replay.tag, ExclusiveLock, true);
	SPI_finish();
	return make_result(fcinfo, request->dry_run ? NULL : &request->id);
}

/* Can there be no commits in between?  Else what is called would raise an error when it comes to one. */
static bool
is_atomic(FunctionCallInfo fcinfo)
{
	return fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic || IsSubTransaction();
}

/* SPI is connected: all is in its memory. */
static void
begin_replay(Replay *replay, FunctionCallInfo fcinfo, const pg_uuid_t *id)
{
	memset(replay, 0, sizeof(Replay));
	replay->id = *id;
	replay->id_text = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
	replay->atomic = is_atomic(fcinfo);
	replay->role = GetUserId();
	replay->target = FIRST_TARGET;
	replay->window = AllocSetContextCreate(CurrentMemoryContext, "domev replay",
										   ALLOCSET_DEFAULT_SIZES);
	replay->scratch = AllocSetContextCreate(CurrentMemoryContext, "domev replayed event",
											ALLOCSET_DEFAULT_SIZES);
	lock_replay(replay);
}

/*
 * One session at a time.  The lock outlives the commits in between, and ends
 * at the latest with an error: PostgreSQL takes a session's locks of this kind
 * from it when its transaction is aborted.
 */
static void
lock_replay(Replay *replay)
{
	const uint8 *id = replay->id.data;

	SET_LOCKTAG_OBJECT(replay->tag, MyDatabaseId, domev_catalog_table("replays"),
					   ((uint32) id[12] << 24) | (id[13] << 16) | (id[14] << 8) | id[15],
					   (id[10] << 8) | id[11]);
	if (LockAcquire(&replay->tag, ExclusiveLock, !replay->atomic, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("replay %s is being worked at by another session", replay->id_text),
				 errhint("domev.replays shows how far it is, and the process.")));
}

/* ----------------------------------------------------------------
 *		What is to be done
 * ----------------------------------------------------------------
 */

/* Before anything is published: may the caller, all of it?  Returns how many events there are. */
static int64
check_groups(const Replay *replay, List *groups)
{
	int64		events = 0;
	ListCell   *lc;

	foreach(lc, groups)
	{
		const DomevSelectionGroup *group = lfirst(lc);

		domev_selection_check(group, replay->role);
		events += group->events;
	}
	return events;
}

static void
say_groups(List *groups)
{
	ListCell   *lc;

	if (groups == NIL)
		ereport(NOTICE,
				(errmsg("there is nothing to replay")));
	foreach(lc, groups)
	{
		const DomevSelectionGroup *group = lfirst(lc);
		char	   *first = pstrdup(timestamptz_to_str(group->first));

		ereport(NOTICE,
				(errmsg("would replay events of type \"%s\" to topic \"%s\": " INT64_FORMAT,
						group->event_type, group->topic, group->events),
				 errdetail("They were recorded from %s to %s, and have " INT64_FORMAT " bytes.",
						   first, timestamptz_to_str(group->last), group->bytes)));
	}
}

/* From the first event, up to what the caller says or the present; where the clock went back, to the last event. */
static void
find_range(Replay *replay, List *groups)
{
	TimestampTz first = DT_NOEND;
	TimestampTz last = DT_NOBEGIN;
	int64		events = 0;
	ListCell   *lc;

	foreach(lc, groups)
	{
		const DomevSelectionGroup *group = lfirst(lc);

		first = Min(first, group->first);
		last = Max(last, group->last);
		events += group->events;
	}
	replay->until = GetCurrentTimestamp();
	if (last >= replay->until)
		replay->until = last < DT_NOEND ? last + 1 : DT_NOEND;
	if (replay->selection.has_until)
		replay->until = Min(replay->until, replay->selection.until);
	replay->position = Min(first, replay->until);
	replay->width = events == 0 ? 1 : ((uint64) last - (uint64) first) / (events / FIRST_TARGET + 1) / 2 + 1;
}

static void
record_start(const Replay *replay, const DomevReplayRequest *request)
{
	const DomevSelection *selection = &replay->selection;
	DomevParams params = {0};

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(&replay->id), false);
	domev_params_add_string(&params, replay->publisher);
	domev_params_add(&params, TEXTARRAYOID, PointerGetDatum(selection->topics), selection->topics == NULL);
	domev_params_add(&params, TEXTARRAYOID, PointerGetDatum(selection->event_types), selection->event_types == NULL);
	domev_params_add_string(&params, selection->aggregate_type);
	domev_params_add_string(&params, selection->aggregate_id);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(selection->since), !selection->has_since);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(replay->until), false);
	domev_params_add_string(&params, selection->journal_topic);
	domev_params_add(&params, XID8OID, FullTransactionIdGetDatum(FullTransactionIdFromU64(selection->xact_id)),
					 !selection->has_xact_id);
	domev_params_add_string(&params, request->lost_slot);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(replay->position), false);
	domev_params_add(&params, INT8OID, Int64GetDatum(replay->expected), false);
	domev_params_add_string(&params, GetUserNameFromId(replay->role, false));
	domev_params_add(&params, INT4OID, Int32GetDatum(MyProcPid), false);
	if (domev_statement_execute("INSERT INTO domev.replays (replay_id, publisher, topics, event_types, aggregate_type,"
								" aggregate_id, since, until, journal_topic, since_xact_id, lost_slot, position, expected,"
								" started_by, pid) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
								" ON CONFLICT DO NOTHING", &params) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("replay %s already exists", replay->id_text),
				 errhint("domev.resume_replay goes on with one that was ended.")));
}

/* Fills in what record_start and record_progress wrote, as what is left to be selected.  True: it is finished. */
static bool
read_replay(Replay *replay)
{
	DomevSelection *selection = &replay->selection;
	DomevParams params = {0};
	DomevCaller caller;
	HeapTuple	tuple;
	TupleDesc	tupdesc;
	bool		finished;

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(&replay->id), false);
	domev_statement_enter(&caller);
	if (SPI_execute_with_args("SELECT publisher, topics, event_types, aggregate_type, aggregate_id, position, until,"
							  " journal_topic, since_xact_id, events, finished_at FROM domev.replays"
							  " WHERE replay_id OPERATOR(pg_catalog.=) $1",
							  params.count, params.types, params.values, params.nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	domev_statement_leave(&caller);
	if (SPI_processed == 0)
		raise_missing(replay);
	tuple = SPI_tuptable->vals[0];
	tupdesc = SPI_tuptable->tupdesc;
	replay->publisher = SPI_getvalue(tuple, tupdesc, 1);
	check_publisher(replay->publisher); /* somebody may have written it by
										 * hand */
	selection->topics = get_array(tuple, tupdesc, 2);
	selection->event_types = get_array(tuple, tupdesc, 3);
	selection->aggregate_type = SPI_getvalue(tuple, tupdesc, 4);
	selection->aggregate_id = SPI_getvalue(tuple, tupdesc, 5);
	selection->since = get_int64(tuple, tupdesc, 6, &selection->has_since);
	selection->until = get_int64(tuple, tupdesc, 7, &selection->has_until);
	selection->journal_topic = SPI_getvalue(tuple, tupdesc, 8);
	selection->xact_id = get_int64(tuple, tupdesc, 9, &selection->has_xact_id);
	replay->events = get_int64(tuple, tupdesc, 10, &finished);
	(void) get_int64(tuple, tupdesc, 11, &finished);
	SPI_freetuptable(SPI_tuptable);
	return finished;
}

/* A copy; NULL: it is NULL. */
static ArrayType *
get_array(HeapTuple tuple, TupleDesc tupdesc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, tupdesc, column, &isnull);

	return isnull ? NULL : DatumGetArrayTypePCopy(value);
}

/* A number, time or transaction id. */
static int64
get_int64(HeapTuple tuple, TupleDesc tupdesc, int column, bool *given)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, tupdesc, column, &isnull);

	*given = !isnull;
	return isnull ? 0 : DatumGetInt64(value);
}

static void
raise_missing(const Replay *replay)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("replay %s does not exist", replay->id_text),
			 errhint("domev.replays lists those that do.")));
}

/* ----------------------------------------------------------------
 *		Doing it
 * ----------------------------------------------------------------
 */

static void
run_replay(Replay *replay)
{
	ereport(NOTICE,
			(errmsg("replay %s for publisher \"%s\" begins, events: " INT64_FORMAT,
					replay->id_text, replay->publisher, replay->expected - replay->events)));
	replay->noticed = GetCurrentTimestamp();
	record_progress(replay, false);
	if (!replay->atomic)
		SPI_commit();			/* so that others see it */
	while (replay->position < replay->until)
	{
		CHECK_FOR_INTERRUPTS();
		run_window(replay);
		if (!replay->atomic)
			SPI_commit();
	}
	record_progress(replay, true);
	ereport(NOTICE,
			(errmsg("replay %s is complete, events: " INT64_FORMAT, replay->id_text, replay->events)));
}

/* A transaction's worth. */
static void
run_window(Replay *replay)
{
	MemoryContext old = MemoryContextSwitchTo(replay->window);
	TimestampTz end = window_end(replay);
	DomevCaller caller;
	HASHCTL		ctl;
	int64		events;
	bool		slow;

	ctl.keysize = ctl.entrysize = sizeof(CheckedKey);
	ctl.hcxt = replay->window;
	replay->checked = hash_create("domev checked rights", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	replay->bytes = 0;
	domev_registry_refresh();
	domev_statement_enter(&caller);
	events = put_window(replay, &end, &slow);
	domev_statement_leave(&caller);
	fit_window(replay, end, events, slow);
	replay->events += events;
	replay->position = end;
	record_progress(replay, false);
	say_progress(replay);
	MemoryContextSwitchTo(old);
	MemoryContextReset(replay->window);
}

/* Unsigned, as a superuser may have recorded events at any time, infinity included. */
static TimestampTz
window_end(const Replay *replay)
{
	uint64		left = (uint64) replay->until - (uint64) replay->position;

	return left <= replay->width ? replay->until : (TimestampTz) ((uint64) replay->position + replay->width);
}

/*
 * Publishes the window's events, as its tables' owner, and returns how many;
 * if there are too many of them, end becomes the first time that was left.
 * slow: to find them took longer than to publish them.
 */
static int64
put_window(Replay *replay, TimestampTz *end, bool *slow)
{
	TimestampTz planned = *end;
	int64		events = 0;
	instr_time	start;
	instr_time	found;
	instr_time	put;
	Portal		portal;

	INSTR_TIME_SET_CURRENT(start);
	portal = domev_selection_open(&replay->selection, replay->position, planned);
	SPI_cursor_fetch(portal, true, BATCH);
	INSTR_TIME_SET_CURRENT(found);
	while (SPI_processed > 0)
	{
		events = put_batch(replay, SPI_tuptable, SPI_processed, events, end);
		SPI_freetuptable(SPI_tuptable);
		if (*end != planned)
			break;
		SPI_cursor_fetch(portal, true, BATCH);
	}
	SPI_cursor_close(portal);
	INSTR_TIME_SET_CURRENT(put);
	INSTR_TIME_SUBTRACT(put, found);
	INSTR_TIME_SUBTRACT(found, start);
	*slow = INSTR_TIME_GET_MICROSEC(found) > INSTR_TIME_GET_MICROSEC(put);
	return events;
}

/* Returns how many events the window has with these. */
static int64
put_batch(Replay *replay, SPITupleTable *table, uint64 count, int64 events, TimestampTz *end)
{
	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	tuple = table->vals[i];
		MemoryContext old;
		bool		given;
		TimestampTz recorded_at = get_int64(tuple, table->tupdesc, DOMEV_OUTBOX_RECORDED_AT + 1, &given);

		CHECK_FOR_INTERRUPTS();
		if (events > 0 && recorded_at > replay->last &&
			(events >= replay->target || replay->bytes >= MAX_BYTES))
		{
			*end = recorded_at;
			return events;
		}
		old = MemoryContextSwitchTo(replay->scratch);
		put_event(replay, tuple, table->tupdesc);
		MemoryContextSwitchTo(old);
		MemoryContextReset(replay->scratch);
		replay->last = recorded_at;
		events++;
	}
	return events;
}

static void
put_event(Replay *replay, HeapTuple tuple, TupleDesc tupdesc)
{
	const char *source = domev_registry_source();
	char		prefix[DOMEV_MAX_PREFIX + 1];
	char		topic[DOMEV_MAX_NAME + 1];
	DomevEvent	event;
	StringInfoData body;
	bool		journaled;
	bool		complete = domev_selection_get(&replay->selection, tuple, tupdesc, &event, &journaled);

	check_event(replay, &event, journaled);
	initStringInfo(&body);
	if (!complete || !domev_cloudevent_append(&body, &event, source, true))
		domev_cloudevent_append_unpublishable(&body, &event, source);
	domev_cloudevent_append_replay(&body, &replay->id);
	copy_text(topic, sizeof(topic), event.topic);
	snprintf(prefix, sizeof(prefix), DOMEV_REPLAY_PREFIX "%s/%s", replay->publisher, topic);
	domev_outbox_write_message(prefix, &body);
	replay->bytes += body.len;
}

/* Rights count as they are now; and the event may have been committed since all were checked. */
static void
check_event(Replay *replay, const DomevEvent *event, bool journaled)
{
	CheckedKey	key;
	DomevSelectionGroup group = {0};
	bool		found;

	memset(&key, 0, sizeof(key));
	copy_text(key.topic, sizeof(key.topic), event->topic);
	copy_text(key.event_type, sizeof(key.event_type), event->event_type);
	key.journaled = journaled;
	key.domain = event->mapping.data == NULL;
	if (hash_search(replay->checked, &key, HASH_FIND, NULL) != NULL)
		return;
	group.topic = key.topic;
	group.event_type = key.event_type;
	group.any_journaled = key.journaled;
	group.any_domain = key.domain;
	domev_selection_check(&group, replay->role);
	hash_search(replay->checked, &key, HASH_ENTER, &found);
}

/* What a superuser has made longer than a name may be is cut, and is no name of anything. */
static void
copy_text(char *to, Size size, DomevText text)
{
	Size		length = Min(text.size, size - 1);

	memcpy(to, text.data ? text.data : "", length);
	to[length] = '\0';
}

/*
 * The next window: about as many events as are wanted.  If it takes longer to
 * find them than to publish them, as where BRIN has not summarized yet what
 * was written last, more are wanted at a time.
 */
static void
fit_window(Replay *replay, TimestampTz end, int64 events, bool slow)
{
	uint64		covered = (uint64) end - (uint64) replay->position;

	if (slow)
		replay->target = Min(replay->target * 2, LAST_TARGET);
	if (covered < replay->width && end < replay->until)
		replay->width = Max(covered, 1);	/* it was cut */
	if (events < replay->target / 2 || (slow && events < replay->target))
		replay->width = Min(replay->width, PG_UINT64_MAX / 2) * 2;
}

/* ----------------------------------------------------------------
 *		Progress
 * ----------------------------------------------------------------
 */

static void
record_progress(const Replay *replay, bool finished)
{
	DomevParams params = {0};

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(&replay->id), false);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(replay->position), false);
	domev_params_add(&params, INT8OID, Int64GetDatum(replay->events), false);
	domev_params_add(&params, INT8OID, Int64GetDatum(Max(replay->expected, replay->events)), false);
	domev_params_add(&params, INT4OID, Int32GetDatum(MyProcPid), false);
	domev_params_add_bool(&params, finished);
	if (domev_statement_execute("UPDATE domev.replays SET position = $2, events = $3, expected = $4, pid = $5,"
								" updated_at = pg_catalog.clock_timestamp(),"
								" finished_at = CASE WHEN $6 THEN pg_catalog.clock_timestamp() END"
								" WHERE replay_id OPERATOR(pg_catalog.=) $1", &params) == 0)
		raise_missing(replay);
}

static void
say_progress(Replay *replay)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(replay->noticed, now, NOTICE_MS))
		return;
	replay->noticed = now;
	ereport(NOTICE,
			(errmsg("replay %s goes on, events: " INT64_FORMAT " of " INT64_FORMAT ", recorded up to %s",
					replay->id_text, replay->events, replay->expected, timestamptz_to_str(replay->position))));
}

/* The row of the procedure's only output; NULL: there is no replay. */
static Datum
make_result(FunctionCallInfo fcinfo, const pg_uuid_t *id)
{
	TupleDesc	tupdesc;
	Datum		value = UUIDPGetDatum(id);
	bool		isnull = id == NULL;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "procedure does not return its output as a row");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), &value, &isnull));
}
