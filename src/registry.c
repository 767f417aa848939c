/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  What is registered for an event type, as far as this backend knows?
 *
 * A cache over domev's tables, filled entry by entry on first use.  Every
 * writer of the tables fires a trigger (invalidate_registry, ENABLE ALWAYS)
 * that invalidates the table's relcache entry: PostgreSQL then tells all
 * sessions when the transaction commits, and this one at its next command.
 * The callback only sets a flag; the cache is thrown away as a whole by the
 * next emit.  An entry is read under one snapshot, so it is wholly of the
 * time before or after somebody's change.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "registry.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"

static const char *const table_names[] = {
	"topics", "event_types", "mappings", "source", "message_key",
};

/* Everything cached lives in registry_context, with it the rest is gone. */
static MemoryContext registry_context = NULL;
static HTAB *event_types = NULL;	/* of DomevEventType */
static const DomevEventType *last_type = NULL;	/* that was asked for */
static HTAB *topics = NULL;		/* of DomevTopic */
static const char *source = NULL;
static const uint8 *message_key = NULL;
static Oid	domain_event_type = InvalidOid;
static Oid	table_oids[lengthof(table_names)];

/*
 * How many emits are in progress.  More than one where an administrator's
 * trigger on the outbox emits: what the outer one uses must outlive it.
 */
static int	pins = 0;

/* Set by callbacks: what is cached may be out of date. */
static bool stale = true;

/*
 * This transaction wrote the tables, the last time in this subtransaction;
 * what is cached may be what it rolls back.
 */
static bool changed_here = false;
static SubTransactionId changed_in = InvalidSubTransactionId;

static void registry_start(void);
static void registry_reset(void);
static HTAB *make_table(MemoryContext context, const char *name, Size entry_size);
static const DomevEventType *load_event_type(const char *name);
static const DomevTopic *load_topic(const char *name, Snapshot snapshot);
static List *make_mappings(const char *event_type, List *rows, Snapshot snapshot);
static TriggerData *get_trigger_data(FunctionCallInfo fcinfo, const char *function);
static void relcache_callback(Datum arg, Oid relid);
static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId subxid,
							 SubTransactionId parent_subxid, void *arg);

/* ----------------------------------------------------------------
 *		Questions
 * ----------------------------------------------------------------
 */

/*
 * Learns what other sessions have committed, and forgets what is out of date.
 * Without this a long transaction would hear of nothing: emit takes no lock
 * that would make PostgreSQL look for invalidations.
 */
void
domev_registry_refresh(void)
{
	registry_start();
	AcceptInvalidationMessages();
	if (stale)
		registry_reset();
}

/* What is cached is in use until it is released; errors must release it too. */
void
domev_registry_pin(void)
{
	pins++;
}

void
domev_registry_unpin(void)
{
	pins--;
}

/* Where callers may keep what they derive from the registry, for its lifetime. */
MemoryContext
domev_registry_context(void)
{
	return registry_context;
}

/* NULL: there is no such event type. */
const DomevEventType *
domev_registry_event_type(const char *name)
{
	const DomevEventType *type = NULL;

	if (last_type != NULL && strcmp(last_type->name, name) == 0)
		return last_type;
	if (strlen(name) <= DOMEV_MAX_NAME)
		type = hash_search(event_types, name, HASH_FIND, NULL);
	if (type == NULL)
		type = load_event_type(name);
	last_type = type;
	return type;
}

/* NULL: the event type has no enabled mapping of that name. */
DomevMapping *
domev_registry_mapping(const DomevEventType *type, const char *name)
{
	ListCell   *lc;

	foreach(lc, type->mappings)
	{
		DomevMapping *mapping = lfirst(lc);

		if (strcmp(mapping->name, name) == 0)
			return mapping;
	}
	return NULL;
}

/* NULL: there is no such topic. */
const DomevTopic *
domev_registry_topic(const char *name)
{
	const DomevTopic *topic;

	if (strlen(name) > DOMEV_MAX_NAME)
		return NULL;
	topic = hash_search(topics, name, HASH_FIND, NULL);
	return topic != NULL ? topic : load_topic(name, NULL);
}

const char *
domev_registry_source(void)
{
	if (source == NULL)
	{
		char	   *row = domev_catalog_source(NULL);

		source = MemoryContextStrdup(registry_context, row);
	}
	return source;
}

const uint8 *
domev_registry_message_key(void)
{
	if (message_key == NULL)
	{
		uint8	   *key = MemoryContextAlloc(registry_context, DOMEV_SIPHASH_SIZE);

		if (!domev_catalog_message_key(NULL, key))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s.message_key\" has no valid key", DOMEV_SCHEMA),
					 errhint("Only a superuser can have changed it; put a row of 16 random bytes into it.")));
		message_key = key;
	}
	return message_key;
}

/* The type domev.domain_event. */
Oid
domev_registry_domain_event_type(void)
{
	if (!OidIsValid(domain_event_type))
		domain_event_type = domev_catalog_type("domain_event");
	return domain_event_type;
}

/* ----------------------------------------------------------------
 *		Filling
 * ----------------------------------------------------------------
 */

/* Registers the callbacks, once in a backend: they cannot be taken back. */
static void
registry_start(void)
{
	static bool started = false;

	if (started)
		return;
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	started = true;
}

