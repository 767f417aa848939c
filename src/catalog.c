/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  What do domev's own tables say?
 *
 * Read by systable scans, for two reasons.  A backend that emits must see the
 * registry as it is, not as its transaction's snapshot has it: an old
 * REPEATABLE READ transaction would otherwise never see a new mapping.  And
 * a walsender may read nothing in another way.  In both, the newest catalog
 * snapshot is the right one, which a walsender has as of what it decodes.  Nothing that is read while
 * decoding may be out of line: the file of a TOAST table may be gone as well.
 *
 * The tables are small and results are cached by the callers, the registry
 * on the write side and the output plugin on the read side.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "compat.h"

/* A scan of one of the tables, by a text column or whole. */
typedef struct CatalogScan
{
	Relation	table;
	SysScanDesc desc;
	Snapshot	snapshot;		/* that the rows have to be visible to */
	bool		registered;
} CatalogScan;

/* The columns, in the order of sql/domev.sql. */
enum
{
	TOPICS_TOPIC = 1, TOPICS_SCOPE, TOPICS_STORAGE
};
enum
{
	EVENT_TYPES_EVENT_TYPE = 1, EVENT_TYPES_AGGREGATE_TYPE, EVENT_TYPES_TOPIC,
	EVENT_TYPES_JOURNAL
};
enum
{
	MAPPINGS_MAPPING = 1, MAPPINGS_EVENT_TYPE, MAPPINGS_FUNCTION, MAPPINGS_OWNER,
	MAPPINGS_TOPIC, MAPPINGS_TIMING, MAPPINGS_ON_ERROR, MAPPINGS_PRODUCES,
	MAPPINGS_ENABLED
};
enum
{
	SOURCE_INITIAL = 1, SOURCE_SOURCE
};
enum
{
	IDEMPOTENCY_EVENT_ID = 1, IDEMPOTENCY_EVENT_TYPE
};
enum
{
	MESSAGE_KEY_ONLY_ROW = 1, MESSAGE_KEY_KEY
};
enum
{
	CONSUMERS_CONSUMER = 1, CONSUMERS_OWNER
};

static bool scan_begin(CatalogScan *scan, const char *table, const char *index,
					   AttrNumber attnum, const char *key, Snapshot snapshot);
static bool scan_begin_key(CatalogScan *scan, const char *table, const char *index,
						   ScanKey key, Snapshot snapshot);
static bool exists_now(Oid relid);
static HeapTuple scan_next(CatalogScan *scan);
static void scan_end(CatalogScan *scan);
static char *find_user(const char *table, const char *index, AttrNumber attnum,
					   AttrNumber name, const char *key, Snapshot snapshot);
static char *get_string(CatalogScan *scan, HeapTuple tuple, AttrNumber attnum);
static List *get_string_list(CatalogScan *scan, HeapTuple tuple, AttrNumber attnum);
static bool get_bool(CatalogScan *scan, HeapTuple tuple, AttrNumber attnum, bool *isnull);
static DomevMappingRow *get_mapping(CatalogScan *scan, HeapTuple tuple);
static int	compare_mappings(const ListCell *a, const ListCell *b);

/* The oid of one of domev's tables or indexes; InvalidOid: there is none. */
Oid
domev_catalog_table(const char *table)
{
	Oid			schema = get_namespace_oid(DOMEV_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
}

/* Opens one of domev's tables, which are there unless a superuser dropped one. */
Relation
domev_catalog_open(const char *table, LOCKMODE lockmode)
{
	Oid			relid = domev_catalog_table(table);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist", DOMEV_SCHEMA, table),
				 errhint("Run CREATE EXTENSION domev in this database.")));
	return table_open(relid, lockmode);
}

/*
 * What writers of the registry do first: they wait for each other.  Held until
 * the transaction ends; emit and the output plugin do not wait for it.  Not a
 * lock on a table: who waits for it has a snapshot, for the end of which REINDEX
 * CONCURRENTLY waits while it has the table.
 */
void
domev_catalog_lock(void)
{
	LockDatabaseObject(NamespaceRelationId, get_namespace_oid(DOMEV_SCHEMA, false), 0,
					   ShareRowExclusiveLock);
}

/* The oid of one of domev's types. */
Oid
domev_catalog_type(const char *type)
{
	Oid			schema = get_namespace_oid(DOMEV_SCHEMA, false);

	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum(type), ObjectIdGetDatum(schema));
}

