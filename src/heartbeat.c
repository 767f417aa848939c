/*-------------------------------------------------------------------------
 *
 * heartbeat.c
 *	  How does the slot of an idle database move on?
 *
 * A slot keeps the WAL of the whole server, but only what happens in its own
 * database reaches a client.  A message in that database does: to a client of
 * the plugin as a position behind all events before it, to one of pgoutput,
 * if it asks for messages, as a message.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/pg_lsn.h"

#include "compat.h"

/* Not one of the prefixes of events. */
#define HEARTBEAT_PREFIX	"domev.heartbeat"

PG_FUNCTION_INFO_V1(domev_heartbeat);

/*
 * Not transactional, so that it is decoded at once, whatever becomes of the
 * transaction, and flushed, as only what is flushed is decoded.
 */
Datum
domev_heartbeat(PG_FUNCTION_ARGS)
{
	PreventCommandDuringRecovery("domev.heartbeat()");
	PG_RETURN_LSN(domev_log_logical_message_compat(HEARTBEAT_PREFIX, "", 0, false, true));
}
