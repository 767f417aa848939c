/*-------------------------------------------------------------------------
 *
 * bench_through.c
 *	  What does it take to hand WAL messages on as they are?
 *
 * An output plugin that sends the content of each transactional message, and
 * nothing of rows.  Nothing is looked at, checked, held back or added: no
 * plugin that sends the same messages can be faster.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"

PG_MODULE_MAGIC;

/* 15 declares it nowhere, and from 16 on nothing else is exported. */
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);

static void through_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init);
static void through_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void through_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						   Relation relation, ReorderBufferChange *change);
static void through_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
							XLogRecPtr lsn, bool transactional, const char *prefix,
							Size size, const char *message);
static void through_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						   XLogRecPtr commit_lsn);

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = through_startup;
	callbacks->begin_cb = through_begin;
	callbacks->change_cb = through_change;
	callbacks->message_cb = through_message;
	callbacks->commit_cb = through_commit;
}

static void
through_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init)
{
	opt->output_type = OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
}

static void
through_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
}

static void
through_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			   ReorderBufferChange *change)
{
}

static void
through_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
				bool transactional, const char *prefix, Size size, const char *message)
{
	if (!transactional)
		return;
	OutputPluginPrepareWrite(ctx, true);
	appendBinaryStringInfo(ctx->out, message, size);
	OutputPluginWrite(ctx, true);
}

static void
through_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
}
