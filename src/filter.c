/*-------------------------------------------------------------------------
 *
 * filter.c
 *	  Which changes are events, and which of them does this client get?
 *
 * A cache, for one decoding session, of what domev's tables say as of the
 * event that is decoded: the snapshot of a systable scan is the historic one
 * then.  So a topic made later is known from where the stream reaches its
 * making.
 *
 * Transactions are decoded in the order of their commits, but each sees the
 * tables as of its own changes: one that emitted early and committed late
 * must not be told what was registered in between.  So what the tables say
 * is remembered for one snapshot, which transactions share as long as none
 * that changes catalogs commits; what is known of relations, which are
 * partitions of the outbox as long as a transaction writes to them as such,
 * until it is invalidated.
 *
 * The invalidation callbacks cannot be taken back and may outlive the
 * session, so they only count; the session compares.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "filter.h"
#include "right.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/pg_crc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"

/* A relation in domev's schema. */
typedef struct RelationEntry
{
	Oid			relid;			/* the key */
	bool		is_outbox;		/* a partition of it */
	AttrNumber	columns[DOMEV_OUTBOX_COLUMNS];
} RelationEntry;

/* A topic, whether it exists or not. */
typedef struct TopicEntry
{
	char		name[DOMEV_MAX_NAME + 1];	/* the key */
	bool		row_known;		/* whether the next two are */
	bool		exists;
	bool		external;
	bool		right_known;	/* whether the next one is */
	bool		readable;		/* by the client's role */
} TopicEntry;

/*
 * Tells one historic snapshot from another.  Not by its address: those of a
 * transaction that is streamed are copies, freed and made again.
 */
typedef struct SnapshotMark
{
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;
	CommandId	curcid;
} SnapshotMark;

struct DomevFilter
{
	const DomevOptions *options;
	const DomevReader *reader;

	/* relations */
	MemoryContext cache;
	uint64		known;			/* catalogs_changed when it was filled */
	Oid			schema;			/* InvalidOid: there is no domev here */
	HTAB	   *relations;

	/* what the tables say */
	uint64		transactions;	/* that were begun */
	MemoryContext facts;
	uint64		facts_known;	/* catalogs_changed when they were read */
	uint64		facts_rights;	/* and domev_right_changes() */
	SnapshotMark facts_mark;	/* under which snapshot */
	uint64		facts_transaction;	/* and in which transaction */
	HTAB	   *topics;
	char	   *source;
	uint8	   *message_key;	/* NULL: not read, or there is none */
	bool		message_key_read;
};

/* Counts what may change the answers. */
static uint64 catalogs_changed = 0;

static bool may_read(DomevFilter *filter, XLogRecPtr lsn, DomevText topic);
static bool has_scope(TopicEntry *entry, bool external);
static bool is_in_shard(const DomevOptions *options, DomevText key);
static void refresh(DomevFilter *filter);
static void refresh_facts(DomevFilter *filter);
static HTAB *make_table(MemoryContext context, const char *name, Size key_size,
						Size entry_size, int flags);
static bool is_outbox_partition(Relation relation);
static Oid	find_parent(Oid relid);
static TopicEntry *find_topic(DomevFilter *filter, DomevText topic);
static void relcache_callback(Datum arg, Oid relid);
static void namespace_callback(Datum arg, SysCacheIdentifier cacheid, uint32 hashvalue);

/* Lives in the current memory context.  While a slot is made there is no reader yet, and no event. */
DomevFilter *
domev_filter_create(const DomevOptions *options, const DomevReader *reader)
{
	static bool watching = false;
	DomevFilter *filter = palloc0(sizeof(DomevFilter));

	if (!watching)
	{
		CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, namespace_callback, (Datum) 0);
		watching = true;
	}
	filter->options = options;
	filter->reader = reader;
	filter->cache = AllocSetContextCreate(CurrentMemoryContext, "domev filter",
										  ALLOCSET_DEFAULT_SIZES);
	filter->facts = AllocSetContextCreate(CurrentMemoryContext, "domev facts",
										  ALLOCSET_DEFAULT_SIZES);
	filter->known = filter->facts_known = catalogs_changed - 1;
	return filter;
}

/* Another transaction is decoded. */
void
domev_filter_begin(DomevFilter *filter)
{
	filter->transactions++;
}

