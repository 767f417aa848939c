/*-------------------------------------------------------------------------
 *
 * holder.c
 *	  Who has yet to confirm that he has read an event?
 *
 * A slot has confirmed all transactions that precede its catalog_xmin: when
 * that was the oldest running one, they had ended, at a position that the slot
 * has confirmed since.  That holds whatever plugin it has, as each can read the
 * outbox.  A slot that the server gave up still knows what it has not
 * delivered, and only the outbox has that; so it counts until it is dropped.
 * The slots on a standby are seen by the catalog_xmin of its physical slot.  A
 * consumer that polls has confirmed what precedes its position.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog.h"
#include "catalog/pg_type.h"
#include "holder.h"
#include "retention.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"

typedef struct Holder
{
	char	   *name;
	FullTransactionId since;	/* has not confirmed this, nor later ones */
} Holder;

/* catalog_xmin is the lower half of a number near the next one, and may be ahead of what the snapshot takes for that. */
#define SLOTS \
	"SELECT pg_catalog.format(CASE WHEN s.wal_status OPERATOR(pg_catalog.=) 'lost' THEN 'slot \"%s\" (lost)' ELSE 'slot \"%s\"' END, s.slot_name)," \
	" ((n.next OPERATOR(pg_catalog.+) ((s.catalog_xmin::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.-) n.next" \
	" OPERATOR(pg_catalog.+) 2147483648) OPERATOR(pg_catalog.&) 4294967295) OPERATOR(pg_catalog.-) 2147483648)" \
	"::pg_catalog.text)::pg_catalog.xid8" \
	" FROM pg_catalog.pg_replication_slots AS s," \
	" (SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8) AS n (next)" \
	" WHERE s.catalog_xmin IS NOT NULL AND (s.slot_type OPERATOR(pg_catalog.=) 'physical'" \
	" OR s.database OPERATOR(pg_catalog.=) pg_catalog.current_database())" \
	" ORDER BY s.slot_name"
#define CONSUMERS \
	"SELECT pg_catalog.format('consumer \"%s\"', consumer), position FROM domev.poll_consumers" \
	" WHERE position IS NOT NULL ORDER BY consumer"

static List *add_holders(List *holders, const char *sql);
static bool holds(const Holder *holder, const char *partition, TimestampTz before);

/* As it is now, whatever the transaction's snapshot is. */
List *
domev_holder_list(void)
{
	return add_holders(add_holders(NIL, SLOTS), CONSUMERS);
}

static List *
add_holders(List *holders, const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	DomevParams params = {0};

	SPI_connect();
	domev_retention_select(sql, &params);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		MemoryContext old = MemoryContextSwitchTo(context);
		Holder	   *holder = palloc(sizeof(Holder));
		bool		isnull;

		holder->name = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1);
		holder->since = DatumGetFullTransactionId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
		holders = lappend(holders, holder);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return holders;
}

/* The first transaction that not all have confirmed; the last number that there is, if there is nobody. */
FullTransactionId
domev_holder_first(List *holders)
{
	FullTransactionId first = FullTransactionIdFromU64(PG_UINT64_MAX);
	ListCell   *lc;

	foreach(lc, holders)
	{
		Holder	   *holder = lfirst(lc);

		if (FullTransactionIdPrecedes(holder->since, first))
			first = holder->since;
	}
	return first;
}

/* Who has not confirmed all rows of a partition that are of a time before; NULL: nobody. */
char *
domev_holder_names(List *holders, const char *partition, TimestampTz before)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, holders)
	{
		Holder	   *holder = lfirst(lc);

		if (holds(holder, partition, before))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", holder->name);
	}
	return names.len > 0 ? names.data : NULL;
}

static bool
holds(const Holder *holder, const char *partition, TimestampTz before)
{
	DomevParams params = {0};

	domev_params_add(&params, XID8OID, FullTransactionIdGetDatum(holder->since), false);
	domev_params_add(&params, TIMESTAMPTZOID, TimestampTzGetDatum(before), false);
	return domev_retention_finds(psprintf("SELECT FROM ONLY %s WHERE xact_id OPERATOR(pg_catalog.>=) $1"
										  " AND recorded_at OPERATOR(pg_catalog.<) $2 LIMIT 1", partition), &params);
}
