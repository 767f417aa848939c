/*-------------------------------------------------------------------------
 *
 * output.c
 *	  What does the output plugin do at each step of decoding?
 *
 * The callbacks.  Events come as rows inserted into the outbox or as WAL
 * messages; both leave as the same bytes, in commit order.
 *
 * One event is always held back.  The last of a transaction is sent from the
 * commit callback, so that its message carries the end of the transaction as
 * its position; the earlier ones carry their own.  Clients acknowledge by
 * these positions, some without being told to: a position past the commit
 * must not be known to a client before it has the last event.
 *
 * Nothing here may raise an error because of data: the client would come
 * back and meet it again, for ever.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "cloudevent.h"
#include "filter.h"
#include "mb/pg_wchar.h"
#include "replication/logical.h"
#include "replication/origin.h"
#include "replication/output_plugin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"

/* Dropped messages are said in the log at most once in this time. */
#define DROPPED_LOG_MS	60000

/* Larger buffers are given back once they are sent. */
#define KEEP_BUFFER		(1024 * 1024)

/* A decoding session; lives in the decoding context's memory. */
typedef struct Output
{
	DomevOptions options;
	DomevFilter *filter;
	MemoryContext scratch;		/* reset after each change */
	bool		ascii;			/* a client of the SQL functions that cannot
								 * take UTF-8 */
	int			skipped;		/* changes since the last sign of life, before
								 * 16 */

	/* of the transaction being sent */
	uint32		index;			/* of the next event */
	bool		sent;			/* anything */
	bool		holding;
	StringInfoData held;		/* the body of the last event */
	uint32		held_index;
	XLogRecPtr	held_lsn;

	/* messages with our prefix that are not ours */
	uint64		dropped;		/* and not yet said in the log */
} Output;

/* When dropped messages were said in the log, by whatever session of this process. */
static TimestampTz dropped_logged = 0;

static void output_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init);
static void output_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void output_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						  Relation relation, ReorderBufferChange *change);
static void output_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						   XLogRecPtr lsn, bool transactional, const char *prefix,
						   Size size, const char *message);
static void output_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn);
static bool output_filter_by_origin(LogicalDecodingContext *ctx, ReplOriginId origin_id);
static void output_stream_abort(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
								XLogRecPtr abort_lsn);
static void output_shutdown(LogicalDecodingContext *ctx);

static void publish_row(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						Relation relation, HeapTuple tuple,
						const AttrNumber *columns, XLogRecPtr lsn);
static bool read_row(Relation relation, HeapTuple tuple, const AttrNumber *columns,
					 TransactionId xid, DomevEvent *event, bool *complete);
static bool publish_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
							XLogRecPtr lsn, const char *prefix, Size size, const char *message);
static void hold(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
				 StringInfo body, uint32 index, XLogRecPtr lsn);
static void send_held(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, bool last);
static void note_dropped(Output *output, XLogRecPtr lsn);
static void log_dropped(Output *output, XLogRecPtr lsn);

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = output_startup;
	callbacks->begin_cb = output_begin;
	callbacks->change_cb = output_change;
	callbacks->message_cb = output_message;
	callbacks->commit_cb = output_commit;
	callbacks->filter_by_origin_cb = output_filter_by_origin;
	callbacks->stream_abort_cb = output_stream_abort;
	callbacks->shutdown_cb = output_shutdown;
}

/* ----------------------------------------------------------------
 *		Callbacks
 * ----------------------------------------------------------------
 */

/* With is_init a slot is being made: there are no options then, and maybe no extension. */
static void
output_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init)
{
	MemoryContext old = MemoryContextSwitchTo(ctx->context);
	Output	   *output = palloc0(sizeof(Output));

	ctx->streaming = false;		/* see output_stream_abort */
	opt->output_type = OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
	opt->receive_rewrites = false;
	domev_options_parse(&output->options, ctx->output_plugin_options);
	output->filter = domev_filter_create(&output->options);
	output->scratch = AllocSetContextCreate(ctx->context, "domev change",
											ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&output->held);

	/*
	 * Only walsenders report progress; the SQL functions return text of the
	 * database.
	 */
	output->ascii = ctx->update_progress == NULL && GetDatabaseEncoding() != PG_UTF8;
	ctx->output_plugin_private = output;
	MemoryContextSwitchTo(old);
}