/*
 * Where a relation has the columns of the outbox, indexed by
 * DomevOutboxColumn, InvalidAttrNumber for one that somebody has changed;
 * NULL: it is none of its partitions.  Called for every change in the
 * database, so the first comparison has to settle most of them.
 */
const AttrNumber *
domev_filter_columns(DomevFilter *filter, Relation relation)
{
	RelationEntry *entry;

	refresh(filter);
	if (RelationGetNamespace(relation) != filter->schema &&
		!(relation->rd_rel->relispartition && OidIsValid(filter->schema)))
		return NULL;
	entry = hash_search(filter->relations, &RelationGetRelid(relation), HASH_FIND, NULL);
	if (entry == NULL)
	{
		/*
		 * Asked before the entry is made: while a transaction is streamed,
		 * decoding goes on after an error that says that it was rolled back.
		 */
		bool		is_outbox = is_outbox_partition(relation);

		entry = hash_search(filter->relations, &RelationGetRelid(relation), HASH_ENTER, NULL);
		entry->is_outbox = is_outbox;
		domev_event_find_columns(RelationGetDescr(relation), entry->columns);
	}
	return entry->is_outbox ? entry->columns : NULL;
}

/* The key of the MAC; NULL: there is none. */
const uint8 *
domev_filter_message_key(DomevFilter *filter)
{
	refresh_facts(filter);
	if (!filter->message_key_read)
	{
		uint8	   *key = MemoryContextAlloc(filter->facts, DOMEV_SIPHASH_SIZE);

		if (domev_catalog_message_key(NULL, key))
			filter->message_key = key;
	}
	filter->message_key_read = true;
	return filter->message_key;
}

const char *
domev_filter_source(DomevFilter *filter)
{
	refresh_facts(filter);
	if (filter->source == NULL)
		filter->source = MemoryContextStrdup(filter->facts, domev_catalog_source(NULL));
	return filter->source;
}

/* Did the client ask for what is replayed for this publisher? */
bool
domev_filter_wants_replay(DomevFilter *filter, DomevText publisher)
{
	const char *replay = filter->options->replay;

	return replay != NULL && strlen(replay) == publisher.size &&
		memcmp(replay, publisher.data, publisher.size) == 0;
}

/* Must domev_filter_wants be told the event's type? */
bool
domev_filter_has_types(DomevFilter *filter)
{
	return filter->options->event_types != NIL;
}

/* Must domev_filter_wants be told the event's key? */
bool
domev_filter_is_sharded(DomevFilter *filter)
{
	return filter->options->shards > 0;
}

/*
 * Did the client ask for the event at this position, and may it have it?  The
 * key is in UTF-8, the rest in the database's encoding.
 */
bool
domev_filter_wants(DomevFilter *filter, XLogRecPtr lsn, DomevText topic, DomevText event_type,
				   DomevText key)
{
	const DomevOptions *options = filter->options;

	if (!domev_options_match(options->topics, topic) ||
		!domev_options_match(options->event_types, event_type) ||
		(options->shards > 0 && !is_in_shard(options, key)))
		return false;
	if (options->has_scope)
	{
		TopicEntry *entry = find_topic(filter, topic);

		if (entry == NULL || !has_scope(entry, options->external))
			return false;
	}
	return domev_reader_reads_all(filter->reader) || may_read(filter, lsn, topic);
}

/* As of the client's start, or of the event: see reader.c. */
static bool
may_read(DomevFilter *filter, XLogRecPtr lsn, DomevText topic)
{
	TopicEntry *entry = find_topic(filter, topic);
	bool		readable;

	if (entry == NULL)
		return false;
	if (domev_reader_was_asked(filter->reader, entry->name, lsn, &readable))
		return readable;
	if (!entry->right_known)
		entry->readable = domev_reader_may_now(filter->reader, entry->name);
	entry->right_known = true;
	return entry->readable;
}

/*
 * By CRC-32, the one of zlib: it is the same everywhere, and whoever wants to
 * know the shard of a key finds it in any language.  Never to be changed: an
 * event would change its shard.
 */
static bool
is_in_shard(const DomevOptions *options, DomevText key)
{
	pg_crc32	crc;

	INIT_TRADITIONAL_CRC32(crc);
	COMP_TRADITIONAL_CRC32(crc, key.data, key.size);
	FIN_TRADITIONAL_CRC32(crc);
	return crc % options->shards == options->shard;
}

