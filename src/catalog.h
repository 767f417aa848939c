/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  What do domev's own tables say?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_CATALOG_H
#define DOMEV_CATALOG_H

#include "event.h"
#include "siphash.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* A row of domev.topics. */
typedef struct DomevTopic
{
	char		name[DOMEV_MAX_NAME + 1];
	bool		external;		/* scope */
	bool		in_wal;			/* storage */
} DomevTopic;

/* A row of domev.event_types; strings are palloc'd. */
typedef struct DomevEventTypeRow
{
	char	   *aggregate_type;
	char	   *topic;			/* NULL: none */
	bool		journal_given;
	bool		journal;
} DomevEventTypeRow;

/* A row of domev.mappings; strings are palloc'd. */
typedef struct DomevMappingRow
{
	char	   *mapping;
	char	   *event_type;
	char	   *function;
	Oid			owner;
	char	   *topic;			/* NULL: none */
	bool		deferred;		/* timing */
	bool		records_errors; /* on_error */
	List	   *produces;		/* of char *; NIL: any */
} DomevMappingRow;

extern Oid	domev_catalog_table(const char *table);
extern Oid	domev_catalog_type(const char *type);
extern Relation domev_catalog_open(const char *table, LOCKMODE lockmode);
extern void domev_catalog_lock(void);

/* Each reads as of snapshot, or of the newest catalog snapshot when it is NULL. */
extern bool domev_catalog_topic(const char *name, Snapshot snapshot, DomevTopic *topic);
extern List *domev_catalog_topic_names(void);
extern bool domev_catalog_event_type(const char *name, Snapshot snapshot,
									 DomevEventTypeRow *row);
extern List *domev_catalog_mappings(const char *event_type, Snapshot snapshot);
extern DomevMappingRow *domev_catalog_mapping(const char *name, Snapshot snapshot);
extern char *domev_catalog_event_type_using(const char *topic, Snapshot snapshot);
extern char *domev_catalog_mapping_using(const char *topic, Snapshot snapshot);
extern char *domev_catalog_mapping_of(const char *event_type, Snapshot snapshot);
extern char *domev_catalog_claim(const pg_uuid_t *event_id);
extern Oid	domev_catalog_consumer(const char *consumer);
extern char *domev_catalog_source(Snapshot snapshot);
extern bool domev_catalog_source_is_set(void);
extern bool domev_catalog_message_key(Snapshot snapshot, uint8 *key);

#endif							/* DOMEV_CATALOG_H */
