/*-------------------------------------------------------------------------
 *
 * output.c
 *	  What does the output plugin do at each step of decoding?
 *
 * The callbacks.  Events come as rows inserted into the outbox or as WAL
 * messages; both leave as the same bytes, in commit order, whether PostgreSQL
 * decodes a transaction when it has committed, or in pieces before.
 *
 * Nothing here may raise an error because of data: the client would come
 * back and meet it again, for ever.  The one that may come back is of the
 * temporary file of a large transaction: a full disk, or temp_file_limit.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "change.h"
#include "cloudevent.h"
#include "miscadmin.h"
#include "replication/logical.h"
#include "replication/origin.h"
#include "replication/output_plugin.h"
#include "sender.h"
#include "spool.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"

/* Dropped messages are said in the log at most once in this time. */
#define DROPPED_LOG_MS	60000

/* Of that many events of a large transaction some may be sent, or none: then there is a sign of life. */
#define KEEP_ALIVE_EVENTS	100

/* A decoding session; lives in the decoding context's memory. */
typedef struct Output
{
	DomevOptions options;
	DomevFilter *filter;
	DomevSender *sender;
	DomevSpools *spools;
	MemoryContext scratch;		/* reset after each change */
	List	   *cut;			/* of ReorderBufferTXN *: streamed
								 * transactions that lost the rest of a piece,
								 * see mend_cut */
	int			skipped;		/* changes since the last sign of life, before
								 * 16 */

	/* messages with our prefix that are not ours */
	uint64		dropped;		/* and not yet said in the log */
} Output;

/* When dropped messages were said in the log, by whatever session of this process. */
static TimestampTz dropped_logged = 0;

static void output_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init);
static void output_shutdown(LogicalDecodingContext *ctx);
static bool output_filter_by_origin(LogicalDecodingContext *ctx, ReplOriginId origin_id);

static void output_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void output_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						  Relation relation, ReorderBufferChange *change);
static void output_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						   XLogRecPtr lsn, bool transactional, const char *prefix,
						   Size size, const char *message);
static void output_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn);

static void output_stream_start(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void output_stream_stop(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void output_stream_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
								 Relation relation, ReorderBufferChange *change);
static void output_stream_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
								  XLogRecPtr lsn, bool transactional, const char *prefix,
								  Size size, const char *message);
static void output_stream_abort(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
								XLogRecPtr abort_lsn);
static void output_stream_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
								 XLogRecPtr commit_lsn);

static void take_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						Relation relation, ReorderBufferChange *change, bool streaming);
static void take_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						 XLogRecPtr lsn, bool transactional, const char *prefix,
						 Size size, const char *message, bool streaming);
static void put_in_spool(Output *output, ReorderBufferTXN *txn, TransactionId xid,
						 XLogRecPtr lsn, DomevText body);
static void forget_streamed(Output *output, ReorderBufferTXN *txn);
static void mend_cut(LogicalDecodingContext *ctx);
static void send_spool(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void keep_alive(LogicalDecodingContext *ctx);
static HTAB *collect_living(ReorderBufferTXN *txn);
static void note_dropped(Output *output, XLogRecPtr lsn);
static void log_dropped(Output *output, XLogRecPtr lsn);

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = output_startup;
	callbacks->shutdown_cb = output_shutdown;
	callbacks->filter_by_origin_cb = output_filter_by_origin;

	callbacks->begin_cb = output_begin;
	callbacks->change_cb = output_change;
	callbacks->message_cb = output_message;
	callbacks->commit_cb = output_commit;

	callbacks->stream_start_cb = output_stream_start;
	callbacks->stream_stop_cb = output_stream_stop;
	callbacks->stream_change_cb = output_stream_change;
	callbacks->stream_message_cb = output_stream_message;
	callbacks->stream_abort_cb = output_stream_abort;
	callbacks->stream_commit_cb = output_stream_commit;
}

/* ----------------------------------------------------------------
 *		The session
 * ----------------------------------------------------------------
 */

/* With is_init a slot is being made: there are no options then, and maybe no extension. */
static void
output_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init)
{
	MemoryContext old = MemoryContextSwitchTo(ctx->context);
	Output	   *output = palloc0(sizeof(Output));
	DomevReader *reader;

	domev_options_parse(&output->options, ctx->output_plugin_options);
	opt->output_type = output->options.protobuf ? OUTPUT_PLUGIN_BINARY_OUTPUT :
		OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
	opt->receive_rewrites = false;
	reader = is_init ? NULL : domev_reader_create(&output->options);
	output->filter = domev_filter_create(&output->options, reader);
	output->sender = domev_sender_create(ctx, &output->options);
	output->spools = domev_spools_create();
	output->scratch = AllocSetContextCreate(ctx->context, "domev change",
											ALLOCSET_DEFAULT_SIZES);
	ctx->output_plugin_private = output;
	MemoryContextSwitchTo(old);
}

