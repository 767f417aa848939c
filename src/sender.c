/*-------------------------------------------------------------------------
 *
 * sender.c
 *	  How does an event leave?
 *
 * One event is always held back.  The last of a transaction is sent from the
 * commit callback, so that its message carries the end of the transaction as
 * its position; the earlier ones carry their own.  Clients acknowledge by
 * these positions, some without being told to: a position past the commit
 * must not be known to a client before it has the last event.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cloudevent.h"
#include "mb/pg_wchar.h"
#include "protobuf.h"
#include "sender.h"
#include "utils/memutils.h"

#include "compat.h"

/* Larger buffers are given back once they are sent. */
#define KEEP_BUFFER		(1024 * 1024)

/* Lives in the decoding context's memory. */
struct DomevSender
{
	LogicalDecodingContext *ctx;
	bool		protobuf;		/* the format */
	bool		ascii;			/* a client of the SQL functions that cannot
								 * take UTF-8 */

	/* of the transaction being sent */
	uint32		index;			/* of the next event */
	bool		sent;			/* anything */
	bool		holding;
	StringInfoData held;		/* the body of the last event */
	uint32		held_index;
	XLogRecPtr	held_lsn;
};

static void send_held(DomevSender *sender, ReorderBufferTXN *txn, bool last);
static void append_event(DomevSender *sender, XLogRecPtr commit_lsn, bool last);

/* options must outlive the sender, which lives in the current memory context. */
DomevSender *
domev_sender_create(LogicalDecodingContext *ctx, const DomevOptions *options)
{
	DomevSender *sender = palloc0(sizeof(DomevSender));

	sender->ctx = ctx;
	sender->protobuf = options->protobuf;

	/*
	 * Only walsenders report progress; the SQL functions return text of the
	 * database, but bytes for a binary format.
	 */
	sender->ascii = !options->protobuf && ctx->update_progress == NULL &&
		GetDatabaseEncoding() != PG_UTF8;
	initStringInfo(&sender->held);
	return sender;
}

/* Another transaction is to be sent. */
void
domev_sender_begin(DomevSender *sender)
{
	sender->index = 0;
	sender->sent = false;
	sender->holding = false;
	resetStringInfo(&sender->held); /* an error may have left something */
}

/*
 * Takes the next event: sends the one that was held, and holds this one
 * instead.  Without a body it is one that the client does not get.  It counts
 * all the same, so that an event has the same position for every client.
 */
void
domev_sender_add(DomevSender *sender, ReorderBufferTXN *txn,
				 DomevText body, XLogRecPtr lsn)
{
	uint32		index = sender->index++;

	if (body.data == NULL)
		return;
	if (sender->holding)
		send_held(sender, txn, false);
	appendBinaryStringInfo(&sender->held, body.data, body.size);
	sender->holding = true;
	sender->held_index = index;
	sender->held_lsn = lsn;
}

/* The transaction is complete.  Called from the callback of its commit. */
void
domev_sender_end(DomevSender *sender, ReorderBufferTXN *txn)
{
	OutputPluginUpdateProgress(sender->ctx, !sender->sent && !sender->holding);
	if (sender->holding)
		send_held(sender, txn, true);
}

static void
send_held(DomevSender *sender, ReorderBufferTXN *txn, bool last)
{
	LogicalDecodingContext *ctx = sender->ctx;
	XLogRecPtr	location = ctx->write_location;

	/* In the commit callback the location is the transaction's end already. */
	if (!last)
		ctx->write_location = sender->held_lsn;
	OutputPluginPrepareWrite(ctx, true);
	append_event(sender, txn->final_lsn, last);
	OutputPluginWrite(ctx, true);
	ctx->write_location = location;

	sender->holding = false;
	sender->sent = true;
	resetStringInfo(&sender->held);
	if (sender->held.maxlen > KEEP_BUFFER)
	{
		MemoryContext old = MemoryContextSwitchTo(ctx->context);

		pfree(sender->held.data);
		initStringInfo(&sender->held);
		MemoryContextSwitchTo(old);
	}
}

static void
append_event(DomevSender *sender, XLogRecPtr commit_lsn, bool last)
{
	StringInfo	out = sender->ctx->out;
	StringInfo	held = &sender->held;

	if (sender->protobuf)
	{
		domev_protobuf_append(out, held->data, held->len, commit_lsn, sender->held_index, last);
		return;
	}
	if (sender->ascii)
		domev_cloudevent_to_ascii(out, held->data, held->len);
	else
		appendBinaryStringInfo(out, held->data, held->len);
	domev_cloudevent_finish(out, commit_lsn, sender->held_index, last);
}
