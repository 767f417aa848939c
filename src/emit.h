/*-------------------------------------------------------------------------
 *
 * emit.h
 *	  What happens when an event is raised?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_EMIT_H
#define DOMEV_EMIT_H

#include "domev.h"
#include "registry.h"

/* A domain event as it is raised; strings and values are the caller's. */
typedef struct DomevRaised
{
	const char *event_type;
	const char *aggregate_id;
	Jsonb	   *payload;
	Jsonb	   *headers;		/* NULL: none but those of the context */
	bool		has_aggregate_version;
	int64		aggregate_version;
	const pg_uuid_t *event_id;	/* NULL: a new one */
	bool		claim_id;		/* an id that must be emitted once only */
	TimestampTz occurred_at;
	Oid			role;			/* whose right to emit counts; InvalidOid: it
								 * was seen to */
} DomevRaised;

/* Raises an error where no event can be raised; captures are exempt from one. */
extern void domev_emit_check_circumstances(bool capture);

/* The same where mappings shall run, but nothing be written. */
extern void domev_emit_check_trial(void);
extern void domev_emit_check_raised(const DomevRaised *raised);
extern pg_uuid_t domev_emit_event(const DomevRaised *raised);

extern void domev_emit_get_arguments(FunctionCallInfo fcinfo, DomevRaised *raised);
extern const DomevEventType *domev_emit_build(const DomevRaised *raised,
											  DomevDomainEvent *domain, DomevEvent *event);

#endif							/* DOMEV_EMIT_H */
