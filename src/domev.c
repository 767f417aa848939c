/*-------------------------------------------------------------------------
 *
 * domev.c
 *	  What is this module?
 *
 * One library for both sides: functions that backends call, and an output
 * plugin that walsenders load (output.c).  As it is loaded for any role with
 * REPLICATION, loading it does nothing but define settings; loaded with the
 * server, it also asks for memory (stats.c).
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "headers.h"
#include "outbox.h"
#include "stats.h"
#include "transaction.h"
#include "utils/guc.h"

#include "compat.h"

PG_MODULE_MAGIC_EXT(.name = "domev",.version = DOMEV_VERSION);

void
_PG_init(void)
{
	domev_headers_init();		/* domev.context */
	domev_outbox_init();		/* domev.max_event_size */
	domev_stats_init();			/* domev.track_mappings */
	domev_transaction_init();	/* domev.aggregate_guard, domev.keep_emitted */
	MarkGUCPrefixReserved("domev");
}