bool
domev_catalog_topic(const char *name, Snapshot snapshot, DomevTopic *topic)
{
	CatalogScan scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!scan_begin(&scan, "topics", "topics_pkey", TOPICS_TOPIC, name, snapshot))
		return false;
	if ((tuple = scan_next(&scan)) != NULL)
	{
		strlcpy(topic->name, name, sizeof(topic->name));
		topic->external = strcmp(get_string(&scan, tuple, TOPICS_SCOPE), "external") == 0;
		topic->in_wal = strcmp(get_string(&scan, tuple, TOPICS_STORAGE), "wal") == 0;
		found = true;
	}
	scan_end(&scan);
	return found;
}

/* Of all topics, a list of char *, palloc'd. */
List *
domev_catalog_topic_names(void)
{
	CatalogScan scan;
	HeapTuple	tuple;
	List	   *names = NIL;

	if (!scan_begin(&scan, "topics", NULL, InvalidAttrNumber, NULL, NULL))
		return NIL;
	while ((tuple = scan_next(&scan)) != NULL)
		names = lappend(names, get_string(&scan, tuple, TOPICS_TOPIC));
	scan_end(&scan);
	return names;
}

bool
domev_catalog_event_type(const char *name, Snapshot snapshot, DomevEventTypeRow *row)
{
	CatalogScan scan;
	HeapTuple	tuple;
	bool		found = false;
	bool		isnull;

	if (!scan_begin(&scan, "event_types", "event_types_pkey", EVENT_TYPES_EVENT_TYPE, name, snapshot))
		return false;
	if ((tuple = scan_next(&scan)) != NULL)
	{
		row->aggregate_type = get_string(&scan, tuple, EVENT_TYPES_AGGREGATE_TYPE);
		row->topic = get_string(&scan, tuple, EVENT_TYPES_TOPIC);
		row->journal = get_bool(&scan, tuple, EVENT_TYPES_JOURNAL, &isnull);
		row->journal_given = !isnull;
		found = true;
	}
	scan_end(&scan);
	return found;
}

/* The enabled mappings of an event type, a list of DomevMappingRow * in the order of their names. */
List *
domev_catalog_mappings(const char *event_type, Snapshot snapshot)
{
	CatalogScan scan;
	HeapTuple	tuple;
	List	   *mappings = NIL;
	bool		isnull;

	if (!scan_begin(&scan, "mappings", "mappings_event_type", MAPPINGS_EVENT_TYPE, event_type, snapshot))
		return NIL;
	while ((tuple = scan_next(&scan)) != NULL)
	{
		if (get_bool(&scan, tuple, MAPPINGS_ENABLED, &isnull))
			mappings = lappend(mappings, get_mapping(&scan, tuple));
	}
	scan_end(&scan);
	list_sort(mappings, compare_mappings);
	return mappings;
}

/* One mapping by its name, enabled or not; NULL: there is none. */
DomevMappingRow *
domev_catalog_mapping(const char *name, Snapshot snapshot)
{
	CatalogScan scan;
	HeapTuple	tuple;
	DomevMappingRow *row = NULL;

	if (!scan_begin(&scan, "mappings", "mappings_pkey", MAPPINGS_MAPPING, name, snapshot))
		return NULL;
	if ((tuple = scan_next(&scan)) != NULL)
		row = get_mapping(&scan, tuple);
	scan_end(&scan);
	return row;
}

/* An event type that the topic carries, palloc'd; NULL: there is none. */
char *
domev_catalog_event_type_using(const char *topic, Snapshot snapshot)
{
	return find_user("event_types", "event_types_topic", EVENT_TYPES_TOPIC,
					 EVENT_TYPES_EVENT_TYPE, topic, snapshot);
}

/* A mapping whose results go to the topic, palloc'd; NULL: there is none. */
char *
domev_catalog_mapping_using(const char *topic, Snapshot snapshot)
{
	return find_user("mappings", "mappings_topic", MAPPINGS_TOPIC,
					 MAPPINGS_MAPPING, topic, snapshot);
}

/* A mapping of the event type, enabled or not, palloc'd; NULL: there is none. */
char *
domev_catalog_mapping_of(const char *event_type, Snapshot snapshot)
{
	return find_user("mappings", "mappings_event_type", MAPPINGS_EVENT_TYPE,
					 MAPPINGS_MAPPING, event_type, snapshot);
}

