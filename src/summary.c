/*-------------------------------------------------------------------------
 *
 * summary.c
 *	  How is the outbox's BRIN kept up to date for those who poll?
 *
 * A BRIN knows nothing of the pages that were added since the last VACUUM,
 * and whoever uses it reads them all: of an outbox that grows fast, that can be
 * most of what a poll reads.  So a poll has the new pages summarized first, when
 * there are many.  A session remembers how large a partition was when it last
 * did so.  Where VACUUM is at work, which does the same, it does nothing.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "summary.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"

/* So many new pages are not worth it: 4 of a BRIN's ranges, by default. */
#define FEW_PAGES	512

/* How large a partition was when its new pages were last summarized. */
typedef struct Summary
{
	Oid			relid;			/* the key */
	BlockNumber pages;
} Summary;

static List *partitions_since(Relation outbox, TimestampTz since);
static Summary *find_summary(Oid relid);
static void refresh(Oid relid);

/* Of the partitions that can have rows recorded since then.  The current user is the owner of domev's tables. */
void
domev_summary_refresh(TimestampTz since)
{
	Relation	outbox = domev_catalog_open("outbox", AccessShareLock);
	ListCell   *lc;

	if (outbox->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		foreach(lc, partitions_since(outbox, since))
			refresh(lfirst_oid(lc));
	}
	table_close(outbox, AccessShareLock);
}

static List *
partitions_since(Relation outbox, TimestampTz since)
{
	PartitionDesc desc = RelationGetPartitionDesc(outbox, true);
	PartitionBoundInfo bounds = desc->boundinfo;
	List	   *oids = NIL;

	if (bounds == NULL || bounds->strategy != PARTITION_STRATEGY_RANGE)
		return NIL;

	/*
	 * indexes[i] is the partition below the bound i, -1: none; behind the
	 * last bound there is one more.
	 */
	for (int i = 0; i < bounds->nindexes; i++)
	{
		if (bounds->indexes[i] >= 0 &&
			(i >= bounds->ndatums || bounds->kind[i][0] != PARTITION_RANGE_DATUM_VALUE ||
			 DatumGetTimestampTz(bounds->datums[i][0]) > since))
			oids = lappend_oid(oids, desc->oids[bounds->indexes[i]]);
	}
	if (partition_bound_has_default(bounds))
		oids = lappend_oid(oids, desc->oids[bounds->default_index]);
	return oids;
}

static Summary *
find_summary(Oid relid)
{
	static HTAB *summaries = NULL;
	Summary    *summary;
	bool		found;

	if (summaries == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Summary)};

		summaries = hash_create("domev summaries", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	summary = hash_search(summaries, &relid, HASH_ENTER, &found);
	if (!found)
		summary->pages = 0;
	return summary;
}

/* Unless another one holds the lock that this takes: it is no reason to wait. */
static void
refresh(Oid relid)
{
	Relation	partition;
	Summary    *summary = find_summary(relid);

	if (!ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock))
		return;
	partition = try_table_open(relid, NoLock);
	if (partition == NULL)
		UnlockRelationOid(relid, ShareUpdateExclusiveLock);
	else
	{
		if (partition->rd_rel->relkind == RELKIND_RELATION)
		{
			BlockNumber pages = RelationGetNumberOfBlocks(partition);

			if (pages < summary->pages || pages - summary->pages > FEW_PAGES)
			{
				domev_summary_make(partition);
				summary->pages = pages;
			}
		}
		table_close(partition, ShareUpdateExclusiveLock);
	}
}

/* By each of its BRINs that are ours, as far as PostgreSQL lets us. */
void
domev_summary_make(Relation partition)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(partition))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_rel->relam == BRIN_AM_OID &&
			object_ownercheck(RelationRelationId, RelationGetRelid(index), GetUserId()))
			DirectFunctionCall1(brin_summarize_new_values, ObjectIdGetDatum(RelationGetRelid(index)));
		index_close(index, AccessShareLock);
	}
}
