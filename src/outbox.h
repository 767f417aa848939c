/*-------------------------------------------------------------------------
 *
 * outbox.h
 *	  How is an event kept, as a row or as a WAL message?
 *
 * Copyright (c) 2026, domev contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef DOMEV_OUTBOX_H
#define DOMEV_OUTBOX_H

#include "access/htup.h"
#include "catalog.h"
#include "lib/stringinfo.h"

/* The outbox, open for the events of one emit. */
typedef struct DomevOutbox DomevOutbox;

/* The columns of domev.outbox AS o, in the order of DomevOutboxColumn. */
#define DOMEV_OUTBOX_COLUMN_LIST \
	"o.event_id, o.recorded_at, o.xact_id, o.topic, o.event_type, o.mapping, o.causation_id, o.aggregate_type," \
	" o.aggregate_id, o.aggregate_version, o.key, o.payload, o.data, o.content_type, o.data_schema, o.headers, o.occurred_at"

extern void domev_outbox_init(void);

extern DomevOutbox *domev_outbox_open(void);
extern void domev_outbox_check(const DomevEvent *event);
extern void domev_outbox_publish(DomevOutbox *outbox, const DomevTopic *topic,
								 DomevEvent *event);
extern void domev_outbox_put_row(DomevOutbox *outbox, DomevEvent *event);
extern void domev_outbox_put_message(DomevOutbox *outbox, DomevEvent *event);
extern void domev_outbox_write_message(const char *prefix, StringInfo body);
extern void domev_outbox_close(DomevOutbox *outbox);

extern bool domev_outbox_get(HeapTuple tuple, TupleDesc tupdesc, DomevEvent *event);

extern bool domev_outbox_claim(const pg_uuid_t *event_id, const char *event_type);

#endif							/* DOMEV_OUTBOX_H */