/* Whole or not at all: when there is no memory, the old one stays, as stale as it was. */
static void
registry_reset(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "domev registry",
												  ALLOCSET_DEFAULT_SIZES);
	HTAB	   *new_types = make_table(context, "domev event types", sizeof(DomevEventType));
	HTAB	   *new_topics = make_table(context, "domev topics", sizeof(DomevTopic));

	if (registry_context != NULL && pins > 0)
		MemoryContextSetParent(registry_context, TopTransactionContext);
	else if (registry_context != NULL)
		MemoryContextDelete(registry_context);
	MemoryContextSetParent(context, CacheMemoryContext);
	registry_context = context;
	event_types = new_types;
	topics = new_topics;
	last_type = NULL;
	source = NULL;
	message_key = NULL;
	domain_event_type = InvalidOid;

	for (int i = 0; i < lengthof(table_names); i++)
		table_oids[i] = domev_catalog_table(table_names[i]);

	/* Before anything is read: what changes from now on must be noticed. */
	stale = false;
}

static HTAB *
make_table(MemoryContext context, const char *name, Size entry_size)
{
	HASHCTL		ctl;

	ctl.keysize = DOMEV_MAX_NAME + 1;
	ctl.entrysize = entry_size;
	ctl.hcxt = context;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/*
 * Everything is read under one snapshot, so the entry is wholly of the time
 * before or after somebody's change.  It enters the table only when it is
 * complete: an error on the way leaves none behind, and what is looked for
 * and not there leaves nothing in the cache's memory.
 */
static const DomevEventType *
load_event_type(const char *name)
{
	DomevEventType *type = NULL;
	DomevEventTypeRow row;
	Snapshot	snapshot = RegisterSnapshot(GetCatalogSnapshot(table_oids[0]));

	if (domev_catalog_event_type(name, snapshot, &row))
	{
		MemoryContext old = MemoryContextSwitchTo(registry_context);
		const DomevTopic *topic = row.topic ? load_topic(row.topic, snapshot) : NULL;
		List	   *mappings = make_mappings(name, domev_catalog_mappings(name, snapshot), snapshot);
		char	   *aggregate_type = pstrdup(row.aggregate_type);
		DomevRightMark *may_emit = palloc0(sizeof(DomevRightMark));

		if (row.topic != NULL && topic == NULL)
			elog(ERROR, "topic \"%s\" of event type \"%s\" does not exist", row.topic, name);
		type = hash_search(event_types, name, HASH_ENTER, NULL);
		type->aggregate_type = aggregate_type;
		type->topic = topic;
		if (topic != NULL && !topic->in_wal)
			type->keeps_row = true;
		else if (row.journal_given)
			type->keeps_row = row.journal;
		else
			type->keeps_row = topic == NULL;
		type->mappings = mappings;
		type->may_emit = may_emit;
		MemoryContextSwitchTo(old);
	}
	UnregisterSnapshot(snapshot);
	return type;
}

/* Reads the topic anew, also when it is cached: that may be of another time. */
static const DomevTopic *
load_topic(const char *name, Snapshot snapshot)
{
	DomevTopic	row;
	DomevTopic *topic;

	if (!domev_catalog_topic(name, snapshot, &row))
		return NULL;
	topic = hash_search(topics, name, HASH_ENTER, NULL);
	*topic = row;
	return topic;
}

static List *
make_mappings(const char *event_type, List *rows, Snapshot snapshot)
{
	char	   *type_name = pstrdup(event_type);
	List	   *mappings = NIL;
	ListCell   *lc;

	foreach(lc, rows)
	{
		DomevMappingRow *row = lfirst(lc);
		DomevMapping *mapping = palloc0(sizeof(DomevMapping));

		mapping->name = row->mapping;
		mapping->event_type = type_name;
		mapping->function = row->function;
		mapping->owner = row->owner;
		mapping->topic = row->topic;
		if (row->topic != NULL)
			load_topic(row->topic, snapshot);	/* of the same time */
		mapping->deferred = row->deferred;
		mapping->records_errors = row->records_errors;
		mapping->produces = row->produces;
		mappings = lappend(mappings, mapping);
	}
	return mappings;
}

/* ----------------------------------------------------------------
 *		Invalidation
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(domev_guard_registry);

/*
 * The trigger before a row of domev's tables is written.  A member of
 * pg_write_all_data may write every table, but not have what he writes here
 * taken for what was registered, and run.  Not after it: a function that the
 * same statement calls may emit meanwhile.
 */
Datum
domev_guard_registry(PG_FUNCTION_ARGS)
{
	TriggerData *data = get_trigger_data(fcinfo, "guard_registry");
	Form_pg_class table = RelationGetForm(data->tg_relation);

	if (!has_privs_of_role(GetUserId(), table->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", NameStr(table->relname)),
				 errhint("The registry is written by its functions, such as domev.create_topic.")));
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}

PG_FUNCTION_INFO_V1(domev_invalidate_registry);

/* The trigger after that. */
Datum
domev_invalidate_registry(PG_FUNCTION_ARGS)
{
	TriggerData *data = get_trigger_data(fcinfo, "invalidate_registry");

	registry_start();
	changed_here = true;
	changed_in = GetCurrentSubTransactionId();
	CacheInvalidateRelcache(data->tg_relation);
	return PointerGetDatum(NULL);
}

static TriggerData *
get_trigger_data(FunctionCallInfo fcinfo, const char *function)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", function)));
	return (TriggerData *) fcinfo->context;
}

/* May come at any time, in the middle of a lookup too: nothing but the flag. */
static void
relcache_callback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid))
		stale = true;
	for (int i = 0; i < lengthof(table_oids); i++)
	{
		if (table_oids[i] == relid || !OidIsValid(table_oids[i]))
			stale = true;
	}
}

/* What this transaction registered and the cache saw may just have been rolled back. */
static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT && changed_here)
		stale = true;
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		changed_here = false;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId subxid,
				 SubTransactionId parent_subxid, void *arg)
{
	/*
	 * Not by one that began after the last change: each mapping's is rolled
	 * back.
	 */
	if (event == SUBXACT_EVENT_ABORT_SUB && changed_here && changed_in >= subxid)
		stale = true;
}
