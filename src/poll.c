/*-------------------------------------------------------------------------
 *
 * poll.c
 *	  How does a consumer read the outbox without a slot?
 *
 * By position: the id of a transaction, and the time at which its last event
 * was recorded that is done.  Only transactions below the snapshot's xmin are
 * looked at, which have all ended: whatever commits later has a higher id, so
 * a position never passes an event that is still to come.  That is the order
 * of ids, which transactions get when they begin to write, not of commits.
 *
 * There is no index by transaction but a BRIN.  So ids are looked at in
 * windows, which grow until there is enough in one: a consumer that is far
 * behind must not sort all that it has missed for each hundred events.  For
 * the partitions there is a lower bound of time, see domev.poll_consumers.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "argument.h"
#include "catalog.h"
#include "catalog/pg_control.h"
#include "catalog/pg_type.h"
#include "cloudevent.h"
#include "consumer.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "outbox.h"
#include "right.h"
#include "statement.h"
#include "summary.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"

/* How many transaction ids are looked at first, and how many times more if there is too little in them. */
#define WINDOW			100
#define WINDOW_GROWTH	32

/* How many events are fetched at a time. */
#define BATCH			100

/* An idle consumer's position is moved when it is so many ids behind, or was not moved for so many microseconds. */
#define IDLE_XIDS		1000
#define IDLE_TIME		(60 * USECS_PER_SEC)

/* 16 hexadecimal digits each of transaction id and time: sorts as text. */
#define POSITION_SIZE	33

/* Where a consumer is. */
typedef struct Position
{
	uint64		xact_id;
	TimestampTz recorded_at;	/* of the last event that is done; DT_NOBEGIN:
								 * none of this transaction */
} Position;

/* A call of poll. */
typedef struct Poll
{
	const char *consumer;
	int64		max;
	bool		reads_any;
	bool		all_topics;
	Datum		topics;			/* else: an array of their names */
	Position	position;
	Position	at;				/* what is before has been looked at */
	TimestampTz since;			/* nothing was recorded before */
	TimestampTz marked_at;
	uint64		horizon;		/* transactions below have ended */
	char	   *source;
	int64		found;
	Position	last;			/* of the last one found */
	pg_uuid_t	last_id;
	bool		is_tied;		/* there are more that have its position */
	ReturnSetInfo *rsinfo;
	MemoryContext context;		/* reset after each event */
} Poll;

/* The columns that poll returns. */
#define POLL_COLUMNS	6

static void get_topics(FunctionCallInfo fcinfo, Poll *poll);
static List *named_topics(List *names, Oid role);
static List *readable_topics(Oid role);
static Datum to_array(List *names);
static void read_position(Poll *poll);
static void find_events(Poll *poll);
static void look(Poll *poll, const char *sql, uint64 until);
static Portal open_cursor(const char *sql, int count, Oid *types, Datum *values, const char *nulls);
static void put_events(Poll *poll, SPITupleTable *table, uint64 count);
static void put_event(Poll *poll, HeapTuple tuple, TupleDesc tupdesc);
static Datum get_text(DomevText string);
static Datum make_json(Poll *poll, const DomevEvent *event, bool complete);
static void flush(void);
static bool move(const char *consumer, Position position);
static void move_idle(Poll *poll);
static Datum format_position(const DomevEvent *event);
static Position parse_position(const char *string);
static bool parse_hex(const char *digits, uint64 *number);
static void check_polled(const char *consumer, Position position);
static void raise_no_position(const char *consumer);