/* The CloudEvents source; palloc'd. */
char *
domev_catalog_source(Snapshot snapshot)
{
	CatalogScan scan;
	HeapTuple	tuple;
	char	   *source = NULL;
	bool		isnull;

	if (!scan_begin(&scan, "source", NULL, InvalidAttrNumber, NULL, snapshot))
		return pstrdup("/");
	while ((tuple = scan_next(&scan)) != NULL)
	{
		/* What set_source said wins over the first value. */
		if (source == NULL || !get_bool(&scan, tuple, SOURCE_INITIAL, &isnull))
			source = get_string(&scan, tuple, SOURCE_SOURCE);
	}
	scan_end(&scan);
	return source != NULL ? source : pstrdup("/");
}

/* Has set_source been called? */
bool
domev_catalog_source_is_set(void)
{
	CatalogScan scan;
	HeapTuple	tuple;
	bool		is_set = false;
	bool		isnull;

	if (!scan_begin(&scan, "source", NULL, InvalidAttrNumber, NULL, NULL))
		return false;
	while ((tuple = scan_next(&scan)) != NULL)
		is_set = is_set || !get_bool(&scan, tuple, SOURCE_INITIAL, &isnull);
	scan_end(&scan);
	return is_set;
}

/* The key of the MAC on WAL messages, DOMEV_SIPHASH_SIZE bytes; false: there is none. */
bool
domev_catalog_message_key(Snapshot snapshot, uint8 *key)
{
	CatalogScan scan;
	HeapTuple	tuple;
	bool		found = false;
	bool		isnull;

	if (!scan_begin(&scan, "message_key", NULL, InvalidAttrNumber, NULL, snapshot))
		return false;
	if ((tuple = scan_next(&scan)) != NULL)
	{
		bytea	   *value = DatumGetByteaPP(heap_getattr(tuple, MESSAGE_KEY_KEY,
														 RelationGetDescr(scan.table), &isnull));

		found = VARSIZE_ANY_EXHDR(value) == DOMEV_SIPHASH_SIZE;
		if (found)
			memcpy(key, VARDATA_ANY(value), DOMEV_SIPHASH_SIZE);
	}
	scan_end(&scan);
	return found;
}

/* The event type for which the id was claimed, palloc'd; NULL: it is not. */
char *
domev_catalog_claim(const pg_uuid_t *event_id)
{
	CatalogScan scan;
	ScanKeyData key;
	HeapTuple	tuple;
	char	   *event_type = NULL;

	ScanKeyInit(&key, IDEMPOTENCY_EVENT_ID, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(event_id));
	if (!scan_begin_key(&scan, "idempotency", "idempotency_pkey", &key, NULL))
		return NULL;
	if ((tuple = scan_next(&scan)) != NULL)
		event_type = get_string(&scan, tuple, IDEMPOTENCY_EVENT_TYPE);
	scan_end(&scan);
	return event_type;
}

/* To whom a consumer belongs; InvalidOid: there is none of that name. */
Oid
domev_catalog_consumer(const char *consumer)
{
	CatalogScan scan;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;
	bool		isnull;

	if (!scan_begin(&scan, "consumers", "consumers_pkey", CONSUMERS_CONSUMER, consumer, NULL))
		return InvalidOid;
	if ((tuple = scan_next(&scan)) != NULL)
		owner = DatumGetObjectId(heap_getattr(tuple, CONSUMERS_OWNER,
											  RelationGetDescr(scan.table), &isnull));
	scan_end(&scan);
	return owner;
}

/* ----------------------------------------------------------------
 *		Scans
 * ----------------------------------------------------------------
 */

/*
 * Scans the rows whose column attnum is key, or all when key is NULL.
 *
 * False: the table is not there, which can only be while WAL is decoded that
 * was written before DROP EXTENSION.  The historic snapshot still shows the
 * table then, but its file is gone.  Nor can an index be used while decoding:
 * unlike a catalog's, an index that was rebuilt since is looked for in its
 * old file.
 */
static bool
scan_begin(CatalogScan *scan, const char *table, const char *index, AttrNumber attnum,
		   const char *key, Snapshot snapshot)
{
	ScanKeyData scankey;

	/* The names collate "C", whatever the database does. */
	if (key != NULL)
		ScanKeyEntryInitialize(&scankey, 0, attnum, BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(key));
	return scan_begin_key(scan, table, index, key ? &scankey : NULL, snapshot);
}

