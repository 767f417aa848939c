/*-------------------------------------------------------------------------
 *
 * event.h
 *	  What is an event, and what may it hold?
 *
 * The one form that the write side (a backend that emits) and the read side
 * (a walsender that decodes) share: every field in its final, textual form,
 * in the database's encoding.
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_EVENT_H
#define DOMEV_EVENT_H

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Limits, in bytes. */
#define DOMEV_MAX_NAME				63	/* names in the registry: they fit an
										 * identifier */
#define DOMEV_MAX_INTEGRATION_TYPE	255
#define DOMEV_MAX_KEY				1024	/* aggregate ids and ordering keys */
#define DOMEV_MAX_CONTENT_TYPE		255
#define DOMEV_MAX_URI				2048
#define DOMEV_MAX_EVENT_KB			(256 * 1024)	/* domev.max_event_size at
													 * the most */

#define DOMEV_SCHEMA	"domev"

/* A string with its length, not terminated; data is NULL when it is absent. */
typedef struct DomevText
{
	const char *data;
	int			size;
} DomevText;

/*
 * A domain event (mapping absent) or an integration event.  The strings are
 * not owned: whoever fills the struct says how long they live.
 */
typedef struct DomevEvent
{
	pg_uuid_t	event_id;
	bool		has_causation_id;
	pg_uuid_t	causation_id;	/* the event that caused this one */
	bool		has_aggregate_version;
	int64		aggregate_version;
	TimestampTz recorded_at;
	TimestampTz occurred_at;
	uint64		xact_id;		/* full id of the top-level transaction */
	DomevText	topic;			/* absent: in the journal only */
	DomevText	event_type;
	DomevText	mapping;
	DomevText	aggregate_type;
	DomevText	aggregate_id;
	DomevText	key;			/* absent: the aggregate id */
	DomevText	payload;		/* JSON; not together with data */
	DomevText	data;			/* bytes */
	DomevText	content_type;	/* absent: JSON, or bytes for data */
	DomevText	data_schema;
	DomevText	headers;		/* a JSON object, not empty */
} DomevEvent;

/* The columns of domev.outbox, in their order. */
typedef enum DomevOutboxColumn
{
	DOMEV_OUTBOX_EVENT_ID,
	DOMEV_OUTBOX_RECORDED_AT,
	DOMEV_OUTBOX_XACT_ID,
	DOMEV_OUTBOX_TOPIC,
	DOMEV_OUTBOX_EVENT_TYPE,
	DOMEV_OUTBOX_MAPPING,
	DOMEV_OUTBOX_CAUSATION_ID,
	DOMEV_OUTBOX_AGGREGATE_TYPE,
	DOMEV_OUTBOX_AGGREGATE_ID,
	DOMEV_OUTBOX_AGGREGATE_VERSION,
	DOMEV_OUTBOX_KEY,
	DOMEV_OUTBOX_PAYLOAD,
	DOMEV_OUTBOX_DATA,
	DOMEV_OUTBOX_CONTENT_TYPE,
	DOMEV_OUTBOX_DATA_SCHEMA,
	DOMEV_OUTBOX_HEADERS,
	DOMEV_OUTBOX_OCCURRED_AT,
	DOMEV_OUTBOX_COLUMNS		/* how many there are */
} DomevOutboxColumn;

extern bool domev_event_find_columns(TupleDesc tupdesc, AttrNumber *attnums);
extern void domev_event_to_row(const DomevEvent *event, Datum *values,
							   bool *nulls);
extern bool domev_event_from_row(DomevEvent *event, const Datum *values,
								 const bool *nulls);

extern DomevText domev_text(const char *string);

extern void domev_event_new_id(pg_uuid_t *id);
extern void domev_event_derive_id(pg_uuid_t *id, const pg_uuid_t *cause,
								  DomevText mapping, uint32 ordinal);

extern bool domev_event_has_control_character(DomevText string);
extern bool domev_event_is_reserved(DomevText name);
extern bool domev_event_is_publisher(DomevText name);

/* Checks: each raises 22023 with what is wrong. */
extern void domev_event_check_name(const char *what, DomevText name, int limit);
extern void domev_event_check_topic(DomevText topic);
extern void domev_event_check_content_type(DomevText content_type, bool json);
extern void domev_event_check_uri(const char *what, DomevText uri, bool absolute);
extern void domev_event_check_time(TimestampTz occurred_at);

#endif							/* DOMEV_EVENT_H */
