/*-------------------------------------------------------------------------
 *
 * bench_nothing.c
 *	  What does decoding take when nothing is done with it?
 *
 * An output plugin of which every callback is there, those of streaming as
 * well, and none does or sends anything.  What is left is PostgreSQL's own
 * work: no plugin that is given the same changes can be faster.
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

static void nothing_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init);
static void nothing_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void nothing_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						   Relation relation, ReorderBufferChange *change);
static void nothing_truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
							 int nrelations, Relation relations[], ReorderBufferChange *change);
static void nothing_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
							XLogRecPtr lsn, bool transactional, const char *prefix,
							Size size, const char *message);
static void nothing_end(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn);

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = nothing_startup;

	callbacks->begin_cb = nothing_begin;
	callbacks->change_cb = nothing_change;
	callbacks->truncate_cb = nothing_truncate;
	callbacks->message_cb = nothing_message;
	callbacks->commit_cb = nothing_end;

	callbacks->stream_start_cb = nothing_begin;
	callbacks->stream_stop_cb = nothing_begin;
	callbacks->stream_change_cb = nothing_change;
	callbacks->stream_truncate_cb = nothing_truncate;
	callbacks->stream_message_cb = nothing_message;
	callbacks->stream_abort_cb = nothing_end;
	callbacks->stream_commit_cb = nothing_end;
}

static void
nothing_startup(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init)
{
	opt->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
}

/* Also the start and the stop of a piece. */
static void
nothing_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
}

static void
nothing_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			   ReorderBufferChange *change)
{
}

static void
nothing_truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int nrelations,
				 Relation relations[], ReorderBufferChange *change)
{
}

static void
nothing_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn,
				bool transactional, const char *prefix, Size size, const char *message)
{
}

/* Commit or abort, also of what was streamed. */
static void
nothing_end(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn)
{
}