static bool
scan_begin_key(CatalogScan *scan, const char *table, const char *index, ScanKey key,
			   Snapshot snapshot)
{
	bool		decoding = HistoricSnapshotActive();
	Oid			relid = domev_catalog_table(table);
	Oid			indexid;

	if (decoding)
	{
		if (!OidIsValid(relid))
			return false;
		LockRelationOid(relid, AccessShareLock);
		if (!exists_now(relid))
			return false;
		scan->table = table_open(relid, NoLock);
	}
	else
		scan->table = domev_catalog_open(table, AccessShareLock);

	/*
	 * Only now that the table is locked: REINDEX CONCURRENTLY puts another in
	 * its place.
	 */
	indexid = index && !decoding ? domev_catalog_table(index) : InvalidOid;

	/*
	 * An MVCC snapshot, a historic one as well, would take predicate locks in
	 * a serializable transaction, which PostgreSQL's own catalogs do not:
	 * then whoever emits would conflict with whoever registers.  So all
	 * versions are scanned, and scan_next() asks the snapshot.
	 */
	scan->snapshot = snapshot ? snapshot : GetCatalogSnapshot(RelationGetRelid(scan->table));
	scan->registered = !decoding;
	if (scan->registered)
		scan->snapshot = RegisterSnapshot(scan->snapshot);
	scan->desc = systable_beginscan(scan->table, indexid, OidIsValid(indexid), SnapshotAny, key ? 1 : 0, key);
	return true;
}

/* Is the relation there outside of the historic snapshot?  It is locked. */
static bool
exists_now(Oid relid)
{
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	Snapshot	snapshot = RegisterSnapshot(GetNonHistoricCatalogSnapshot(RelationRelationId));
	SysScanDesc scan;
	bool		exists;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_class, ClassOidIndexId, true, snapshot, 1, &key);
	exists = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(pg_class, AccessShareLock);
	return exists;
}

static HeapTuple
scan_next(CatalogScan *scan)
{
	HeapTuple	tuple;

	do
	{
		tuple = systable_getnext(scan->desc);
	} while (tuple != NULL &&
			 !table_tuple_satisfies_snapshot(scan->table, scan->desc->slot, scan->snapshot));
	return tuple;
}

/* The lock is kept no longer than the scan: registering must not wait for a long transaction that emitted. */
static void
scan_end(CatalogScan *scan)
{
	systable_endscan(scan->desc);
	if (scan->registered)
		UnregisterSnapshot(scan->snapshot);
	table_close(scan->table, AccessShareLock);
}

/* The name of a row whose column attnum is key. */
static char *
find_user(const char *table, const char *index, AttrNumber attnum, AttrNumber name,
		  const char *key, Snapshot snapshot)
{
	CatalogScan scan;
	HeapTuple	tuple;
	char	   *user = NULL;

	if (!scan_begin(&scan, table, index, attnum, key, snapshot))
		return NULL;
	if ((tuple = scan_next(&scan)) != NULL)
		user = get_string(&scan, tuple, name);
	scan_end(&scan);
	return user;
}

static char *
get_string(CatalogScan *scan, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, RelationGetDescr(scan->table), &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static bool
get_bool(CatalogScan *scan, HeapTuple tuple, AttrNumber attnum, bool *isnull)
{
	Datum		value = heap_getattr(tuple, attnum, RelationGetDescr(scan->table), isnull);

	return !*isnull && DatumGetBool(value);
}

static List *
get_string_list(CatalogScan *scan, HeapTuple tuple, AttrNumber attnum)
{
	List	   *strings = NIL;
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, RelationGetDescr(scan->table), &isnull);
	Datum	   *elements;
	int			count;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		strings = lappend(strings, TextDatumGetCString(elements[i]));
	return strings;
}

static DomevMappingRow *
get_mapping(CatalogScan *scan, HeapTuple tuple)
{
	DomevMappingRow *row = palloc(sizeof(DomevMappingRow));
	bool		isnull;

	row->mapping = get_string(scan, tuple, MAPPINGS_MAPPING);
	row->event_type = get_string(scan, tuple, MAPPINGS_EVENT_TYPE);
	row->function = get_string(scan, tuple, MAPPINGS_FUNCTION);
	row->owner = DatumGetObjectId(heap_getattr(tuple, MAPPINGS_OWNER,
											   RelationGetDescr(scan->table), &isnull));
	row->topic = get_string(scan, tuple, MAPPINGS_TOPIC);
	row->deferred = strcmp(get_string(scan, tuple, MAPPINGS_TIMING), "deferred") == 0;
	row->records_errors = strcmp(get_string(scan, tuple, MAPPINGS_ON_ERROR), "record") == 0;
	row->produces = get_string_list(scan, tuple, MAPPINGS_PRODUCES);
	return row;
}

static int
compare_mappings(const ListCell *a, const ListCell *b)
{
	return strcmp(((DomevMappingRow *) lfirst(a))->mapping,
				  ((DomevMappingRow *) lfirst(b))->mapping);
}