static void
output_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Output	   *output = ctx->output_plugin_private;

	output->index = 0;
	output->sent = false;
	output->holding = false;
	resetStringInfo(&output->held); /* an error may have left something */
	domev_filter_begin(output->filter);
}

static void
output_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			  ReorderBufferChange *change)
{
	Output	   *output = ctx->output_plugin_private;
	MemoryContext old;
	const AttrNumber *columns;

	domev_keep_alive_compat(ctx, &output->skipped);
	if (change->action != REORDER_BUFFER_CHANGE_INSERT)
		return;
	old = MemoryContextSwitchTo(output->scratch);
	columns = domev_filter_columns(output->filter, relation);
	if (columns != NULL && domev_new_tuple_compat(change) != NULL)
		publish_row(ctx, txn, relation, domev_new_tuple_compat(change), columns, change->lsn);
	MemoryContextSwitchTo(old);
	MemoryContextReset(output->scratch);
}

static void
output_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
			   bool transactional, const char *prefix, Size size, const char *message)
{
	Output	   *output = ctx->output_plugin_private;
	MemoryContext old;

	if (transactional)
		domev_keep_alive_compat(ctx, &output->skipped);
	if (strncmp(prefix, DOMEV_MESSAGE_PREFIX, strlen(DOMEV_MESSAGE_PREFIX)) != 0)
		return;
	old = MemoryContextSwitchTo(output->scratch);

	/*
	 * domev's own are all transactional; outside of one, no catalog may be
	 * read.
	 */
	if (!transactional || !publish_message(ctx, txn, lsn, prefix, size, message))
		note_dropped(output, lsn);
	MemoryContextSwitchTo(old);
	MemoryContextReset(output->scratch);
}

static void
output_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	Output	   *output = ctx->output_plugin_private;

	OutputPluginUpdateProgress(ctx, !output->sent && !output->holding);
	if (output->holding)
		send_held(ctx, txn, true);
}

/* True: skip it.  By default what was replicated from another server is not published again. */
static bool
output_filter_by_origin(LogicalDecodingContext *ctx, ReplOriginId origin_id)
{
	Output	   *output = ctx->output_plugin_private;

	return !output->options.any_origin && origin_id != InvalidReplOriginId;
}

/*
 * Nothing is streamed, so nothing of it is aborted.  But PostgreSQL 18.6 marks
 * the subtransactions of a large transaction that it finds aborted as
 * streamed, whether they were or not, and fails for a plugin that does not
 * have this callback.
 */
static void
output_stream_abort(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr abort_lsn)
{
}

static void
output_shutdown(LogicalDecodingContext *ctx)
{
	Output	   *output = ctx->output_plugin_private;

	if (output->dropped > 0)
		log_dropped(output, InvalidXLogRecPtr);
}

/* ----------------------------------------------------------------
 *		Rows and messages
 * ----------------------------------------------------------------
 */

static void
publish_row(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			HeapTuple tuple, const AttrNumber *columns, XLogRecPtr lsn)
{
	Output	   *output = ctx->output_plugin_private;
	DomevEvent	event;
	StringInfoData body;
	uint32		index;
	bool		complete;
	const char *source;

	if (!read_row(relation, tuple, columns, txn->xid, &event, &complete))
		return;

	/* Counted before it is filtered: the same for every client. */
	index = output->index++;
	if (!domev_filter_wants(output->filter, event.topic, event.event_type))
		return;
	source = domev_filter_source(output->filter);
	initStringInfo(&body);
	if (!complete || !domev_cloudevent_append(&body, &event, source, true))
		domev_cloudevent_append_unpublishable(&body, &event, source);
	hold(ctx, txn, &body, index, lsn);
}

/*
 * False: the row is not to be published.  That is so for the journal, and for
 * rows that another transaction than their own wrote: restored, moved between
 * partitions, or applied from another server.
 */
