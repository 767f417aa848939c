/*-------------------------------------------------------------------------
 *
 * registry.h
 *	  What is registered for an event type, as far as this backend knows?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_REGISTRY_H
#define DOMEV_REGISTRY_H

#include "catalog.h"
#include "right.h"
#include "stats.h"

/* How a mapping's function is called; mapping.c's alone. */
typedef struct DomevMappingCall DomevMappingCall;

typedef struct DomevMapping
{
	const char *name;
	const char *event_type;
	const char *function;		/* qualified name */
	Oid			owner;			/* the function's when it was registered */
	const char *topic;			/* for results that name none; NULL: none */
	bool		deferred;		/* runs at the end of the transaction */
	bool		records_errors; /* what fails is kept, not raised */
	List	   *produces;		/* of char *; NIL: any event type */
	DomevMappingCall *call;		/* NULL until it is first run */
	DomevRightMark may_map;		/* the owner, events of this type */
	DomevRightMark may_publish; /* the owner, to the topic that was last
								 * published to */
	const DomevTopic *last_topic;
	DomevStatsMark stats;		/* where its runs are counted */
} DomevMapping;

typedef struct DomevEventType
{
	char		name[DOMEV_MAX_NAME + 1];
	const char *aggregate_type;
	const DomevTopic *topic;	/* carries the domain event itself; NULL: none */
	bool		keeps_row;		/* in the outbox, by its topic or the journal */
	List	   *mappings;		/* of DomevMapping *, in the order of their
								 * names */
	DomevRightMark *may_emit;	/* who last did */
} DomevEventType;

/*
 * What the functions return lives until the next domev_registry_refresh(),
 * which an emit calls once, before it asks anything, and while it is pinned,
 * which an emit does after that.  An event type and its mappings are of one
 * state of the registry; a topic that a mapping's result names is of the
 * moment when it is first asked for.
 */
extern void domev_registry_refresh(void);
extern void domev_registry_pin(void);
extern void domev_registry_unpin(void);
extern MemoryContext domev_registry_context(void);
extern const DomevEventType *domev_registry_event_type(const char *name);
extern DomevMapping *domev_registry_mapping(const DomevEventType *type, const char *name);
extern const DomevTopic *domev_registry_topic(const char *name);
extern const char *domev_registry_source(void);
extern const uint8 *domev_registry_message_key(void);
extern Oid	domev_registry_domain_event_type(void);

#endif							/* DOMEV_REGISTRY_H */