static void
output_shutdown(LogicalDecodingContext *ctx)
{
	Output	   *output = ctx->output_plugin_private;

	if (output->dropped > 0)
		log_dropped(output, InvalidXLogRecPtr);
}

/*
 * True: skip it.  By default what was replicated from another server is not
 * published again.  This is called for every record of a change, a commit or
 * an abort before PostgreSQL does anything with it.
 */
static bool
output_filter_by_origin(LogicalDecodingContext *ctx, ReplOriginId origin_id)
{
	Output	   *output = ctx->output_plugin_private;

	if (output->cut != NIL)
		mend_cut(ctx);
	return !output->options.any_origin && origin_id != InvalidReplOriginId;
}

/* ----------------------------------------------------------------
 *		A transaction that is decoded when it has committed
 * ----------------------------------------------------------------
 */

static void
output_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Output	   *output = ctx->output_plugin_private;

	domev_sender_begin(output->sender);
	domev_filter_begin(output->filter);
}

static void
output_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			  ReorderBufferChange *change)
{
	take_change(ctx, txn, relation, change, false);
}

static void
output_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
			   bool transactional, const char *prefix, Size size, const char *message)
{
	take_message(ctx, txn, lsn, transactional, prefix, size, message, false);
}

static void
output_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	Output	   *output = ctx->output_plugin_private;

	domev_sender_end(output->sender, txn);
}

/* ----------------------------------------------------------------
 *		A large transaction that is decoded while it is in progress
 *
 * In pieces, between which there may be pieces of others.  Nothing may be
 * sent before the commit, which is called outside of any transaction: all
 * that has to be looked up for an event is looked up when it comes.
 *
 * A lookup raises an error when the subtransaction has been rolled back
 * meanwhile.  PostgreSQL catches it, and drops the rest of the piece, which
 * is all of subtransactions that were rolled back; see mend_cut.
 * ----------------------------------------------------------------
 */

static void
output_stream_start(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Output	   *output = ctx->output_plugin_private;

	domev_filter_begin(output->filter);
}

static void
output_stream_stop(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Output	   *output = ctx->output_plugin_private;
	MemoryContext old;

	/* After an error the snapshot is gone already. */
	if (HistoricSnapshotActive())
		return;
	old = MemoryContextSwitchTo(ctx->context);
	output->cut = list_append_unique_ptr(output->cut, txn);
	MemoryContextSwitchTo(old);
}

static void
output_stream_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
					 ReorderBufferChange *change)
{
	take_change(ctx, txn, relation, change, true);
}

static void
output_stream_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
					  bool transactional, const char *prefix, Size size, const char *message)
{
	take_message(ctx, txn, lsn, transactional, prefix, size, message, true);
}

/*
 * Of a subtransaction nothing is done: what has become of it is known for
 * certain at the commit (see collect_living), whereas this is not called for
 * one that PostgreSQL spilled to disk before it streamed it.
 */
static void
output_stream_abort(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr abort_lsn)
{
	if (rbtxn_is_toptxn(txn))
		forget_streamed(ctx->output_plugin_private, txn);
}

static void
output_stream_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	Output	   *output = ctx->output_plugin_private;
	MemoryContext old = MemoryContextSwitchTo(output->scratch);

	domev_sender_begin(output->sender);
	if (txn->output_plugin_private != NULL)
		send_spool(ctx, txn);
	domev_sender_end(output->sender, txn);
	forget_streamed(output, txn);
	MemoryContextSwitchTo(old);
	MemoryContextReset(output->scratch);
}

/* ----------------------------------------------------------------
 *		Changes and messages
 * ----------------------------------------------------------------
 */

static void
take_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			ReorderBufferChange *change, bool streaming)
{
	Output	   *output = ctx->output_plugin_private;
	MemoryContext old;
	DomevText	body;

	domev_keep_alive_compat(ctx, &output->skipped);
	if (change->action != REORDER_BUFFER_CHANGE_INSERT || domev_new_tuple_compat(change) == NULL)
		return;
	old = MemoryContextSwitchTo(output->scratch);
	if (domev_change_read_row(output->filter, txn->xid, change->lsn, relation,
							  domev_new_tuple_compat(change), &body))
	{
		if (streaming)
			put_in_spool(output, txn, change->txn->xid, change->lsn, body);
		else
			domev_sender_add(output->sender, txn, body, change->lsn);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(output->scratch);
}

static void
take_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
			 bool transactional, const char *prefix, Size size, const char *message,
			 bool streaming)
{
	Output	   *output = ctx->output_plugin_private;
	MemoryContext old;
	DomevText	body;

	if (transactional)
		domev_keep_alive_compat(ctx, &output->skipped);
	if (!domev_change_is_message(prefix))
		return;
	old = MemoryContextSwitchTo(output->scratch);

	/*
	 * domev's own are all transactional; outside of one, no catalog may be
	 * read.
	 */
	if (!transactional ||
		!domev_change_read_message(output->filter, txn->xid, lsn, prefix, size, message, &body))
		note_dropped(output, lsn);
	else if (streaming)
	{
		/*
		 * Unlike a change, a message does not say which subtransaction it is
		 * of.  PostgreSQL has it here, unless it has committed already.
		 */
		put_in_spool(output, txn,
					 TransactionIdIsValid(CheckXidAlive) ? CheckXidAlive : txn->xid,
					 lsn, body);
	}
	else
		domev_sender_add(output->sender, txn, body, lsn);
	MemoryContextSwitchTo(old);
	MemoryContextReset(output->scratch);
}