static bool
read_row(Relation relation, HeapTuple tuple, const AttrNumber *columns,
		 TransactionId xid, DomevEvent *event, bool *complete)
{
	TupleDesc	tupdesc = RelationGetDescr(relation);
	Datum	   *all_values = palloc(tupdesc->natts * sizeof(Datum));
	bool	   *all_nulls = palloc(tupdesc->natts * sizeof(bool));
	Datum		values[DOMEV_OUTBOX_COLUMNS];
	bool		nulls[DOMEV_OUTBOX_COLUMNS];

	heap_deform_tuple(tuple, tupdesc, all_values, all_nulls);
	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
	{
		values[i] = all_values[columns[i] - 1];
		nulls[i] = all_nulls[columns[i] - 1];
	}
	if (nulls[DOMEV_OUTBOX_TOPIC] || nulls[DOMEV_OUTBOX_XACT_ID] ||
		XidFromFullTransactionId(DatumGetFullTransactionId(values[DOMEV_OUTBOX_XACT_ID])) != xid)
		return false;

	for (int i = 0; i < DOMEV_OUTBOX_COLUMNS; i++)
	{
		if (!nulls[i] && TupleDescAttr(tupdesc, columns[i] - 1)->attlen == -1)
			values[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(values[i]));
	}
	*complete = domev_event_from_row(event, values, nulls);
	return true;
}

/* False: the message is forged or damaged. */
static bool
publish_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
				const char *prefix, Size size, const char *message)
{
	Output	   *output = ctx->output_plugin_private;
	const uint8 *key = domev_filter_message_key(output->filter);
	DomevText	topic = domev_text(prefix + strlen(DOMEV_MESSAGE_PREFIX));
	char	   *type = NULL;
	StringInfoData body;
	Size		body_size;
	uint32		index;

	if (key == NULL ||
		!domev_cloudevent_unseal(message, size, key, txn->xid, prefix, &body_size))
		return false;
	index = output->index++;
	if (output->options.event_types != NIL)
		type = domev_cloudevent_type(message, body_size);
	if (domev_filter_wants(output->filter, topic, domev_text(type)))
	{
		initStringInfo(&body);
		appendBinaryStringInfo(&body, message, body_size);
		hold(ctx, txn, &body, index, lsn);
	}
	return true;
}

/* ----------------------------------------------------------------
 *		Sending
 * ----------------------------------------------------------------
 */

/* Sends the event that was held, and holds this one instead. */
static void
hold(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, StringInfo body,
	 uint32 index, XLogRecPtr lsn)
{
	Output	   *output = ctx->output_plugin_private;

	if (output->holding)
		send_held(ctx, txn, false);
	appendBinaryStringInfo(&output->held, body->data, body->len);
	output->holding = true;
	output->held_index = index;
	output->held_lsn = lsn;
}

static void
send_held(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, bool last)
{
	Output	   *output = ctx->output_plugin_private;
	XLogRecPtr	location = ctx->write_location;

	domev_cloudevent_finish(&output->held, txn->final_lsn, output->held_index, last);

	/* In the commit callback the location is the transaction's end already. */
	if (!last)
		ctx->write_location = output->held_lsn;
	OutputPluginPrepareWrite(ctx, true);
	if (output->ascii)
		domev_cloudevent_to_ascii(ctx->out, output->held.data, output->held.len);
	else
		appendBinaryStringInfo(ctx->out, output->held.data, output->held.len);
	OutputPluginWrite(ctx, true);
	ctx->write_location = location;

	output->holding = false;
	output->sent = true;
	resetStringInfo(&output->held);
	if (output->held.maxlen > KEEP_BUFFER)
	{
		MemoryContext old = MemoryContextSwitchTo(ctx->context);

		pfree(output->held.data);
		initStringInfo(&output->held);
		MemoryContextSwitchTo(old);
	}
}

/* ----------------------------------------------------------------
 *		Dropped messages
 * ----------------------------------------------------------------
 */

static void
note_dropped(Output *output, XLogRecPtr lsn)
{
	TimestampTz now = GetCurrentTimestamp();

	output->dropped++;
	if (dropped_logged == 0 ||
		TimestampDifferenceExceeds(dropped_logged, now, DROPPED_LOG_MS))
	{
		log_dropped(output, lsn);
		dropped_logged = now;
	}
}

static void
log_dropped(Output *output, XLogRecPtr lsn)
{
	ereport(LOG,
			(errmsg("domev dropped WAL messages that it did not write: " UINT64_FORMAT,
					output->dropped),
			 lsn != InvalidXLogRecPtr ? errdetail("The last one is at %X/%X.", LSN_FORMAT_ARGS(lsn)) : 0,
			 errhint("They begin with \"%s\" and do not carry domev's MAC: forged by pg_logical_emit_message(), or written before a restore.",
					 DOMEV_MESSAGE_PREFIX)));
	output->dropped = 0;
}