/* ----------------------------------------------------------------
 *		domev.poll
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_poll);

Datum
domev_poll(PG_FUNCTION_ARGS)
{
	Poll		poll = {0};

	poll.consumer = domev_argument_required(fcinfo, 0, "consumer");
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", "max")));
	poll.max = PG_GETARG_INT32(1);
	if (poll.max < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", "max"),
				 errdetail("It must be 1 or more.")));
	PreventCommandDuringRecovery("domev.poll()");
	PreventCommandIfReadOnly("domev.poll()");
	InitMaterializedSRF(fcinfo, 0);
	poll.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	domev_consumer_use(poll.consumer);
	get_topics(fcinfo, &poll);
	domev_consumer_lock_reader(poll.consumer);
	poll.source = domev_catalog_source(NULL);
	SPI_connect();
	poll.context = AllocSetContextCreate(CurrentMemoryContext, "domev poll", ALLOCSET_DEFAULT_SIZES);
	read_position(&poll);
	find_events(&poll);
	SPI_finish();
	if (poll.found > 0)
		flush();
	else
		move_idle(&poll);
	return (Datum) 0;
}

/* As the plugin has it: who names a topic must be allowed to read it, who names none gets what he may read. */
static void
get_topics(FunctionCallInfo fcinfo, Poll *poll)
{
	List	   *names = domev_argument_names(fcinfo, 2, "topics");
	Oid			role = GetUserId();

	poll->reads_any = poll->all_topics = names == NIL && domev_right_reads_all(role);
	if (poll->all_topics)
		return;
	names = names != NIL ? named_topics(names, role) : readable_topics(role);
	poll->reads_any = names != NIL;
	poll->topics = to_array(names);
}

static List *
named_topics(List *names, Oid role)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		const char *name = lfirst(lc);
		DomevTopic	topic;

		if (!domev_catalog_topic(name, NULL, &topic))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("topic \"%s\" does not exist", name),
					 errhint("Register it with domev.create_topic; domev.topics lists those that exist.")));
		if (!domev_right_is_had(DOMEV_READ_TOPIC, name, role))
			domev_right_raise_denied(DOMEV_READ_TOPIC, name, role);
		if (topic.in_wal)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("topic \"%s\" has storage \"wal\"", name),
					 errdetail("Its events are not in domev.outbox."),
					 errhint("Only a slot has them; or give the topic storage \"table\".")));
	}
	return names;
}

static List *
readable_topics(Oid role)
{
	List	   *readable = NIL;
	ListCell   *lc;

	foreach(lc, domev_catalog_topic_names())
	{
		if (domev_right_is_had(DOMEV_READ_TOPIC, lfirst(lc), role))
			readable = lappend(readable, lfirst(lc));
	}
	if (readable == NIL)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("role \"%s\" may read no topic", GetUserNameFromId(role, false)),
				 errdetail("No event is sent to it."),
				 errhint("Grant it SELECT on views in schema \"%s\".", DOMEV_TOPIC_SCHEMA)));
	return readable;
}