/* Forgets all relations if any may have changed. */
static void
refresh(DomevFilter *filter)
{
	uint64		now = catalogs_changed;
	Oid			schema;

	if (filter->known == now)
		return;

	/* What comes while it is read must be noticed, so "now" is from before. */
	schema = get_namespace_oid(DOMEV_SCHEMA, true);
	MemoryContextReset(filter->cache);
	filter->relations = make_table(filter->cache, "domev relations", sizeof(Oid),
								   sizeof(RelationEntry), HASH_BLOBS);
	filter->schema = schema;
	filter->known = now;
}

/*
 * Forgets what the tables say if it may be another now.  A snapshot with
 * subtransactions is one that a transaction has of its own, with its own
 * changes to catalogs: what it shows is for that transaction only.
 */
static void
refresh_facts(DomevFilter *filter)
{
	Snapshot	snapshot = GetCatalogSnapshot(RelationRelationId);
	SnapshotMark mark = {snapshot->xmin, snapshot->xmax, snapshot->xcnt, snapshot->subxcnt, snapshot->curcid};

	if (filter->facts_known == catalogs_changed && filter->facts_rights == domev_right_changes() &&
		memcmp(&filter->facts_mark, &mark, sizeof(mark)) == 0 &&
		(mark.subxcnt == 0 || filter->facts_transaction == filter->transactions))
		return;
	MemoryContextReset(filter->facts);
	filter->source = NULL;
	filter->message_key = NULL;
	filter->message_key_read = false;
	filter->topics = make_table(filter->facts, "domev topics", DOMEV_MAX_NAME + 1,
								sizeof(TopicEntry), HASH_STRINGS);
	filter->facts_known = catalogs_changed;
	filter->facts_rights = domev_right_changes();
	filter->facts_mark = mark;
	filter->facts_transaction = filter->transactions;
}

static HTAB *
make_table(MemoryContext context, const char *name, Size key_size, Size entry_size, int flags)
{
	HASHCTL		ctl;

	ctl.keysize = key_size;
	ctl.entrysize = entry_size;
	ctl.hcxt = context;
	return hash_create(name, 16, &ctl, HASH_ELEM | HASH_CONTEXT | flags);
}

/*
 * A partition that is being detached CONCURRENTLY is one until that is
 * finished: transactions that know it as one go on writing to it, and are
 * waited for.  PostgreSQL's get_partition_ancestors() leaves it out, and
 * get_partition_parent() raises an error where there is none, which nothing
 * may here.
 */
static bool
is_outbox_partition(Relation relation)
{
	Oid			outbox = domev_catalog_table("outbox");
	Oid			relid = relation->rd_rel->relispartition ? RelationGetRelid(relation) : InvalidOid;

	if (!OidIsValid(outbox))
		return false;
	while (OidIsValid(relid) && relid != outbox)
		relid = find_parent(relid);
	return relid == outbox;
}

/* InvalidOid: it has none. */
static Oid
find_parent(Oid relid)
{
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	Oid			parent = InvalidOid;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_inherits_inhseqno, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(1));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL, lengthof(key), key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return parent;
}

static TopicEntry *
find_topic(DomevFilter *filter, DomevText topic)
{
	char		name[DOMEV_MAX_NAME + 1];
	TopicEntry *entry;
	bool		found;

	if (topic.size > DOMEV_MAX_NAME)
		return NULL;
	memcpy(name, topic.data, topic.size);
	name[topic.size] = '\0';

	refresh_facts(filter);
	entry = hash_search(filter->topics, name, HASH_ENTER, &found);
	if (!found)
		entry->row_known = entry->right_known = false;
	return entry;
}

static bool
has_scope(TopicEntry *entry, bool external)
{
	DomevTopic	row;

	if (!entry->row_known)
	{
		entry->exists = domev_catalog_topic(entry->name, NULL, &row);
		entry->external = entry->exists && row.external;
		entry->row_known = true;
	}
	return entry->exists && entry->external == external;
}

static void
relcache_callback(Datum arg, Oid relid)
{
	catalogs_changed++;
}

static void
namespace_callback(Datum arg, SysCacheIdentifier cacheid, uint32 hashvalue)
{
	catalogs_changed++;
}
