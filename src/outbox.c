/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  How is an event kept, as a row or as a WAL message?
 *
 * Everything that could make an event unreadable is checked before it is
 * kept, as the output plugin must never fail.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_control.h"
#include "catalog/pg_type.h"
#include "cloudevent.h"
#include "mb/pg_wchar.h"
#include "member.h"
#include "miscadmin.h"
#include "outbox.h"
#include "partition.h"
#include "registry.h"
#include "replication/slot.h"
#include "statement.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"

/* Lives in the memory context that was current at open. */
struct DomevOutbox
{
	MemoryContext scratch;		/* reset after each event */
};

/* domev.max_event_size: of the finished event, in kB */
static int	max_event_size;

/* The end of this backend's last message in the WAL, and the (sub)transaction that wrote it. */
static XLogRecPtr message_end = InvalidXLogRecPtr;
static TransactionId message_xid = InvalidTransactionId;

static void keep_behind_message(void);
static void subtransaction_callback(SubXactEvent event, SubTransactionId mine,
									SubTransactionId parent, void *arg);
static void insert_nothing(void);
static void watch_subtransactions(void);
static TimestampTz rising_timestamp(void);
static void raise_too_large(Size size);
static void warn_without_slot(void);

/*
 * Defines domev.max_event_size.  Its maximum leaves room for what the text
 * functions may make of an event (up to three times its size, as escapes)
 * below the 1 GB of a datum.
 */
void
domev_outbox_init(void)
{
	DefineCustomIntVariable("domev.max_event_size",
							"Largest event that may be emitted, as it would be sent.",
							NULL,
							&max_event_size,
							64 * 1024, 1, DOMEV_MAX_EVENT_KB,
							PGC_SUSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);
}

DomevOutbox *
domev_outbox_open(void)
{
	DomevOutbox *outbox = palloc0(sizeof(DomevOutbox));

	outbox->scratch = AllocSetContextCreate(CurrentMemoryContext, "domev outbox",
											ALLOCSET_DEFAULT_SIZES);
	return outbox;
}

void
domev_outbox_close(DomevOutbox *outbox)
{
	MemoryContextDelete(outbox->scratch);
	pfree(outbox);
}

/* ----------------------------------------------------------------
 *		Checks
 * ----------------------------------------------------------------
 */

/*
 * Raises an error if the finished event would be too large, or if its bytes
 * could not be sent as UTF-8.
 */
void
domev_outbox_check(const DomevEvent *event)
{
	Size		limit = (Size) max_event_size * 1024;
	const char *source = domev_registry_source();
	StringInfoData body;

	/* The bound is cheap, and enough for all but large or non-UTF-8 events. */
	if (GetDatabaseEncoding() == PG_UTF8 &&
		domev_cloudevent_size_limit(event, source) <= limit)
		return;

	/* What would not even fit into memory is over any limit. */
	if ((Size) event->payload.size + (Size) event->data.size > limit)
		raise_too_large((Size) event->payload.size + event->data.size);

	initStringInfo(&body);
	domev_cloudevent_append(&body, event, source, false);
	domev_cloudevent_finish(&body, 0, 0, false);
	if (body.len > limit)
		raise_too_large(body.len);
	pfree(body.data);
}

static void
raise_too_large(Size size)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("event is too large"),
			 errdetail("It would have %zu bytes or more, %s allows %d kB.",
					   size, "domev.max_event_size", max_event_size),
			 errhint("Put the data elsewhere and a reference to it into the event, or have a superuser raise the setting.")));
}

/* ----------------------------------------------------------------
 *		Rows
 * ----------------------------------------------------------------
 */

/* Keeps a checked event where its topic says. */
void
domev_outbox_publish(DomevOutbox *outbox, const DomevTopic *topic, DomevEvent *event)
{
	event->topic = domev_text(topic->name);
	if (topic->in_wal)
		domev_outbox_put_message(outbox, event);
	else
		domev_outbox_put_row(outbox, event);
}

/* Keeps a checked event as a row; fills its recorded_at and xact_id. */
void
domev_outbox_put_row(DomevOutbox *outbox, DomevEvent *event)
{
	MemoryContext old;

	keep_behind_message();
	event->recorded_at = rising_timestamp();
	event->xact_id = U64FromFullTransactionId(GetTopFullTransactionId());

	old = MemoryContextSwitchTo(outbox->scratch);
	domev_partition_insert(event);
	MemoryContextSwitchTo(old);
	MemoryContextReset(outbox->scratch);
}

/*
 * A row that a query gave for DOMEV_OUTBOX_COLUMN_LIST as an event, in the
 * current memory context.  False: it was written by hand, and is none that
 * could be sent.
 */
bool
domev_outbox_get(HeapTuple tuple, TupleDesc tupdesc, DomevEvent *event)
{
	Datum		values[DOMEV_OUTBOX_COLUMNS];
	bool		nulls[DOMEV_OUTBOX_COLUMNS];

	heap_deform_tuple(tuple, tupdesc, values, nulls);
	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
	{
		if (!nulls[i] && TupleDescAttr(tupdesc, i)->attlen == -1)
			values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(values[i]));
	}
	return domev_event_from_row(event, values, nulls) && domev_member_are_attributes(event->headers);
}