static Datum
to_array(List *names)
{
	Datum	   *elements = palloc((list_length(names) + 1) * sizeof(Datum));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, names)
		elements[count++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Where the consumer is, and how far it may look: what has ended by now, which
 * every snapshot from here on sees.  Only a clock that was set back by more
 * than a day could have recorded an event before poll->since.
 */
static void
read_position(Poll *poll)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(poll->consumer)};
	DomevCaller caller;
	Datum		row[5];
	bool		isnull;

	domev_statement_enter(&caller);
	if (SPI_execute_with_args("SELECT position, recorded_at, since OPERATOR(pg_catalog.-) '1 day'::pg_catalog.interval, marked_at,"
							  " pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())"
							  " FROM domev.poll_consumers WHERE consumer OPERATOR(pg_catalog.=) $1",
							  lengthof(types), types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of domev");
	domev_statement_leave(&caller);
	if (SPI_processed == 0)
		raise_no_position(poll->consumer);
	for (int i = 0; i < lengthof(row); i++)
		row[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull);
	poll->position.xact_id = U64FromFullTransactionId(DatumGetFullTransactionId(row[0]));
	poll->position.recorded_at = DatumGetTimestampTz(row[1]);
	poll->since = DatumGetTimestampTz(row[2]);
	poll->marked_at = DatumGetTimestampTz(row[3]);
	poll->horizon = U64FromFullTransactionId(DatumGetFullTransactionId(row[4]));
	SPI_freetuptable(SPI_tuptable);
}

/* ----------------------------------------------------------------
 *		Looking for events
 * ----------------------------------------------------------------
 */

#define EVENTS \
	"SELECT " DOMEV_OUTBOX_COLUMN_LIST \
	" FROM domev.outbox AS o WHERE o.topic IS NOT NULL AND pg_catalog.isfinite(o.recorded_at) AND ($6 IS NULL OR o.topic OPERATOR(pg_catalog.=) ANY ($6))"

#define SINCE \
	" AND o.recorded_at OPERATOR(pg_catalog.>=) $4"
#define IN_ORDER \
	" ORDER BY o.xact_id, o.recorded_at, o.event_id LIMIT $5"

/* A transaction has recorded its events in the order of their times: of one that is large, what is not done is not all sorted. */
#define SAME_TRANSACTION \
	EVENTS " AND o.xact_id OPERATOR(pg_catalog.=) $1 AND o.recorded_at OPERATOR(pg_catalog.>) $3" \
	" AND o.recorded_at OPERATOR(pg_catalog.<=) ($3 OPERATOR(pg_catalog.+) '1 second'::pg_catalog.interval)" IN_ORDER
#define FROM_POSITION \
	EVENTS SINCE " AND o.xact_id OPERATOR(pg_catalog.>=) $1 AND o.xact_id OPERATOR(pg_catalog.<) $2" \
	" AND (o.xact_id OPERATOR(pg_catalog.>) $1 OR o.recorded_at OPERATOR(pg_catalog.>) $3)" IN_ORDER

/* What has one position, which emit gives to one event alone.  (LIMIT ... WITH TIES would sort all that there is.) */
#define TIES \
	EVENTS " AND o.xact_id OPERATOR(pg_catalog.=) $1 AND o.recorded_at OPERATOR(pg_catalog.=) $3" \
	" AND o.event_id OPERATOR(pg_catalog.>) $7 ORDER BY o.event_id"

static void
find_events(Poll *poll)
{
	uint64		window = Max(WINDOW, (uint64) poll->max);
	Position   *at = &poll->at;
	DomevCaller caller;

	if (poll->position.xact_id >= poll->horizon)
		return;
	domev_statement_enter(&caller);
	domev_summary_refresh(poll->since);
	domev_statement_leave(&caller);
	poll->at = poll->position;
	if (!TIMESTAMP_IS_NOBEGIN(at->recorded_at))
	{
		look(poll, SAME_TRANSACTION, poll->horizon);
		at->recorded_at += USECS_PER_SEC;
	}
	while (at->xact_id < poll->horizon && poll->found < poll->max)
	{
		uint64		until = Min(poll->horizon, at->xact_id + window);

		look(poll, FROM_POSITION, until);
		at->xact_id = until;
		at->recorded_at = DT_NOBEGIN;
		window *= WINDOW_GROWTH;
	}
	if (poll->is_tied)
	{
		poll->at = poll->last;
		poll->is_tied = false;
		poll->max = PG_INT32_MAX;
		look(poll, TIES, 0);
	}
}

/* Puts what there is between where it is and a transaction. */
static void
look(Poll *poll, const char *sql, uint64 until)
{
	Oid			types[] = {XID8OID, XID8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTARRAYOID, UUIDOID};
	Datum		values[] = {
		FullTransactionIdGetDatum(FullTransactionIdFromU64(poll->at.xact_id)),
		FullTransactionIdGetDatum(FullTransactionIdFromU64(until)),
		TimestampTzGetDatum(poll->at.recorded_at), TimestampTzGetDatum(poll->since),
		Int64GetDatum(poll->max - poll->found + 1), poll->topics, UUIDPGetDatum(&poll->last_id)
	};
	char		nulls[] = {' ', ' ', ' ', ' ', ' ', poll->all_topics ? 'n' : ' ', ' ', '\0'};
	DomevCaller caller;
	Portal		portal;

	domev_statement_enter(&caller);
	portal = open_cursor(sql, lengthof(types), types, values, nulls);
	do
	{
		SPI_cursor_fetch(portal, true, BATCH);
		put_events(poll, SPI_tuptable, SPI_processed);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	domev_statement_leave(&caller);
}

/* Planned for the BRIN: the planner may not know yet how large the outbox is. */
static Portal
open_cursor(const char *sql, int count, Oid *types, Datum *values, const char *nulls)
{
	static const char *const settings[] = {"enable_seqscan", "jit"};
	int			nestlevel = NewGUCNestLevel();
	Portal		portal;

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("max_parallel_workers_per_gather", "0", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	portal = SPI_cursor_open_with_args(NULL, sql, count, types, values, nulls, false, 0);
	AtEOXact_GUC(true, nestlevel);
	return portal;
}

/* ----------------------------------------------------------------
 *		Giving events
 * ----------------------------------------------------------------
 */

/* One more was looked for than is wanted: it is not given, unless it has the position of the last one. */
static void
put_events(Poll *poll, SPITupleTable *table, uint64 count)
{
	for (uint64 i = 0; i < count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(poll->context);

		CHECK_FOR_INTERRUPTS();
		put_event(poll, table->vals[i], table->tupdesc);
		MemoryContextSwitchTo(old);
		MemoryContextReset(poll->context);
	}
	SPI_freetuptable(table);
}

static void
put_event(Poll *poll, HeapTuple tuple, TupleDesc tupdesc)
{
	DomevEvent	event;
	bool		complete = domev_outbox_get(tuple, tupdesc, &event);

	if (poll->found >= poll->max)
	{
		poll->is_tied = event.xact_id == poll->last.xact_id && event.recorded_at == poll->last.recorded_at;
		return;
	}
	poll->found++;
	poll->last.xact_id = event.xact_id;
	poll->last.recorded_at = event.recorded_at;
	poll->last_id = event.event_id;
	{
		DomevText	key = event.key.data ? event.key : event.aggregate_id;
		Datum		row[POLL_COLUMNS] = {
			format_position(&event), UUIDPGetDatum(&event.event_id), get_text(event.topic),
			get_text(event.event_type), get_text(key), make_json(poll, &event, complete)
		};
		bool		row_nulls[POLL_COLUMNS] = {false, false, false, false, key.data == NULL, false};

		tuplestore_putvalues(poll->rsinfo->setResult, poll->rsinfo->setDesc, row, row_nulls);
	}
}

static Datum
get_text(DomevText string)
{
	return string.data ? PointerGetDatum(cstring_to_text_with_len(string.data, string.size)) : (Datum) 0;
}

/* What the plugin would send, but for what only it knows, as its text functions show it in this database's encoding. */
static Datum
make_json(Poll *poll, const DomevEvent *event, bool complete)
{
	StringInfoData utf8;
	StringInfoData ascii;

	initStringInfo(&utf8);
	if (!complete || !domev_cloudevent_append(&utf8, event, poll->source, true))
		domev_cloudevent_append_unpublishable(&utf8, event, poll->source);
	appendStringInfoChar(&utf8, '}');
	if (GetDatabaseEncoding() == PG_UTF8)
		return PointerGetDatum(cstring_to_text_with_len(utf8.data, utf8.len));
	initStringInfo(&ascii);
	domev_cloudevent_to_ascii(&ascii, utf8.data, utf8.len);
	return PointerGetDatum(cstring_to_text_with_len(ascii.data, ascii.len));
}

/*
 * What a transaction has written that did not wait for its WAL is seen before
 * it is safe.  Who polls must not act on an event that a crash takes back.
 */
static void
flush(void)
{
	int			nothing = 0;

	if (GetXLogInsertRecPtr() <= GetFlushRecPtr(NULL))
		return;
	XLogBeginInsert();
	XLogSetRecordFlags(XLOG_MARK_UNIMPORTANT);
	XLogRegisterData((char *) &nothing, sizeof(nothing));
	XLogFlush(XLogInsert(RM_XLOG_ID, XLOG_NOOP));
}

/* ----------------------------------------------------------------
 *		Moving on
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_ack);

/* SQL: what is up to a position is done; NULL, the last position of nothing: nothing is. */
Datum
domev_ack(PG_FUNCTION_ARGS)
{
	char	   *consumer = domev_argument_required(fcinfo, 0, "consumer");
	char	   *string = domev_argument_optional(fcinfo, 1);
	Position	position = {0};

	PreventCommandDuringRecovery("domev.ack()");
	PreventCommandIfReadOnly("domev.ack()");
	if (string != NULL)
		position = parse_position(string);
	domev_consumer_use(consumer);
	domev_consumer_lock_reader(consumer);
	check_polled(consumer, position);
	PG_RETURN_BOOL(string != NULL && move(consumer, position));
}

/* False: it is there, or further. */
static bool
move(const char *consumer, Position position)
{
	DomevParams params = {0};

	domev_params_add_string(&params, consumer);
	domev_params_add(&params, XID8OID, FullTransactionIdGetDatum(FullTransactionIdFromU64(position.xact_id)), false);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(position.recorded_at), false);
	return domev_statement_execute("UPDATE domev.poll_consumers SET position = $2, recorded_at = $3,"
								   " since = CASE WHEN $2 OPERATOR(pg_catalog.>=) mark THEN marked_at ELSE since END,"
								   " mark = CASE WHEN $2 OPERATOR(pg_catalog.>=) mark"
								   " THEN pg_catalog.pg_current_xact_id() ELSE mark END,"
								   " marked_at = CASE WHEN $2 OPERATOR(pg_catalog.>=) mark THEN pg_catalog.now() ELSE marked_at END,"
								   " acked_at = pg_catalog.clock_timestamp() WHERE consumer OPERATOR(pg_catalog.=) $1"
								   " AND ROW(position, recorded_at) OPERATOR(pg_catalog.<) ROW($2, $3)", &params) == 1;
}

/*
 * A consumer for whom there is seldom anything keeps partitions, and has more
 * ids to look at each time.  Not at each poll: that would write.
 */
static void
move_idle(Poll *poll)
{
	Position	horizon = {poll->horizon, DT_NOBEGIN};

	if (poll->reads_any && poll->horizon > poll->position.xact_id &&
		(poll->horizon - poll->position.xact_id > IDLE_XIDS ||
		 GetCurrentTimestamp() - poll->marked_at > IDLE_TIME))
		move(poll->consumer, horizon);
}

/* ----------------------------------------------------------------
 *		Positions
 * ----------------------------------------------------------------
 */

static Datum
format_position(const DomevEvent *event)
{
	return CStringGetTextDatum(psprintf("%016llX.%016llX", (unsigned long long) event->xact_id,
										(unsigned long long) event->recorded_at));
}

static Position
parse_position(const char *string)
{
	Position	position;
	uint64		recorded_at;

	if (strlen(string) != POSITION_SIZE || string[POSITION_SIZE / 2] != '.' ||
		!parse_hex(string, &position.xact_id) || !parse_hex(string + POSITION_SIZE / 2 + 1, &recorded_at) ||
		!IS_VALID_TIMESTAMP((TimestampTz) recorded_at) || !IS_VALID_TIMESTAMP((TimestampTz) recorded_at + USECS_PER_SEC))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s", "position"),
				 errhint("Give one that domev.poll has returned.")));
	position.recorded_at = (TimestampTz) recorded_at;
	return position;
}

static bool
parse_hex(const char *digits, uint64 *number)
{
	*number = 0;
	for (int i = 0; i < POSITION_SIZE / 2; i++)
	{
		const char *digit = digits[i] ? strchr("0123456789ABCDEF", digits[i]) : NULL;

		if (digit == NULL)
			return false;
		*number = *number << 4 | (digit - "0123456789ABCDEF");
	}
	return true;
}

/* What has not ended was not returned by poll; to pass it would lose it. */
static void
check_polled(const char *consumer, Position position)
{
	Poll		poll = {.consumer = consumer};

	SPI_connect();
	read_position(&poll);
	SPI_finish();
	if (position.xact_id >= poll.horizon)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("position was not polled"),
				 errdetail("Transactions before it have not ended."),
				 errhint("Give one that domev.poll has returned.")));
}

static void
raise_no_position(const char *consumer)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("consumer \"%s\" does not poll", consumer),
			 errhint("Say from when on it shall: domev.alter_consumer(..., poll_since => now()).")));
}