/* ----------------------------------------------------------------
 *		Spools of transactions in progress
 * ----------------------------------------------------------------
 */

static void
put_in_spool(Output *output, ReorderBufferTXN *txn, TransactionId xid, XLogRecPtr lsn,
			 DomevText body)
{
	if (txn->output_plugin_private == NULL)
		txn->output_plugin_private = domev_spool_open(output->spools);
	domev_spool_put(txn->output_plugin_private, xid, lsn, body);
}

static void
forget_streamed(Output *output, ReorderBufferTXN *txn)
{
	if (txn->output_plugin_private != NULL)
		domev_spool_close(txn->output_plugin_private);
	txn->output_plugin_private = NULL;
	output->cut = list_delete_ptr(output->cut, txn);
}

/*
 * With the rest of a piece, PostgreSQL drops the snapshots in it, which show
 * what other transactions have done to the catalogs; what the transaction
 * does later would be decoded without.  A relation would not be found, for
 * ever, or a topic, and its events be missing.  So each transaction that was
 * cut gets the snapshot of now, as PostgreSQL itself gives it to them all when
 * another one with such changes commits.
 *
 * Not at once, because while it streams PostgreSQL relies on an empty queue;
 * but before the next record of the transaction.
 */
static void
mend_cut(LogicalDecodingContext *ctx)
{
	Output	   *output = ctx->output_plugin_private;
	List	   *cut = output->cut;
	ListCell   *lc;

	output->cut = NIL;			/* adding a snapshot may stream, and cut again */
	foreach(lc, cut)
	{
		ReorderBufferTXN *txn = lfirst(lc);
		Snapshot	snapshot = domev_current_snapshot_compat(ctx->snapshot_builder);

		snapshot->active_count++;	/* the queue's reference */
		ReorderBufferAddSnapshot(ctx->reorder, txn->xid, ctx->reader->ReadRecPtr, snapshot);
	}
	list_free(cut);
}

static void
send_spool(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Output	   *output = ctx->output_plugin_private;
	DomevSpool *spool = txn->output_plugin_private;
	HTAB	   *living = collect_living(txn);
	StringInfoData buffer;
	DomevText	body;
	TransactionId xid;
	XLogRecPtr	lsn;

	initStringInfo(&buffer);
	domev_spool_rewind(spool);
	for (int i = 1; domev_spool_get(spool, &xid, &lsn, &buffer, &body); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i % KEEP_ALIVE_EVENTS == 0)
			keep_alive(ctx);
		if (hash_search(living, &xid, HASH_FIND, NULL) != NULL)
			domev_sender_add(output->sender, txn, body, lsn);
	}
}

/* A sign of life for the client, which may be sent little of many events. */
static void
keep_alive(LogicalDecodingContext *ctx)
{
	bool		end_xact = ctx->end_xact;

	ctx->end_xact = false;		/* else it would be left to what follows */
	OutputPluginUpdateProgress(ctx, false);
	ctx->end_xact = end_xact;
}

/*
 * The ids of a committed transaction and its subtransactions: PostgreSQL has
 * removed those that were rolled back.  In the current memory context.
 */
static HTAB *
collect_living(ReorderBufferTXN *txn)
{
	HASHCTL		ctl;
	HTAB	   *living;
	dlist_iter	iter;

	ctl.keysize = ctl.entrysize = sizeof(TransactionId);
	ctl.hcxt = CurrentMemoryContext;
	living = hash_create("domev living transactions", txn->nsubtxns + 1, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	hash_search(living, &txn->xid, HASH_ENTER, NULL);
	dlist_foreach(iter, &txn->subtxns)
	{
		ReorderBufferTXN *subtxn = dlist_container(ReorderBufferTXN, node, iter.cur);

		hash_search(living, &subtxn->xid, HASH_ENTER, NULL);
	}
	return living;
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
			 errhint("They begin with \"%s\" or \"%s\" and do not carry domev's MAC: forged by pg_logical_emit_message(), or written before a restore.",
					 DOMEV_MESSAGE_PREFIX, DOMEV_REPLAY_PREFIX)));
	output->dropped = 0;
}