/*
 * Decoding merges the changes of subtransactions by their positions.  That of
 * a row is where its record starts, but that of a message is where its record
 * ends: a message of one subtransaction and the row of another one right
 * behind it have the same position, and may change places.  A record between
 * them keeps them apart.
 *
 * Two such rows matter.  One is ours: the events would change places.
 */
static void
keep_behind_message(void)
{
	if (TransactionIdIsValid(message_xid) &&
		message_xid != GetCurrentTransactionId() &&
		message_end == GetXLogInsertRecPtr())
		insert_nothing();
}

/*
 * The other one is anybody's, in a savepoint that is rolled back later.  When
 * a large transaction is decoded before its end, PostgreSQL drops what comes
 * behind a row of which it finds that out, and may drop a message that it
 * took to come behind it.
 */
static void
subtransaction_callback(SubXactEvent event, SubTransactionId mine,
						SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_START_SUB && message_end == GetXLogInsertRecPtr())
		insert_nothing();
}

static void
insert_nothing(void)
{
	int			nothing = 0;

	XLogBeginInsert();
	XLogSetRecordFlags(XLOG_MARK_UNIMPORTANT);
	XLogRegisterData((char *) &nothing, sizeof(nothing));
	XLogInsert(RM_XLOG_ID, XLOG_NOOP);
}

/*
 * Now, but later than this backend's event before: so that recorded_at is the
 * order of a transaction's events.
 */
static TimestampTz
rising_timestamp(void)
{
	static TimestampTz last = 0;

	last = Max(GetCurrentTimestamp(), last + 1);
	return last;
}

/*
 * Claims an id that the caller of emit gave.  False: it was claimed before,
 * for the same event type.  For another, which another role may emit, that
 * would keep this event from being emitted without a word.  Waits for a
 * transaction that has claimed it and has not ended yet.
 */
bool
domev_outbox_claim(const pg_uuid_t *event_id, const char *event_type)
{
	DomevParams params = {0};
	char	   *claimed_for;

	domev_params_add(&params, UUIDOID, UUIDPGetDatum(event_id), false);
	domev_params_add_string(&params, event_type);
	if (domev_statement_execute("INSERT INTO domev.idempotency (event_id, event_type) VALUES ($1, $2)"
								" ON CONFLICT DO NOTHING", &params) == 1)
		return true;
	claimed_for = domev_catalog_claim(event_id);
	if (claimed_for != NULL && strcmp(claimed_for, event_type) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("event id %s is that of an event of another type",
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(event_id)))),
				 errhint("An event id makes a call idempotent; give another event another one.")));
	return false;
}

/* ----------------------------------------------------------------
 *		WAL messages
 * ----------------------------------------------------------------
 */

/* Keeps a checked event as a WAL message; it has a topic. */
void
domev_outbox_put_message(DomevOutbox *outbox, DomevEvent *event)
{
	MemoryContext old = MemoryContextSwitchTo(outbox->scratch);
	StringInfoData body;
	char		prefix[sizeof(DOMEV_MESSAGE_PREFIX) + DOMEV_MAX_NAME];

	Assert(event->topic.size <= DOMEV_MAX_NAME);
	strcpy(prefix, DOMEV_MESSAGE_PREFIX);
	memcpy(prefix + strlen(DOMEV_MESSAGE_PREFIX), event->topic.data, event->topic.size);
	prefix[strlen(DOMEV_MESSAGE_PREFIX) + event->topic.size] = '\0';
	initStringInfo(&body);
	domev_cloudevent_append(&body, event, domev_registry_source(), false);
	domev_outbox_write_message(prefix, &body);
	MemoryContextSwitchTo(old);
	MemoryContextReset(outbox->scratch);
}

/* Writes the body of an event as a message with this prefix, and seals it for that. */
void
domev_outbox_write_message(const char *prefix, StringInfo body)
{
	warn_without_slot();
	watch_subtransactions();
	domev_cloudevent_seal(body, domev_registry_message_key(), GetTopTransactionId(), prefix);
	message_end = domev_log_logical_message_compat(prefix, body->data, body->len, true, false);
	message_xid = GetCurrentTransactionId();
}

/* From the first message of a session on. */
static void
watch_subtransactions(void)
{
	static bool watching = false;

	if (!watching)
		RegisterSubXactCallback(subtransaction_callback, NULL);
	watching = true;
}

/* Said once in a session: nobody would ever see what it publishes. */
static void
warn_without_slot(void)
{
	static bool checked = false;
	int			slots;
	int			active;

	if (checked)
		return;
	checked = true;
	if (!ReplicationSlotsCountDBSlots(MyDatabaseId, &slots, &active))
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no logical replication slot exists in this database"),
				 errdetail("Events of topics with storage \"wal\" and replays are seen only by slots that exist when they are written."),
				 errhint("Create the slot first: SELECT pg_create_logical_replication_slot('my_publisher', 'domev');")));
}
